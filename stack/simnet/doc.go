// Package simnet is a wire between two stacks for tests and benchmarks: with latency, a rate, loss, reordering,
// duplication and corruption from a seed, on a clock that the test turns by hand.
//
//	stack A ─► End(0) ═══ Wire (frames in flight, by time of arrival) ═══ End(1) ─► stack B
//
// The wire owns copies of the frames in flight; an End owns the memory of its queue, as a device does. Ends may
// be used from different goroutines. It does not segment (no TSO) and takes no notice of what frames hold.
package simnet
