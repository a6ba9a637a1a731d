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
// # Mesh
//
// A mesh is a ring from each slot to each other, all SP/SC, in one named piece of memory. What package dpdk sends over
// its rings are mbufs, the low bits saying what for: a frame handed over, an mbuf that goes home, a frame to be sent.
//
//	        NewMesh              LookupMesh            killed                Repair
//	none ───────────► made ─────────────────► in use ─────────► standing still ───────► in use, by its successor
//
//	side      calls                                  when
//	primary   NewMesh, Close                         before the first, after the last of all others
//	primary   Repair(s)                              after the process of slot s is gone, before anybody else is slot s
//	slot s    LookupMesh                             after the primary's NewMesh
//	slot s    Ring(s, x).Enqueue…, Ring(x, s).Dequeue…  one goroutine at a time
//	anybody   Empty, Len, Free                       at any time, without a call into C
//
// Prohibited, and why:
//
//   - Two processes that are the same slot, also for a moment, as at a restart: both ends of its rings are single.
//   - Repair while the process may still run: its next store undoes the repair.
//   - To take a word out before what it stands for is in a place that a successor finds: a kill in between loses it.
//     C takes out in two steps for that (rte_ring_dequeue_burst_start, _finish).
//   - To wait for room: the other side may be gone for ever.
//
// A process that is killed inside Enqueue leaves what it had not finished invisible to the consumer; inside Dequeue, it
// leaves it in the ring. Repair makes both so for the successor too.
//
// It sets up no memory itself: package dpdk must have been initialised. With the build tag nodpdk it is empty.
package ring
