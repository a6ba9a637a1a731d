// Package grid measures TCP's throughput over simulated wires, in a grid of loss, round trip time, window and
// congestion control, and compares the table with a golden file.
//
//	sender ─► stack/tcp ═══ simnet: 50 Mbit/s, latency, loss from a seed ═══ stack/tcp ─► receiver
//
// All is determined by the seeds and a clock turned by hand, so a change of one figure is a change of behaviour, and
// shows in the diff of testdata/grid.golden. `go test ./test/grid -update` writes it anew. Independently of the file,
// each figure must reach what the response functions of the congestion controls promise.
//
// A second test sends the same stream to a Linux kernel through a lossy wire on the real clock, alternately from another
// kernel and from our TCP. It needs root for network namespaces, which have no name and go with the test.
package grid
