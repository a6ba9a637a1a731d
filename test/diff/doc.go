// Package diff has tests alone: the same workload between all pairs of {our TCP, gVisor's} and between ours and Linux's,
// over a simulated wire that loses, reorders, duplicates and corrupts.
//
//	script (seed) ─► end ─► posix, edge-triggered epoll ─► TCP ─► wire ─► TCP ─► posix ─► end ─► script
//
// An observer reads every segment on the wire and checks what our TCP owes to any peer: the bytes are those of the
// stream, also when they are sent again; nothing goes beyond the window that was offered, or is acknowledged that was
// not sent; a window is not taken back; a FIN stays where it was.
//
// A script says what an end does: how much it sends in which pieces, when it pauses, how fast it reads, and how it
// ends (shutdown, close, reset). Ends are driven by nothing but the events that EpollWait brings, so that one that is
// lost shows as a stall. What is checked: every byte; that nobody with something to send is silent for longer than the
// rules for retransmission and probes allow; how each end sees the other end; that nothing is left in use.
//
// Time is simulated, and with our own TCP at both ends all that happens follows from the seed; gVisor's has
// goroutines of its own, so that a run with it may differ in details from the next. With Linux the clock is real. The
// environment variable DIFF_PORT has the segments of one connection printed (40000 is the first's).
//
//	go test -tags nodpdk ./test/diff -run Pairs/tcp-gvisor -first 17 -seeds 1      one workload again
//	go test -tags nodpdk ./test/diff -seeds 1000                                  more of them
//	go test -tags nodpdk ./test/diff -run Soak -soak 10m -timeout 20m             ten minutes, of the real clock
package diff
