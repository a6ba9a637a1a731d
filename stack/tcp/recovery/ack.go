package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// OnAck takes an ACK in and fills r. An ACK outside of Una … Nxt is ignored.
func (e *Engine) OnAck(s *State, a *Ack, now int64, r *Result) {
	*r = Result{}
	n := a.Ack - s.Una
	if s.flight == 0 || n > s.Nxt-s.Una {
		if s.flight == 0 && a.dsack() {
			e.counters.DSACKs++
			r.Flags |= ResultDSACK
		}
		return
	}
	f := e.flights.at(s.flight)
	if n != 0 && a.Blocks == 0 && s.phase == PhaseOpen && uint32(f.flags&^flightQuiet)|f.sackedLen|f.lostLen|a.CE == 0 &&
		a.Flags&AckECE == 0 {
		e.ackFast(s, f, a, now, r)
		return
	}
	e.ackSlow(s, f, a, now, r)
}

// ackFast is for an ACK that moves Una while nothing is lost, selectively acknowledged or sent again: then the order
// of sequence is the order of time.
func (e *Engine) ackFast(s *State, f *flight, a *Ack, now int64, r *Result) {
	t := uint32(now)
	prior := s.Nxt - s.Una
	n := a.Ack - s.Una
	i := f.head
	p := e.rec(i) // the newest that arrived; its stamp outlives its release
	if p.end == a.Ack && p.next == 0 && p.flags&recAppLimited != 0 && s.rateTime != 0 &&
		s.CC.AckUnused(s.Nxt, s.delivered+n, prior, s.srtt>>3, now) { // all of a burst that neither window limited
		s.Una = a.Ack
		s.delivered += n
		s.Retries = 0
		rtt := max(t-p.sent, 1)
		e.sampleRTT(s, rtt)
		s.sampleMin(rtt, now)
		r.Acked, r.Delivered, r.RTT = n, n, rtt
		e.records.release(i)
		e.flights.release(s.flight)
		s.flight = 0
		return
	}
	oldest := p.sent
	for seqLEQ(p.end, a.Ack) {
		next := p.next
		f.records--
		e.records.release(i)
		i = next
		if i == 0 {
			break
		}
		if q := e.rec(i); q.seq == a.Ack {
			break
		} else {
			p = q
		}
	}
	s.Una = a.Ack
	s.delivered += n
	s.Retries = 0

	// Field by field: a literal would be built elsewhere and copied in wider pieces than it was written, which stalls.
	rtt := max(t-p.sent, 1)
	e.sampleRTT(s, t-oldest)
	s.sampleMin(rtt, now)
	k := &e.sample
	k.Now, k.Acked, k.Delivered, k.Lost = now, n, n, 0
	k.Prior, k.InFlight = prior, prior-n
	k.Una, k.Nxt, k.Total = a.Ack, s.Nxt, s.delivered
	k.RTT, k.SRTT, k.MinRTT = rtt, s.srtt>>3, s.MinRTT()
	k.CE, k.Resent, k.Idle, k.Recovery, k.Timeout = 0, 0, 0, false, false
	s.rate(&p.stamp, t, k.MinRTT, &k.Rate)
	s.CC.Ack(k)
	r.Acked, r.Delivered, r.RTT = n, n, rtt

	if i == 0 { // nothing is in flight, and nothing to be learnt of past losses
		e.flights.release(s.flight)
		s.flight = 0
		return
	}
	first := e.rec(i)
	first.seq = a.Ack
	first.prev, first.sooner = 0, 0
	f.head, f.sent.first, f.finger = i, i, 0
	f.rtoFrom, f.ptoFrom = t, t
	f.dupAcks = 0
	f.fack = a.Ack
	f.rackSent, f.rackEnd, f.rackRTT = p.sent, a.Ack, rtt
	s.arrived(f, &p.stamp, t)
}

// work is what is found out while one ACK is taken in.
type work struct {
	ack       *Ack
	now       int64
	t         uint32
	acked     uint32 // bytes newly acknowledged cumulatively
	sacked    uint32 // and selectively
	total     uint32 // either, each byte once
	lost      uint32 // bytes newly marked lost
	prior     uint32 // pipe before
	unsacked  uint32 // outstanding and not selectively acknowledged before
	newest    newest
	rtt       uint32 // of the oldest segment that arrived, if have
	have      bool
	dsack     bool
	original  bool // something arrived that was sent once only, and before the loss
	resent    bool // something arrived that was sent again
	answered  bool // something is acknowledged cumulatively that was sent again in this episode
	duplicate bool
}

func (e *Engine) ackSlow(s *State, f *flight, a *Ack, now int64, r *Result) {
	w := work{ack: a, now: now, t: uint32(now), prior: s.pipe(f), unsacked: s.Nxt - s.Una - f.sackedLen}
	w.dsack = a.dsack()
	w.acked = a.Ack - s.Una

	// What arrived.
	if w.acked != 0 {
		e.ackCumulative(s, f, &w)
	}
	switch {
	case s.flags&stateSACK == 0:
		e.countDuplicate(s, f, &w)
	case a.Blocks != 0:
		e.sackBlocks(s, f, &w)
	}
	w.duplicate = w.duplicate || w.acked == 0 && w.sacked != 0
	if w.acked != 0 {
		f.dupAcks = 0
		s.Retries = 0
	} else if w.duplicate {
		f.dupAcks++
	}

	// Round trip times and the delivery rate.
	k := &e.sample
	*k = cc.Sample{Now: now, Acked: w.acked, Delivered: w.total, Prior: w.prior, Una: s.Una, Nxt: s.Nxt, Total: s.delivered, CE: a.CE}
	e.times(s, f, &w, k)

	// What was lost, and whether it was.
	if w.dsack {
		e.duplicateReported(s, f, &w, r)
	}
	e.probeAnswered(s, f, &w)
	if s.flags&stateSACK != 0 {
		e.detectLoss(s, f, w.t, &w.lost)
	} else {
		e.detectLossByCount(s, f, &w)
	}
	k.Lost, k.InFlight = w.lost, s.pipe(f)
	before := s.phase
	e.advancePhase(s, f, &w, r)

	// The window.
	k.InFlight = s.pipe(f)
	k.Recovery = reducing(before) || reducing(s.phase)
	k.Timeout = s.phase == PhaseLoss
	if w.total != 0 {
		s.CC.Ack(k)
	}
	if reducing(s.phase) {
		e.prr(s, f, w.total, w.acked != 0 && w.lost == 0)
	}

	if w.acked != 0 {
		f.rtoFrom = w.t // RFC 6298 §5.3
	}
	if w.total != 0 {
		f.ptoFrom = w.t
	}
	if f.flags&flightEnded != 0 && seqLT(f.undoUntil, s.Una) {
		f.flags &^= flightUndo | flightEnded | flightStamp
	}
	r.Acked, r.Delivered, r.Lost, r.RTT = w.acked, w.total, w.lost, k.RTT
	if w.duplicate {
		r.Flags |= ResultDuplicate
	}
	if f.lost.first != 0 && f.flags&flightFRTONew == 0 {
		r.Flags |= ResultRetransmit
	}
	if f.head == 0 {
		e.end(s, f)
	} else if f.flags&flightResent != 0 && seqLEQ(f.resentEnd, s.Una) {
		f.flags &^= flightResent // the short way again
	}
}

// ackCumulative takes away the records below the new Una.
func (e *Engine) ackCumulative(s *State, f *flight, w *work) {
	ack := w.ack.Ack
	s.Una = ack
	for i := f.head; i != 0; {
		r := e.rec(i)
		if !seqLT(r.seq, ack) {
			break
		}
		end := r.end
		whole := seqLEQ(end, ack)
		if !whole {
			end = ack
		}
		n := end - r.seq
		if r.flags&recSacked != 0 {
			f.sackedLen -= n
			if seqLT(f.fack, end) {
				f.fack = end
			}
		} else {
			if r.flags&recLost != 0 {
				f.lostLen -= n
			}
			e.delivered(s, f, w, r, end, n)
			if whole {
				e.pull(f.queue(r), r)
			}
		}
		if !whole {
			r.seq = ack
			break
		}
		next := r.next
		e.drop(f, i, r)
		i = next
	}
}

// delivered takes note of n bytes of a record, up to end, that have arrived: RACK's steps 1 to 3 (RFC 8985 §6.2).
func (e *Engine) delivered(s *State, f *flight, w *work, r *record, end, n uint32) {
	w.total += n
	s.delivered += n
	w.newest.offer(r, end)
	rtt := max(w.t-r.sent, 1)
	if r.flags&recResent == 0 {
		if !w.have || rtt > w.rtt {
			w.rtt, w.have = rtt, true
		}
		if f.flags&flightRecover != 0 && seqLEQ(end, f.recover) {
			w.original = true
		}
		if seqLT(end, f.fack) && s.flags&(stateReordering|stateSACK) == stateSACK {
			s.flags |= stateReordering
			e.counters.ReorderingSeen++
		}
	}
	if seqLT(f.fack, end) {
		f.fack = end
	}
	if r.flags&recResent != 0 { // which transmission arrived?
		w.resent = true
		sent := uint32((w.now - int64(rtt)) / 1000)
		if f.flags&flightStamp != 0 && int32(sent-f.undoStamp) >= 0 && seqLEQ(end, w.ack.Ack) {
			w.answered = true
		}
		if w.ack.Flags&AckEcho != 0 && int32(w.ack.Echo-sent) < 0 {
			return
		}
		if rtt < s.MinRTT() {
			return
		}
	}
	if f.rackRTT == 0 || sentAfter(r.sent, end, f.rackSent, f.rackEnd) {
		f.rackSent, f.rackEnd, f.rackRTT = r.sent, end, rtt
	}
}

// times takes the samples of what arrived.
func (e *Engine) times(s *State, f *flight, w *work, k *cc.Sample) {
	if w.newest.have {
		s.rate(&w.newest.stamp, w.t, s.MinRTT(), &k.Rate)
		s.arrived(f, &w.newest.stamp, w.t)
		if w.newest.flags&recResent == 0 {
			k.RTT = max(w.t-w.newest.sent, 1)
			s.sampleMin(k.RTT, w.now)
		}
	}
	switch {
	case w.have && !w.resent && !w.dsack: // Karn: none of an ACK that answers a retransmission …
		if w.sacked != 0 || f.flags&flightTLP != 0 { // older ones may have been reported before, in an ACK that was lost
			w.rtt = k.RTT
		}
		e.sampleRTT(s, w.rtt)
	case w.acked != 0 && w.ack.Flags&AckEcho != 0: // … unless the timestamp tells which (RFC 7323 §4.1)
		if ms := uint32(w.now/1000) - w.ack.Echo; ms < e.cfg.RTOMax/1000 {
			e.sampleRTT(s, max(ms*1000, granularity))
		}
	}
	k.SRTT, k.MinRTT = s.SRTT(), s.MinRTT()
}
