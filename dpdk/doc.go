// Package dpdk binds the Data Plane Development Kit (22.11 or newer): EAL, virtual devices, ports, mbuf pools, and the
// exchange of bursts.
//
//	NIC ─► PMD ─► rte_eth_rx_burst ─► QueuePair.Exchange ─► stack.Queue.Rx ──────┐
//	                                                                            Poll
//	NIC ◄─ PMD ◄─ rte_eth_tx_burst ◄─ QueuePair.Exchange ◄─ stack.Queue.Alloc ◄──┘
//
// Init starts EAL, AddVdev plugs in a device that is no hardware, OpenPort sets a port up, Port.QueuePair is the
// stack.Device of one loop. An Exchange is one call into C (exchange.c): it sends the frames that were filled, gives
// back those of the last burst, takes fresh mbufs, and receives.
//
// DPDK owns all frame memory. A received frame is valid until its queue pair's next Exchange, an allocated one until
// the Exchange or Flush that sends it. Slots of frames lie in C memory and hold no Go pointer; Go memory is never
// given to a device. A QueuePair belongs to the goroutine of its loop, on whatever thread that runs; everything else
// may be called from any goroutine, one call at a time.
//
// Mempool caches belong to lcore ids, which DPDK keeps per thread: an exchange takes on the id of its queue pair's
// lcore while it runs. Lcores of processes that share memory must not overlap.
//
// # Memory
//
// With hugepages, EAL reserves what is needed as it is needed, one descriptor per segment list, so that vhost-user can
// pass them all on. InMemory needs no hugetlbfs mount and leaves no files, but allows no secondary processes.
//
// Without hugepages (NoHuge) MemoryMB is all there is. It is one memfd, so that virtio_user and vhost work over it
// also between two processes; what does not work are secondary processes, and devices that reach memory by DMA without
// an IOMMU.
//
// A process that has both ends of a virtio_user ↔ vhost link must reserve its memory at the start (MemoryMB): when
// memory grows, virtio_user tells vhost about it, whose thread waits for the lock that the growing holds.
//
// # Devices
//
// Capabilities are the device's own, except what it announces and does wrong: see broken in capability.go. net_tap
// cannot be driven by Go's real-time signals, so it asks the kernel in each exchange (about a microsecond); its
// interrupt is the TAP descriptor. In 22.11 it takes MTUs up to 1504 only. A device in a network namespace is made,
// configured and closed by threads that entered it; the others never leave theirs.
//
// net_vhost has no descriptor to wait on, and no TSO. virtio_user and vhost tell each other that a checksum was left
// out: such a frame counts as good.
//
// It knows no protocol, does not move queues between processes, and has no flow rules, no bonding calls and no
// statistics of its own beyond QueueCounters.
//
// The package builds with a plain `go build` where pkg-config finds libdpdk; with the tag nodpdk all of it is replaced
// by functions that fail with errors.ErrUnsupported.
package dpdk
