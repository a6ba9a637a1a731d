// Package cc decides how much a TCP connection may have in flight: congestion control behind one small interface.
//
//	ACK ─► stack/tcp ─► recovery.OnAck ─► cc: Ack, Notify ─► State.Cwnd, PacingRate ─► how much stack/tcp sends
//
// A connection's State is plain data of fixed size that lies in its PCB (inside recovery.State); it names its
// Algorithm by an ID into a registry that is filled before the first connection. Package recovery makes all calls,
// with the stack's lock held; an Algorithm keeps nothing of its own. NewReno (RFC 5681) and CUBIC (RFC 9438), both
// with HyStart++ (RFC 9406) and congestion window validation (RFC 7661), are here.
//
// Who calls what, when:
//
//	Init       once, when the connection's MSS is known; gives the initial window (RFC 6928)
//	Ack        for each ACK that delivers data, after losses were marked; Sample has all that the ACK told
//	Notify     on entering recovery, on ECN, on RTO, on leaving recovery, on undo, after idle
//	PacingRate when the core paces
//
// It does not find losses, choose what to send again, or spread the reduction over a round trip (that is PRR):
// package recovery does. It keeps no timers.
package cc
