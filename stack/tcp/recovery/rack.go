package recovery

// RACK, RFC 8985 §6: a segment is lost when one sent later has arrived and it had time enough to arrive before.

const (
	dupThresh  = 3  // RFC 8985 §6.2 step 4, RFC 5681 §3.2
	reoPersist = 16 // recoveries for which a widened reordering window stays
)

// reoWindow is RACK_update_reo_wnd's result in µs: how much later than one sent after it a segment may arrive.
func (s *State) reoWindow(f *flight) uint32 {
	if s.flags&stateReordering == 0 {
		if s.phase >= PhaseRecovery || f.dupAcks >= dupThresh || f.sackedLen >= dupThresh*uint32(s.CC.MSS) {
			return 0
		}
	}
	return min(uint32(min(uint64(s.reoMult)*uint64(s.MinRTT())/4, 1<<31)), s.SRTT())
}

// detectLoss marks what is lost by now and arms the reordering timer for the first that is not (RACK_detect_loss). It
// looks at the records in the order of their transmission, so that all but one that it looks at are lost.
func (e *Engine) detectLoss(s *State, f *flight, t uint32, lost *uint32) {
	f.flags &^= flightReorder
	if f.rackRTT == 0 {
		return
	}
	wait := f.rackRTT + s.reoWindow(f)
	for i := f.sent.first; i != 0; {
		r := e.rec(i)
		if !sentAfter(f.rackSent, f.rackEnd, r.sent, r.end) {
			return
		}
		if remaining := int32(r.sent + wait - t); remaining > 0 {
			f.flags |= flightReorder
			f.reorderAt = t + uint32(remaining)
			return
		}
		next := r.later
		*lost += e.markLost(s, f, i, r)
		i = next
	}
}

// markLost moves a record from the queue sent to lost: behind the others, or in front when it is the lowest.
func (e *Engine) markLost(s *State, f *flight, i uint32, r *record) uint32 {
	n := r.len()
	e.pull(&f.sent, r)
	r.flags |= recLost
	if f.lost.first != 0 && seqLT(r.seq, e.rec(f.lost.first).seq) {
		e.pushAfter(&f.lost, 0, i, r)
	} else {
		e.push(&f.lost, i, r)
	}
	f.lostLen += n
	s.lostTotal += n
	e.counters.BytesLost += uint64(n)
	if r.flags&recResent != 0 {
		e.counters.BytesLostAgain += uint64(n)
	}
	return n
}

// duplicateReported takes in a DSACK: the reordering window widens once a round trip (RFC 8985 §6.2 step 4), and a
// retransmission that was not needed counts towards undo (RFC 3708 §3).
func (e *Engine) duplicateReported(s *State, f *flight, w *work, r *Result) {
	e.counters.DSACKs++
	r.Flags |= ResultDSACK
	b := w.ack.SACK[0]
	if f.flags&flightTLPResent != 0 && b.End == f.tlpEnd { // RFC 8985 §7.4.2: the probe was not needed
		f.flags &^= flightTLP | flightTLPResent
		e.counters.ProbesSpurious++
		return
	}
	if s.resent == 0 {
		return // the network made it
	}
	if f.flags&flightUndo != 0 && seqLEQ(f.undoFrom, b.Start) {
		f.undoResent -= min(b.End-b.Start, f.undoResent)
	}
	if f.flags&flightDSACK != 0 && seqLEQ(f.dsackRound, s.Una) {
		f.flags &^= flightDSACK
	}
	if f.flags&flightDSACK == 0 {
		f.flags |= flightDSACK
		f.dsackRound = s.Nxt
		s.reoMult += min(1, 255-s.reoMult)
		s.reoKeep = reoPersist
	}
}
