// Package tcp is a TCP of our own (RFC 9293), laid out for one core that serves very many connections.
//
//	port ─► Deliver ─► input ─► recovery, cc ─► queues ─► Notify ─► Recv ─┐
//	                                                                    application
//	port ◄─ Exhale ◄─ output ◄─ recovery, cc ◄─ queues ◄─ dirty list ◄─ Send ┘
//	                    ▲
//	         wheel ─► Advance
//
// A TCP is a stack.Layer and a stack.Sockets. Everything a connection has lies in slabs off Go's heap and is named by
// index: its control block (pcb), payload (chunks), out-of-order ranges, and recovery's records of what is in flight.
// An idle connection has only its control block. Received frames are lent to receive queues until the turn ends; what is
// not read by then, and what is out of order, is copied out of them. Segments to send are written straight into the
// port's frames, headers and payload once.
//
// What sockets wrote and the acknowledgments owed are sent once a turn, in Exhale, so that data is acknowledged by
// the answer to it. Data leaves as the windows permit or, on connections that ask for it, at a rate (pacing.go). Only
// answers without a connection behind them (resets, cookies, challenges) and duplicate acknowledgments leave during
// Deliver.
//
// Where lcores share a port, a segment of no connection may be another one's: Stack.Stray is asked before it opens one or
// is answered. Config's functions choose ports whose packets come back here and tell the others which ones are in use.
//
// The loop calls the Layer's methods with the stack's lock held; the Sockets' methods take it themselves and may be
// called from any goroutine.
//
// It does not find routes or neighbours, nor unwrap fragments, IP options and extension headers (stack.Network does),
// and it has no blocking calls, deadlines or descriptors (those are made once, above stack.Sockets). TCP Fast Open and
// the MD5 and AO options are not supported.
package tcp
