package cc

import "math/bits"

// Start makes s ready for a connection whose MSS is known, with the initial window. nxt is SND.NXT. synLost says that
// the SYN or SYN-ACK had to be sent again: then the window is one segment (RFC 5681 §3.1).
func (s *State) Start(id ID, mss uint16, nxt uint32, synLost bool) {
	*s = State{MSS: max(mss, 1), Ssthresh: Unlimited, flags: hystartOn, roundEnd: nxt}
	s.Cwnd = s.initialWindow()
	if synLost {
		s.Cwnd = uint32(s.MSS)
	}
	s.SetAlgorithm(id)
}

// SetAlgorithm changes the algorithm; the window stays.
func (s *State) SetAlgorithm(id ID) {
	s.id = id
	s.words = [8]uint32{}
	s.flags &^= inCSS | afterRTO | sleeps
	if id.Traits()&SleepsUnused != 0 {
		s.flags |= sleeps
	}
	if s.flags&hystartOn != 0 {
		s.words[hyRound] = s.roundEnd
	}
	registry[id].Init(s)
}

// Algorithm is the ID of the connection's algorithm.
func (s *State) Algorithm() ID { return s.id }

// SetMSS changes the segment size. The window is at least one segment, the threshold two.
func (s *State) SetMSS(mss uint16) {
	s.MSS = max(mss, 1)
	s.Cwnd = max(s.Cwnd, s.segments(1))
	s.Ssthresh = max(s.Ssthresh, s.segments(2))
}

// SlowStart tells whether the window grows exponentially.
func (s *State) SlowStart() bool { return s.Cwnd < s.Ssthresh }

// Notify takes note of an event other than a plain ACK.
func (s *State) Notify(e Event, k *Sample) {
	switch e {
	case EventLoss, EventECN, EventTimeout:
		s.endHystart()
		s.flags &^= lossUnused
		if s.flags&unused != 0 {
			s.flags |= lossUnused
		}
	}
	registry[s.id].Notify(s, e, k)
	if e == EventRecovered {
		s.recovered(k)
	}
}

// PacingRate is the rate in bytes per second at which segments should leave, 0: unknown as yet. srtt is in µs.
func (s *State) PacingRate(srtt uint32) uint64 { return registry[s.id].PacingRate(s, srtt) }

// Restart makes the window the restart window after more than an RTO without sending (RFC 5681 §4.1: at most the
// initial one). The threshold remembers most of what it was, so that slow start finds it again (RFC 7661 §4.4.3).
func (s *State) Restart() {
	rw := min(s.initialWindow(), s.Cwnd)
	if rw < s.Cwnd {
		s.remember()
		s.Cwnd = rw
	}
}

// remember raises the threshold to three quarters of the window.
func (s *State) remember() {
	if s.Ssthresh != Unlimited {
		s.Ssthresh = max(s.Ssthresh, s.Cwnd/4*3)
	}
}

// initialWindow is RFC 6928 §2's: min(10 MSS, max(2 MSS, 14600)).
func (s *State) initialWindow() uint32 {
	mss := uint32(s.MSS)
	return min(10*mss, max(2*mss, 14600))
}

// segments is n segments in bytes.
func (s *State) segments(n uint32) uint32 { return n * uint32(s.MSS) }

// slowStart grows the window by what was acknowledged, at most limit segments (RFC 5681 §3.1, RFC 3465 §2.2), up to
// the threshold. It returns the bytes that are left for congestion avoidance.
func (s *State) slowStart(acked, limit uint32) (left uint32) {
	inc := min(acked, s.segments(limit))
	if room := s.Ssthresh - s.Cwnd; inc > room {
		left, inc = inc-room, room
	}
	s.Cwnd = min(s.Cwnd+inc, cwndMax)
	return left
}

// startLimit is L of RFC 3465 §2.3: one segment while the window is rebuilt after an RTO, else two.
func startLimit(k *Sample) uint32 {
	if k.Timeout {
		return 1
	}
	return 2
}

// grows tells whether an ACK may grow the window of an algorithm that leaves recovery to PRR.
func (s *State) grows(k *Sample) bool { return !k.Recovery && s.flags&unused == 0 }

// basis is what a reduction multiplies: the data in flight (RFC 5681 §3.1 equation 4), or, of a window that was
// not used, the most that was recently delivered if that is more (RFC 7661 §4.4.2); never more than the window.
func (s *State) basis(k *Sample) uint32 {
	flight := k.Nxt - k.Una
	if s.flags&lossUnused != 0 {
		flight = max(flight, s.pipeACK)
	}
	return min(flight, s.Cwnd)
}

// reduce sets the threshold to num/den of basis, at least two segments. After a timeout the window is one segment
// (RFC 5681 §3.1); after an ECN mark it may fall below the threshold (RFC 9438 §4.6); else PRR brings it down.
func (s *State) reduce(e Event, k *Sample, num, den uint32) {
	target := scale(s.basis(k), num, den)
	s.Ssthresh = max(target, s.segments(2))
	switch {
	case e == EventTimeout:
		s.Cwnd = s.segments(1)
	case e == EventECN && target < s.Ssthresh:
		s.Cwnd = min(s.Cwnd, max(target, s.segments(1)))
	}
}

// scale is a·num/den without overflow; den > num/2^32·a.
func scale(a, num, den uint32) uint32 {
	hi, lo := bits.Mul32(a, num)
	q, _ := bits.Div32(hi, lo, den)
	return q
}

// pace is the rate that spreads the window over a round trip, a little faster so that pacing never limits growth:
// twice in slow start, 1.2 times after.
func (s *State) pace(srtt uint32) uint64 {
	if srtt == 0 {
		return 0
	}
	rate := uint64(s.Cwnd) * 1e6 / uint64(srtt)
	if s.SlowStart() {
		return 2 * rate
	}
	return rate + rate/5
}

// seqGEQ compares sequence numbers modulo 2^32 (RFC 9293 §3.4).
func seqGEQ(a, b uint32) bool { return int32(a-b) >= 0 }
