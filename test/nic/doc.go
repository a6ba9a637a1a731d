// Package nic tests the stack on a PCI network card: QEMU, by software emulation, boots Debian's kernel with a virtio-net
// card of two queues and RSS behind an emulated IOMMU, and the program under test drives it by vfio-pci, as it would
// drive a card of metal.
//
//	curl, wrk, ping ─► namespace ─► TAP, 2 queues ─► QEMU: virtio-net-pci ─► vfio-pci ─► fstack, a worker per queue
//
// The guest has no disk: its first process (package guest) is all of its initial file system, the host's root is
// mounted read-only by 9p, and a serial line carries the commands that the test gives. Speed is not measured here.
package nic
