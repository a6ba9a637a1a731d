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
// lcore while it runs, or of its slot's number. Lcores of processes that share memory must not overlap, unless all their
// ports have a Mesh.
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
// # Processes that share a port
//
// Config.Proc has a process attach to another's memory. Ports opened with a Mesh are shared: each process, or loop, is a
// slot, has a queue pair of its own (Port.SlotQueue), and hands frames to others by pointer (QueuePair.Hand, Inject).
//
//	slot 0: NIC queue 0 ─► Exchange ─► Queue.Rx ─► Hand ─► ring 0→1 ─► Exchange: slot 1 ─► Queue.Rx, RxHanded
//	             pool 0 ◄─ Exchange ◄────────────────────── ring 1→0 ◄─ Exchange ◄────────── end of its burst
//
// A queue pair is direct, which is to poll a queue, or lives by way of another slot, which receives and sends for it. A
// queue goes from one slot to another in steps (SetMode), and is polled by one at any time: Port.Owner.
//
// Shared memory is written by one process each. A pool is used by the slot that polls its queue, and by no other: an mbuf
// that crossed goes back to be freed. It says itself whom it is lent to, so the primary can put right what a killed
// process left (Mesh.Reclaim): others' mbufs go back to them, its own pools are swept as a garbage collector does, and
// nobody stops meanwhile. An mbuf is lent to one slot at a time: a frame for several goes to all but the first as a copy.
// A full ring drops what was to cross, and counts it; an mbuf on its way home waits instead.
//
// Reclaim is due after every end of a process, before its slot is used again. Then the primary itself may be the slot for
// a while, to poll its queue and hand frames to those who live.
//
// Workers of a primary must inherit its descriptors under their numbers, as children do that it starts: DPDK does not
// mark its own to be closed, and virtio_user's driver uses the primary's numbers in every process. Processes of another
// build or with another DPDK are refused by name.
//
// Locks that DPDK itself has in shared memory, for its heap and its lists, stay locked if their holder is killed. Polling
// takes none; starting a secondary does. What Reclaim needs of them it has asked for before.
//
// It knows no protocol, and has no flow rules, no bonding calls and no
// statistics of its own beyond QueueCounters.
//
// The package builds with a plain `go build` where pkg-config finds libdpdk; with the tag nodpdk all of it is replaced
// by functions that fail with errors.ErrUnsupported.
package dpdk
