package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// advancePhase is the step from one phase to the next that an ACK makes. e.sample tells the ACK.
func (e *Engine) advancePhase(s *State, f *flight, w *work, r *Result) {
	done := f.flags&flightRecover == 0 || seqLEQ(f.recover, s.Una)
	switch {
	case f.flags&flightUndo != 0 && e.spurious(s, f, w):
		e.undo(s, f, w, r)
	case s.phase == PhaseLoss:
		e.afterTimeout(s, f, w, r, done)
	case s.phase >= PhaseCWR && done:
		e.leave(s, f, r)
	}
	switch {
	case s.phase >= PhaseRecovery:
	case w.lost != 0:
		e.enter(s, f, w.unsacked)
		r.Flags |= ResultEnter | ResultCWR
	case s.phase == PhaseCWR:
	case w.ack.Flags&AckECE != 0 && f.head != 0:
		e.enterCWR(s, f, w)
		r.Flags |= ResultCWR
	case f.sackedLen != 0 || f.dupAcks != 0:
		s.phase = PhaseDisorder
	default:
		s.phase = PhaseOpen
	}
}

// enter begins fast recovery. unsacked is what was outstanding and had not arrived before.
func (e *Engine) enter(s *State, f *flight, unsacked uint32) {
	e.counters.FastRecoveries++
	if s.phase != PhaseCWR { // else the window is being reduced already
		e.remember(s, f)
		e.sample.Recovery = true
		s.CC.Notify(cc.EventLoss, &e.sample)
		f.prrBegin(unsacked)
	}
	s.phase = PhaseRecovery
	f.flags = f.flags&^(flightTLP|flightTLPResent) | flightRecover
	f.recover = s.Nxt
}

// enterCWR begins the reduction that an ECN mark asks for, once a round trip (RFC 3168 §6.1.2).
func (e *Engine) enterCWR(s *State, f *flight, w *work) {
	e.counters.WindowsReducedByECN++
	e.sample.Recovery = true
	s.CC.Notify(cc.EventECN, &e.sample)
	f.prrBegin(w.unsacked)
	s.phase = PhaseCWR
	f.flags |= flightRecover
	f.recover = s.Nxt
}

// remember keeps congestion control as it was before an episode of loss, in case that there was none.
func (e *Engine) remember(s *State, f *flight) {
	f.undo = s.CC
	f.undoFrom, f.undoResent, f.resentLen = s.Una, 0, 0
	f.flags = f.flags&^(flightEnded|flightStamp) | flightUndo
}

// leave ends fast recovery or CWR: what was sent before is acknowledged (RFC 9937 §6.2, last step).
func (e *Engine) leave(s *State, f *flight, r *Result) {
	if s.CC.Algorithm().Traits()&cc.OwnsRecovery == 0 && (s.phase == PhaseRecovery || s.CC.Cwnd >= 2*uint32(s.CC.MSS)) {
		s.CC.Cwnd = s.CC.Ssthresh
	}
	e.ended(s, f, r)
}

// ended is the end of an episode that was no false alarm as yet.
func (e *Engine) ended(s *State, f *flight, r *Result) {
	k := &e.sample
	k.Resent, k.Timeout = f.resentLen, s.phase == PhaseLoss
	s.CC.Notify(cc.EventRecovered, k)
	if s.phase >= PhaseRecovery {
		r.Flags |= ResultExit
		if s.reoKeep != 0 { // RFC 8985 §6.2 step 4
			if s.reoKeep--; s.reoKeep == 0 {
				s.reoMult = 1
			}
		}
	}
	f.flags |= flightEnded
	f.flags &^= flightFRTO | flightFRTONew
	f.undoUntil = s.Nxt
	s.phase = PhaseOpen
}

// afterTimeout is an ACK in PhaseLoss: F-RTO's steps (RFC 5682 §3.1 with SACK, §2.1 without), or the way out.
func (e *Engine) afterTimeout(s *State, f *flight, w *work, r *Result, done bool) {
	if f.flags&flightFRTO != 0 {
		switch {
		case w.original && f.flags&flightUndo != 0 && (s.flags&stateSACK != 0 || !w.resent && f.flags&flightFRTONew != 0):
			// Step 3b: data arrived that only the transmission before the timeout can have brought.
			e.counters.UndoneByFRTO++
			e.undo(s, f, w, r)
			return
		case f.flags&flightFRTONew != 0 && (w.duplicate || w.acked != 0): // step 3a: the loss was real
			f.flags &^= flightFRTO | flightFRTONew
		case w.acked != 0 && !done && w.ack.Unsent != 0: // step 2b: new data tells more than a retransmission
			f.flags |= flightFRTONew
			f.recover = s.Nxt
		case w.acked != 0 || w.duplicate && s.flags&stateSACK == 0: // step 2a
			f.flags &^= flightFRTO
		}
	}
	if done {
		e.ended(s, f, r)
	}
}

// spurious tells whether the loss of this episode turned out to be none.
func (e *Engine) spurious(s *State, f *flight, w *work) bool {
	active := s.phase >= PhaseRecovery
	switch {
	case active && w.answered && w.ack.Flags&AckEcho != 0 && int32(w.ack.Echo-f.undoStamp) < 0:
		if s.phase == PhaseRecovery && s.flags&(stateSACK|stateReordering) == stateSACK { // overtaken, not lost
			s.flags |= stateReordering
			e.counters.ReorderingSeen++
		}
		e.counters.UndoneByTimestamp++ // Eifel, RFC 3522 §3.2: the ACK answers a transmission before the first retransmission
		return true
	case w.dsack && f.resentLen != 0 && f.undoResent == 0 && (active || f.flags&flightEnded != 0):
		e.counters.UndoneByDSACK++
		return true
	case s.phase == PhaseRecovery && f.resentLen == 0 && f.lostLen == 0 && w.total != 0 && w.lost == 0:
		e.counters.UndoneBeforeResent++
		return true
	}
	return false
}

// undo puts the window back (RFC 4015 §3.2, RFC 9438 §4.9) and takes what was marked lost for in flight again.
func (e *Engine) undo(s *State, f *flight, w *work, r *Result) {
	r.Flags |= ResultSpurious
	if s.phase >= PhaseRecovery {
		r.Flags |= ResultExit
	}
	s.CC.Undo(&f.undo)
	s.CC.Notify(cc.EventUndo, &e.sample)
	s.Backoff = 0
	s.flags &^= stateSYNLost
	for i := f.lost.first; i != 0; i = e.rec(i).later {
		e.rec(i).flags &^= recLost
	}
	if f.lost.first != 0 { // they were sent before all that is in flight
		if f.sent.first != 0 {
			e.rec(f.sent.first).sooner = f.lost.last
			e.rec(f.lost.last).later = f.sent.first
		} else {
			f.sent.last = f.lost.last
		}
		f.sent.first = f.lost.first
		f.lost, f.lostLen = queue{}, 0
		f.disorder(s.Nxt)
	}
	f.flags &^= flightUndo | flightEnded | flightStamp | flightFRTO | flightFRTONew | flightForce
	w.lost = 0
	s.phase = PhaseOpen
}
