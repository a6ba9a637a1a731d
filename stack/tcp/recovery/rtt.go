package recovery

const (
	granularity = 1000              // G of RFC 6298 §2, µs
	minWindow   = 150_000_000 >> 10 // half of the five minutes over which the least RTT is kept, in ticks
	rttMax      = 1 << 28           // µs; samples above are no round trips
)

// tick is a coarse time of 1.024 ms that wraps after 50 days.
func tick(now int64) uint32 { return uint32(now >> 10) }

// sampleRTT takes in a round trip time that is not ambiguous (RFC 6298 §2). It ends the backoff (§5, Karn).
func (e *Engine) sampleRTT(s *State, rtt uint32) {
	rtt = min(max(rtt, 1), rttMax)
	s.Backoff = 0
	s.flags |= stateProbeable
	if s.srtt == 0 {
		s.srtt, s.rttvar = rtt<<3, rtt<<1
		return
	}
	d := int32(rtt - s.srtt>>3)
	s.srtt += uint32(d) // α = 1/8: SRTT·8 grows by R' - SRTT
	if d < 0 {
		d = -d
	}
	s.rttvar += uint32(d) - s.rttvar>>2 // β = 1/4
}

// sampleMin takes in a round trip time for the windowed minimum (RFC 8985 §6.2 step 1).
func (s *State) sampleMin(rtt uint32, now int64) {
	rtt = max(rtt, 1)
	if t := tick(now); t-s.minTick > minWindow || s.minNow == 0 {
		s.minBefore, s.minNow, s.minTick = s.minNow, rtt, t
	} else if rtt < s.minNow {
		s.minNow = rtt
	}
}

// SRTT is the smoothed round trip time in µs, 0: no sample yet.
func (s *State) SRTT() uint32 { return s.srtt >> 3 }

// MinRTT is the least round trip time of the last minutes in µs, 0: no sample yet.
func (s *State) MinRTT() uint32 {
	if s.minBefore != 0 && s.minBefore < s.minNow {
		return s.minBefore
	}
	return s.minNow
}

// RTO is the retransmission timeout in µs, with its backoff (RFC 6298 §2, §5.5). The least allowance stands for
// variance, on top of SRTT, since a peer may delay an ACK for as long.
func (e *Engine) RTO(s *State) uint32 {
	c := &e.cfg
	var rto uint32
	switch {
	case s.srtt != 0:
		rto = s.srtt>>3 + max(s.rttvar, c.RTOMin, granularity)
	case s.flags&stateSYNLost != 0 && s.Nxt-s.Una > 1: // §5.7: data after a lost SYN
		rto = max(3*c.RTOInitial, 3_000_000)
	default:
		rto = c.RTOInitial
	}
	rto = min(rto, c.RTOMax)
	if s.Backoff != 0 {
		rto = uint32(min(uint64(rto)<<min(s.Backoff, 20), uint64(c.RTOMax)))
	}
	if s.Backoff != 0 || s.srtt != 0 {
		rto = min(rto+c.RTOSlop, c.RTOMax)
	}
	return rto
}
