package cc

// Congestion window validation, RFC 7661: a window that the application does not use says nothing about the network.
// It does not grow, and a loss then reduces what was really sent.

const (
	pipePeriodMin = 1_000_000 >> 10   // RFC 7661 §4.2: pipeACK is of the last max(3 RTT, 1 s), in ticks
	unusedMax     = 300_000_000 >> 10 // §4.4.3: after five minutes the window shrinks, in ticks
)

// Ack takes note of an ACK that delivered data. It updates pipeACK, the most that a recent round trip has delivered,
// and with it whether the window is validated, then lets the algorithm act. Half a window in flight right now counts
// as use as well: slow start doubles what the last round trip delivered.
func (s *State) Ack(k *Sample) {
	if seqGEQ(k.Una, s.roundEnd) {
		s.round(k.Nxt, k.Total, k.SRTT, tick(k.Now))
	}
	if s.flags&pipeKnown == 0 || max(s.pipeACK, k.Prior) >= s.Cwnd/2 {
		s.flags &^= unused
	} else {
		s.unusedFor(tick(k.Now))
	}
	registry[s.id].Ack(s, k)
}

// round ends a round trip: pipeACK is the most that one has delivered lately.
func (s *State) round(nxt, total, srtt, now uint32) {
	sample := total - s.roundBase
	if s.flags&roundOpen != 0 &&
		(sample >= s.pipeACK || s.flags&pipeKnown == 0 || now-s.pipeTick > max(3*srtt>>10, pipePeriodMin)) {
		s.pipeACK, s.pipeTick = sample, now
		s.flags |= pipeKnown
	}
	s.flags |= roundOpen
	s.roundEnd, s.roundBase = nxt, total
}

// AckUnused is Ack for an ACK that leaves nothing in flight, prior bytes before, of a window that was not in use and
// is not now, if there is nothing more to it: the usual request and answer. false: Ack is to be called.
func (s *State) AckUnused(nxt, total, prior, srtt uint32, now int64) bool {
	if s.flags&(unused|sleeps) != unused|sleeps || !s.SlowStart() {
		return false
	}
	s.round(nxt, total, srtt, tick(now))
	if max(s.pipeACK, prior) >= s.Cwnd/2 {
		return false // a second round that has delivered nothing changes nothing
	}
	s.unusedFor(tick(now))
	return true
}

// unusedFor counts the time for which less than half of the window is in use (RFC 7661 §4.4.3).
func (s *State) unusedFor(now uint32) {
	if s.flags&unused == 0 {
		s.flags |= unused
		s.unusedTick = now
	} else if now-s.unusedTick > unusedMax {
		s.unusedTick = now
		if iw := s.initialWindow(); s.Cwnd > iw {
			s.remember()
			s.Cwnd = max(s.Cwnd/2, iw)
		}
	}
}

// recovered ends the response of a window that was not in use when the loss was found: what had to be sent again
// did not fit the path either (RFC 7661 §4.4.2). pipeACK is measured anew.
func (s *State) recovered(k *Sample) {
	if s.flags&lossUnused == 0 {
		return
	}
	s.flags &^= lossUnused | pipeKnown | unused
	s.pipeACK = 0
	s.roundEnd, s.roundBase = k.Nxt, k.Total
	if k.Timeout {
		return // it began with one segment
	}
	floor := s.segments(2)
	s.Cwnd = max(s.Cwnd-min(k.Resent/2, s.Cwnd), min(floor, s.Cwnd))
	s.Ssthresh = max(s.Cwnd, floor)
}
