// Package diff has tests alone: the same workload between all pairs of {our TCP, gVisor's} over a simulated wire that
// loses, reorders, duplicates and corrupts.
//
//	script (seed) ─► end ─► posix, edge-triggered epoll ─► TCP ─► wire ─► TCP ─► posix ─► end ─► script
//
// A script says what an end does: how much it sends in which pieces, when it pauses, how fast it reads, and how it
// ends (shutdown, close, reset). Ends are driven by nothing but the events that EpollWait brings, so that one that is
// lost shows as a stall. What is checked: every byte; that nobody with something to send is silent for longer than the
// rules for retransmission and probes allow; how each end sees the other end; that nothing is left in use.
//
// Time is simulated, and with our own TCP at both ends all that happens follows from the seed; gVisor's has
// goroutines of its own, so that a run with it may differ in details from the next.
//
//	go test -tags nodpdk ./test/diff -run Pairs/tcp-gvisor/seed=17      one workload again
//	go test -tags nodpdk ./test/diff -seeds 1000                        more of them
//	go test -tags nodpdk ./test/diff -run Soak -soak 10m                ten minutes (of the real clock)
package diff
