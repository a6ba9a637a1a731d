// Package ring binds DPDK's rte_ring: a bounded queue of pointers in shared memory, lock-free, between processes.
//
//	worker i ─► Enqueue ─► [ rte_ring in hugepage memory ] ─► Dequeue ─► worker j
//
// A ring holds words, by convention mbuf pointers, never Go pointers: every DPDK process maps hugepages at the same
// address, the Go heap is private. The ring owns nothing of what the words name; who dequeues one owns it.
//
// The states of a ring, and who may do what:
//
//		        New                Lookup                  Close (both ends)
//		none ───────► made (1 side) ─────► shared (2 sides) ─────────────► none
//
//	  - New is for the primary process; Lookup for the others, after it.
//	  - With SP, one process and one goroutine at a time enqueues; with SC, one dequeues. Prohibited: a second producer
//	    on an SP ring (or consumer on SC), also for a moment: slots would be lost or given twice, without a sign.
//	  - A producer that dies inside Enqueue leaves an MP ring stuck for the other producers: rings that must outlive a
//	    process that is killed are SP/SC, one per pair of processes.
//	  - Close frees the memory: prohibited while another process may still call. The primary closes last.
//	  - A full ring takes less than it was given and returns at once: the caller counts the drop; nothing waits.
//
// It sets up no memory itself: package dpdk must have been initialised. With the build tag nodpdk it is empty.
package ring
