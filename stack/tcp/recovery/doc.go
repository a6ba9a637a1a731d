// Package recovery is everything between "these bytes were sent" and "send these bytes again": round trip times and
// RTO (RFC 6298), the SACK scoreboard (RFC 2018, 2883), RACK-TLP (RFC 8985), PRR (RFC 9937), NewReno (RFC 6582) and
// limited transmit (RFC 3042) for peers without SACK, F-RTO (RFC 5682), Eifel detection and undo (RFC 3522, 4015),
// and delivery rate samples. It also drives the congestion control of package cc.
//
//	stack/tcp sends a segment ─► OnSend                 NextRetransmit, Allowance ─► stack/tcp sends
//	stack/tcp takes in an ACK ─► OnAck ─► cc ─► Result ─┘
//	stack/tcp's timer wheel ─► OnTimer ─► Action ───────┘
//
// An Engine belongs to one stack and owns the memory: slabs of fixed-size records outside of Go's heap, addressed by
// index. State lies in the PCB, has no pointers, and is 128 bytes with the congestion control's 64; what is needed
// only while data is in flight is in the slabs and goes back when all is acknowledged. All calls are made with the
// stack's lock held; none allocates or reads a clock. Times are microseconds of the stack's clock, passed in.
//
// The contract of the core (stack/tcp):
//
//	Init           when the PCB is made, with the ISS; OnSend(iss, 1, SYN) like any other segment
//	Established    when SYN and SYN-ACK have crossed and the options are known; sets the initial window
//	OnSend         for each segment or TSO super segment that takes sequence space, new or again, after it was built.
//	               false: no record is left, the segment must not be sent (nothing is changed)
//	OnAck          for each acceptable segment with ACK that may matter: SND.UNA ≤ SEG.ACK ≤ SND.NXT, with something in
//	               flight or with SACK blocks (a DSACK may come when all is acknowledged). The core drops others
//	               before. State.Una and State.Nxt are SND.UNA and SND.NXT; only OnSend and OnAck move them
//	send loop      after OnAck, OnTimer or a write: while NextRetransmit gives a range, build and OnSend it; then new
//	               data, at most Allowance bytes and within the peer's window
//	Deadline       after each of those: one deadline for all of RTO, TLP and RACK's reordering timer. It only moves
//	               in these calls, so a wheel with lazy re-arming asks again when it fires
//	OnTimer        when the deadline has passed (too early is harmless); it says what to send at once
//	Release        when the PCB ends, or to forget all that is in flight
//
// It does not see packets, options, windows or sockets; it has no persist timer, no keep-alive and gives up on no
// connection (State.Backoff counts the RTOs in a row, for those who do).
package recovery
