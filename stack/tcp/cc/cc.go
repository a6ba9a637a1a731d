package cc

import "unsafe"

// State is one connection's congestion control: 64 bytes, no pointers. Start makes it ready.
type State struct {
	Cwnd     uint32 // congestion window, bytes
	Ssthresh uint32 // slow start threshold, bytes; Unlimited until the first congestion
	MSS      uint16 // bytes of payload per segment (SMSS)
	id       ID
	flags    flags

	// Congestion window validation (validate.go).
	unusedTick uint32 // since when less than half of the window is used, in ticks
	roundEnd   uint32 // the round trip ends when this sequence number is acknowledged
	roundBase  uint32 // Sample.Total when it began
	pipeACK    uint32 // bytes delivered in a round trip, the most of the sampling period
	pipeTick   uint32 // when pipeACK was measured, in ticks

	words [8]uint32 // the algorithm's own; HyStart++ has the last four until slow start is first left
}

const _ = uint(64-unsafe.Sizeof(State{})) + uint(unsafe.Sizeof(State{})-64) // one cache line

// Unlimited is the Ssthresh of a connection that has met no congestion.
const Unlimited = 1<<31 - 1

// cwndMax is larger than any window that TCP can announce (RFC 7323 §2.3: 2^30).
const cwndMax = 1 << 30

type flags uint8

const (
	hystartOn  flags = 1 << iota // the initial slow start: HyStart++ looks for its end
	inCSS                        // HyStart++'s conservative slow start
	pipeKnown                    // pipeACK has been measured (RFC 7661 §4.2: else it is undefined)
	unused                       // the window is not validated, since unusedTick
	lossUnused                   // it was not when the loss was found (RFC 7661 §4.4.2)
	afterRTO                     // CUBIC: the next congestion avoidance is the first after a timeout
	roundOpen                    // roundBase is known
	sleeps                       // the algorithm's trait SleepsUnused
)

// tick is a coarse time of 1.024 ms that wraps after 50 days.
func tick(now int64) uint32 { return uint32(now >> 10) }

// Sample is what one ACK told, for Algorithm.Ack and Notify. Times and durations are microseconds, amounts bytes.
type Sample struct {
	Now       int64  // µs of the stack's clock
	Acked     uint32 // newly acknowledged cumulatively
	Delivered uint32 // newly acknowledged cumulatively or selectively: what left the network
	Lost      uint32 // newly marked lost
	Prior     uint32 // in flight before this ACK
	InFlight  uint32 // in flight after it
	Una, Nxt  uint32 // sequence numbers after this ACK: to count round trips
	Total     uint32 // all bytes delivered so far, modulo 2^32 (C.delivered)
	RTT       uint32 // of the segment that this ACK acknowledged, never of a retransmission that is ambiguous; 0: none
	SRTT      uint32 // smoothed, 0: no sample yet
	MinRTT    uint32 // least of the last minutes, 0: no sample yet
	Rate      Rate   // delivery rate
	CE        uint32 // bytes reported as having met congestion (ECN), for DCTCP
	Resent    uint32 // EventRecovered: bytes that were sent again in the episode
	Idle      uint32 // EventIdle: µs since the last segment was sent
	Recovery  bool   // in fast recovery or CWR: PRR governs Cwnd, the algorithm leaves it alone unless it OwnsRecovery
	Timeout   bool   // after an RTO, before what was sent until then is acknowledged
}

// Rate is one delivery rate sample (draft-cheng-iccrg-delivery-rate-estimation §3.3). Interval 0: no sample.
type Rate struct {
	Delivered  uint32 // bytes delivered during Interval
	Interval   uint32 // µs, the longer of the send and the ACK phase
	Prior      uint32 // Sample.Total when the newest segment just delivered was sent
	InFlight   uint32 // bytes in flight when it was sent, with itself
	Lost       uint32 // bytes marked lost since it was sent
	AppLimited bool   // the application, not the network, limited the rate
	Retrans    bool   // the segment was a retransmission
}

// BytesPerSecond is the sample's rate, 0 if there is none.
func (r *Rate) BytesPerSecond() uint64 {
	if r.Interval == 0 {
		return 0
	}
	return uint64(r.Delivered) * 1e6 / uint64(r.Interval)
}

// Event is something other than a plain ACK that an algorithm answers to.
type Event uint8

// The events.
const (
	// EventLoss: fast recovery begins. The algorithm sets Ssthresh; PRR brings Cwnd there.
	EventLoss Event = iota
	// EventECN: the peer echoes a congestion mark, at most once a round trip; as EventLoss.
	EventECN
	// EventTimeout: the first RTO of a loss episode. The algorithm sets Ssthresh and Cwnd (one segment).
	EventTimeout
	// EventRecovered: everything sent before the loss is acknowledged; Cwnd is Ssthresh.
	EventRecovered
	// EventUndo: the loss was none; State was put back to what it was before EventLoss or EventTimeout.
	EventUndo
	// EventIdle: data is sent again with nothing in flight, after Sample.Idle without a segment, more than an RTO. As a
	// rule Cwnd was restarted before (RFC 5681 §4.1).
	EventIdle
)

// Traits say what an algorithm needs from those around it.
type Traits uint8

// The traits.
const (
	// OwnsRecovery: the algorithm sets Cwnd itself in fast recovery too; PRR keeps out (BBR).
	OwnsRecovery Traits = 1 << iota
	// NeedsPacing: segments must leave at PacingRate (BBR).
	NeedsPacing
	// SleepsUnused: Ack does nothing in slow start while the window is not in use (RFC 7661), so that it need not be
	// called.
	SleepsUnused
	// NeedsECN: the connection should negotiate ECN, and its ACKs count marked bytes (DCTCP).
	NeedsECN
)

// Algorithm is one way of congestion control. It must keep everything in State.
type Algorithm interface {
	// Name is what TCP_CONGESTION and net.inet.tcp.cc.algorithm call it.
	Name() string
	Traits() Traits
	// Init sets up the algorithm's words; Cwnd, Ssthresh and MSS are set.
	Init(s *State)
	// Ack takes note of an ACK that delivered data, also in Recovery.
	Ack(s *State, k *Sample)
	// Notify takes note of an event. k is of the ACK that caused it; for EventTimeout and EventIdle it has only
	// Now, InFlight, Una, Nxt, Total, SRTT and MinRTT.
	Notify(s *State, e Event, k *Sample)
	// PacingRate is in bytes per second, 0: unknown as yet. srtt is in µs.
	PacingRate(s *State, srtt uint32) uint64
}
