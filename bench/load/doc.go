// Command load is a closed-loop load generator with a small TCP client of its own on DPDK, for servers that no kernel
// reaches: it is one end of a virtio_user ↔ vhost link, or any other device.
//
//	timers ─┐
//	Device ─► ARP, segment ─► response ─► pending connections ─► templates ─► Device
//
// Each connection asks, waits for the whole answer, and asks again; the acknowledgement rides on the next request.
// Connections are 64 bytes each in one array, frames are copied from templates, and a turn neither allocates nor takes
// a lock, so that the generator is not what is measured: it tells which share of the time it found nothing to do.
//
// With -device memory the server is in this process, an event loop on package posix at the other end of a link in
// memory: what a request costs the stack alone, and what a million idle connections do to a thousand that work.
//
// One goroutine, pinned to its lcore, owns everything. The client is as good a TCP as the measurement needs: it takes
// data in order only, resends by a coarse timer, knows no congestion control (it has one request under way per
// connection), no SACK, no timestamps, no IPv6, no IP options or fragments, and no chunked answers.
package main
