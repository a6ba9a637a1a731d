package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// Deadline is when OnTimer wants to be called, in µs, and why. It may lie in the past. TimerNone: never.
func (e *Engine) Deadline(s *State, now int64) (at int64, kind Timer) {
	if s.flight == 0 {
		return 0, TimerNone
	}
	f := e.flights.at(s.flight)
	if f.head == 0 {
		return 0, TimerNone
	}
	t := uint32(now)
	left, kind := int32(f.rtoFrom+e.RTO(s)-t), TimerRTO
	if f.flags&flightReorder != 0 {
		if d := int32(f.reorderAt - t); d < left {
			left, kind = d, TimerReorder
		}
	} else if e.probing(s, f) {
		left, kind = min(left, int32(f.ptoFrom+e.probeTimeout(s)-t)), TimerProbe
	}
	return now + int64(left), kind
}

// OnTimer acts on what is due at now. unsent is as in Ack. Afterwards the core does what Action says, then its send
// loop, and asks Deadline again.
func (e *Engine) OnTimer(s *State, now int64, unsent uint32) Action {
	at, kind := e.Deadline(s, now)
	if kind == TimerNone || at > now {
		return Action{}
	}
	f := e.flights.at(s.flight)
	t := uint32(now)
	a := Action{Fired: kind}
	switch kind {
	case TimerReorder: // RFC 8985 §6.2 step 5
		e.counters.ReorderTimeouts++
		unsacked := s.Nxt - s.Una - f.sackedLen
		var lost uint32
		e.detectLoss(s, f, t, &lost)
		if lost != 0 && s.phase < PhaseRecovery {
			e.look(s, f, now)
			e.sample.Lost = lost
			e.enter(s, f, unsacked)
			e.prr(s, f, 0, false)
		}
	case TimerProbe:
		a.Seq, a.Len = e.probe(s, f, t, unsent)
	case TimerRTO:
		e.timeout(s, f, now)
	}
	return a
}

// look fills the sample for an event that no ACK caused.
func (e *Engine) look(s *State, f *flight, now int64) {
	e.sample = cc.Sample{
		Now: now, Prior: s.pipe(f), InFlight: s.pipe(f), Una: s.Una, Nxt: s.Nxt, Total: s.delivered, SRTT: s.SRTT(), MinRTT: s.MinRTT(),
	}
}

// timeout is the RTO (RFC 6298 §5.4 to 5.6, RFC 5681 §3.1): one segment goes out whatever the window says.
func (e *Engine) timeout(s *State, f *flight, now int64) {
	t := uint32(now)
	e.counters.Timeouts++
	if s.Retries != 0 {
		e.counters.TimeoutsRepeated++
	}
	if e.rec(f.head).flags&recSacked != 0 {
		e.renege(s, f)
	}
	e.look(s, f, now)
	fresh := s.phase < PhaseRecovery
	if fresh {
		e.remember(s, f)
	}
	e.markLostOnTimeout(s, f, t)
	if s.Nxt-s.Una > 1 || e.rec(f.head).flags&recSYN == 0 { // a lost SYN says nothing of a window: RFC 5681 §3.1 does at its end
		if s.phase != PhaseLoss || s.Retries == 0 { // §3.1: else ssthresh stays
			s.CC.Notify(cc.EventTimeout, &e.sample)
		} else if s.CC.Algorithm().Traits()&cc.OwnsRecovery == 0 {
			s.CC.Cwnd = uint32(s.CC.MSS)
		}
	}
	// F-RTO is for the first loss in a flight (RFC 5682 §2.1 step 1).
	frto := fresh || s.phase == PhaseLoss && s.Retries != 0 && f.flags&flightFRTO != 0
	f.flags &^= flightTLP | flightTLPResent | flightReorder | flightFRTO | flightFRTONew
	if frto {
		f.flags |= flightFRTO
	}
	f.flags |= flightForce | flightRecover
	f.recover = s.Nxt
	f.rtoFrom = t
	f.dupAcks = 0
	s.phase = PhaseLoss
	s.Retries += min(1, 255-s.Retries)
	s.Backoff = min(s.Backoff+1, 30)
}

// markLostOnTimeout marks the first segment lost, and all that was sent so long ago that it would have been
// acknowledged (RFC 8985 §6.3); without SACK all. The queue of the lost is put in order of sequence.
func (e *Engine) markLostOnTimeout(s *State, f *flight, t uint32) {
	wait := f.rackRTT + s.reoWindow(f)
	all := f.rackRTT == 0 || s.flags&stateSACK == 0
	if s.flags&stateSACK == 0 {
		f.sackedLen = 0
	}
	f.lost = queue{}
	for i := f.head; i != 0; i = e.rec(i).next {
		r := e.rec(i)
		switch {
		case r.flags&recSacked != 0:
		case r.flags&recLost != 0:
			e.push(&f.lost, i, r)
		case all || i == f.head || int32(r.sent+wait-t) <= 0:
			e.sample.Lost += e.markLost(s, f, i, r)
		}
	}
}
