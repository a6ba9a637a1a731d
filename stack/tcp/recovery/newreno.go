package recovery

// Without SACK: duplicate ACKs are counted (RFC 5681 §3.2), and in recovery each partial ACK tells the next hole (RFC
// 6582). A duplicate ACK says that one segment has left the network, which one is unknown: it counts in sackedLen, so
// that the window lets new data out for it (RFC 3042, and the inflation of RFC 5681).

// countDuplicate counts a duplicate ACK, or takes back what was counted when Una moves.
func (e *Engine) countDuplicate(s *State, f *flight, w *work) {
	mss := uint32(s.CC.MSS)
	switch {
	case w.acked != 0:
		// One segment filled the hole, the others were counted when they arrived.
		known := min(f.sackedLen, w.acked-min(w.acked, mss))
		f.sackedLen -= known
		w.total -= known
		s.delivered -= known
		f.sackedLen = min(f.sackedLen, s.Nxt-s.Una-f.lostLen)
	case w.ack.Flags&AckPure != 0 && f.head != 0:
		w.duplicate = true
		n := min(mss, s.pipe(f))
		f.sackedLen += n
		w.total += n
		s.delivered += n
	}
}

// detectLossByCount marks the first segment lost at the third duplicate, and the next one at each partial ACK.
func (e *Engine) detectLossByCount(s *State, f *flight, w *work) {
	switch s.phase {
	case PhaseRecovery:
		if w.acked == 0 || !seqLT(s.Una, f.recover) {
			return
		}
	case PhaseLoss:
		return // all was marked
	default:
		// RFC 6582 §3.2 step 2: duplicates caused by the retransmissions of an earlier loss do not count.
		if f.dupAcks < dupThresh || f.flags&flightRecover != 0 && seqLEQ(s.Una, f.recover) {
			return
		}
	}
	w.lost += e.markFirst(s, f)
}

// markFirst marks the first segment lost.
func (e *Engine) markFirst(s *State, f *flight) uint32 {
	i := f.head
	if i == 0 || e.rec(i).flags&recLost != 0 {
		return 0
	}
	mss := uint32(s.CC.MSS)
	r := e.rec(i)
	if r.len() > mss && (r.flags&recFIN == 0 || r.len() > mss+1) {
		e.split(f, i, r.seq+mss)
	}
	n := e.markLost(s, f, i, r)
	f.sackedLen = min(f.sackedLen, s.Nxt-s.Una-f.lostLen)
	return n
}
