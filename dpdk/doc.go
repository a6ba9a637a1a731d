// Package dpdk binds the Data Plane Development Kit: EAL, virtual devices, ports, mbuf pools, and the exchange of
// bursts.
//
//	NIC ─► PMD ─► mbufs ─► QueuePair.Exchange ─► stack.Queue.Rx ─► Poll … stack.Queue.Alloc ─► QueuePair.Exchange ─► PMD
//
// DPDK owns all frame memory: a received frame is valid until its queue pair's next Exchange, an allocated one until
// the Exchange that sends it. A QueuePair belongs to one loop; everything else may be called from any goroutine.
package dpdk
