package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// OnSend records that [seq, seq+n) left at now; seq < Nxt: again. A SYN or FIN counts in n. false: there is no memory
// for a record, the segment must not be sent; try again in a later turn (only for new data).
func (e *Engine) OnSend(s *State, seq, n uint32, now int64, flags SendFlags) bool {
	t := uint32(now)
	if n == 0 {
		return true // an empty segment takes no sequence space
	}
	if seq != s.Nxt {
		e.resend(s, seq, n, now)
		if flags&SendProbe != 0 && s.flight != 0 {
			e.probeSent(s, flightTLP|flightTLPResent)
		}
		return true
	}
	var f *flight
	if s.flight == 0 {
		if f = e.begin(s, n, t, flags); f == nil {
			e.counters.NoRecords++
			return false
		}
	} else if f = e.flights.at(s.flight); !e.join(s, f, n, t, flags) && !e.record(s, f, n, t, flags) {
		e.counters.NoRecords++
		return false
	}
	s.Nxt += n
	f.ptoFrom = t
	f.flags &^= flightForce
	s.sentTick = tick(now)
	if s.phase == PhaseRecovery || s.phase == PhaseCWR {
		f.prrOut += n
	}
	if flags&SendLast != 0 {
		s.limited(f)
	}
	if flags&SendProbe != 0 {
		e.probeSent(s, flightTLP)
	}
	return true
}

// begin takes a flight for a connection that has none, with its first record. nil: no memory.
func (e *Engine) begin(s *State, n, t uint32, flags SendFlags) *flight {
	i := e.flights.alloc()
	if i == 0 {
		return nil
	}
	j := e.records.alloc()
	if j == 0 {
		e.flights.release(i)
		return nil
	}
	s.flight = i
	f, r := e.flights.at(i), e.rec(j)
	f.scoreboard = scoreboard{}
	f.head, f.tail, f.sent.first, f.sent.last, f.records = j, j, j, j, 1
	f.fack, f.rtoFrom, f.appLimited = s.Una, t, s.delivered
	f.deliveredAt, f.firstSent = t, t
	r.seq, r.end = s.Nxt, s.Nxt+n
	r.next, r.prev, r.later, r.sooner = 0, 0, 0, 0
	r.sent, r.delivered, r.deliveredAt, r.firstSent = t, s.delivered, t, t
	r.lostTotal, r.inFlight = s.lostTotal, n
	f.flags, r.flags = flightAppLimited, recAppLimited|s.kind(n, flags)
	if flags&SendWaited != 0 {
		f.flags, r.flags = 0, r.flags&^recAppLimited
	}
	return f
}

// kind are the flags of a record of n bytes that are sent for the first time.
func (s *State) kind(n uint32, flags SendFlags) recordFlags {
	mss := uint32(s.CC.MSS)
	k := recordFlags(flags&SendSYN)*recSYN | recordFlags(flags&SendFIN/SendFIN)*recFIN
	if n < mss || n > mss && n%mss != 0 {
		k |= recShort
	}
	return k
}

// join lengthens the last record when the new data left at the same time and in the same state: a burst is one
// record.
func (e *Engine) join(s *State, f *flight, n, t uint32, flags SendFlags) bool {
	if f.tail == 0 || flags&(SendSYN|SendFIN|SendProbe) != 0 {
		return false
	}
	r := e.rec(f.tail)
	if r.sent != t || r.delivered != s.delivered || r.flags&^recAppLimited != 0 {
		return false
	}
	r.end += n
	r.inFlight += n
	r.flags |= s.kind(n, 0)
	return true
}

// record makes a new record at the end.
func (e *Engine) record(s *State, f *flight, n, t uint32, flags SendFlags) bool {
	i := e.records.alloc()
	if i == 0 {
		return false
	}
	r := e.rec(i)
	if f.tail == 0 {
		f.head, f.rtoFrom = i, t // RFC 6298 §5.1
	} else {
		e.rec(f.tail).next = i
	}
	r.seq, r.end = s.Nxt, s.Nxt+n
	r.next, r.prev = 0, f.tail
	r.flags = s.kind(n, flags)
	f.tail = i
	f.records++
	s.stampRate(f, r, t)
	r.inFlight += n
	e.push(&f.sent, i, r)
	return true
}

// resend records that a range left again. It always succeeds: where no record is left to split one off, the whole
// counts as sent, and what was not is found by the RTO.
func (e *Engine) resend(s *State, seq, n uint32, now int64) {
	if s.flight == 0 {
		return
	}
	f := e.flights.at(s.flight)
	t := uint32(now)
	end := seq + n
	f.flags &^= flightForce
	s.sentTick = tick(now)
	e.counters.SegmentsResent++
	for i := e.find(f, seq); i != 0; {
		r := e.rec(i)
		if !seqLT(r.seq, end) {
			break
		}
		if seqLT(r.seq, seq) && e.split(f, i, seq) {
			i = r.next
			r = e.rec(i)
		}
		if seqLT(end, r.end) {
			e.split(f, i, end)
		}
		next := r.next
		if r.flags&recSacked == 0 {
			e.resendRecord(s, f, i, r, t, now)
		}
		i = next
	}
}

func (e *Engine) resendRecord(s *State, f *flight, i uint32, r *record, t uint32, now int64) {
	n := r.len()
	if r.flags&recSYN != 0 {
		s.flags |= stateSYNLost
	}
	if i == f.head {
		f.rtoFrom = t // the timer waits for this transmission
	}
	s.resent += n
	f.resentLen += n
	e.counters.BytesResent += uint64(n)
	if s.phase == PhaseRecovery || s.phase == PhaseCWR {
		f.prrOut += n
	}
	if f.flags&flightUndo != 0 && f.flags&flightEnded == 0 {
		f.undoResent += n
		if f.flags&flightStamp == 0 {
			f.flags |= flightStamp
			f.undoStamp = uint32(now / 1000)
		}
	}
	f.disorder(r.end)
	q := f.queue(r)
	e.pull(q, r)
	if r.flags&recLost != 0 {
		s.stampRate(f, r, t)
		f.lostLen -= n
	} else { // a probe: the first transmission is still counted in flight
		s.stampRate(f, r, t)
		r.inFlight -= n
	}
	r.inFlight += n
	r.flags = r.flags&^recLost | recResent
	// Join to the range before it, sent again at the same time.
	if p := f.sent.last; p != 0 && p == r.prev {
		if b := e.rec(p); b.sent == t && b.flags&^recAppLimited == recResent && b.delivered == r.delivered && r.flags&^recAppLimited == recResent {
			b.end = r.end
			b.inFlight = r.inFlight
			e.drop(f, i, r)
			return
		}
	}
	e.push(&f.sent, i, r)
}

// find is the record that holds a sequence number: as a rule the first lost one, the first or the last.
func (e *Engine) find(f *flight, seq uint32) uint32 {
	for _, i := range [3]uint32{f.lost.first, f.head, f.tail} {
		if i != 0 && seqLEQ(e.rec(i).seq, seq) && seqLT(seq, e.rec(i).end) {
			return i
		}
	}
	for i := f.head; i != 0; i = e.rec(i).next {
		if seqLT(seq, e.rec(i).end) {
			return i
		}
	}
	return 0
}

// NextRetransmit gives the next range to send again, at most limit bytes (a multiple of the MSS), if the congestion
// window permits one. A FIN at the end may make it one longer. The core sends it and calls OnSend, or leaves off. It
// does not look at the peer's window.
func (e *Engine) NextRetransmit(s *State, limit uint32) (seq, n uint32, ok bool) {
	if s.flight == 0 {
		return 0, 0, false
	}
	f := e.flights.at(s.flight)
	if f.lost.first == 0 || f.flags&flightFRTONew != 0 {
		return 0, 0, false
	}
	r := e.rec(f.lost.first)
	mss := uint32(s.CC.MSS)
	n = r.len()
	if r.flags&recFIN != 0 && n == limit+1 {
		limit++
	}
	n = min(n, limit)
	if f.flags&flightForce != 0 {
		return r.seq, min(n, max(mss, 1)), true
	}
	pipe := s.pipe(f)
	if pipe == 0 {
		return r.seq, min(n, max(s.CC.Cwnd/mss*mss, mss)), true
	}
	if room := s.CC.Cwnd - min(pipe, s.CC.Cwnd); n > room {
		if n = room / mss * mss; n == 0 {
			return 0, 0, false
		}
	}
	return r.seq, n, true
}

// Allowance is how many bytes of new data the congestion window permits at now. It restarts the window after idle
// time, so it is asked before the first segment of a burst is built.
func (e *Engine) Allowance(s *State, now int64) uint32 {
	if s.Una == s.Nxt {
		if s.sentTick != 0 && tick(now)-s.sentTick > e.cfg.RTOMin>>10 {
			e.idle(s, now)
		}
		return s.CC.Cwnd
	}
	f := e.flights.at(s.flight)
	if f.lost.first != 0 && f.flags&flightFRTONew == 0 {
		return 0 // what was lost goes first
	}
	return s.CC.Cwnd - min(s.pipe(f), s.CC.Cwnd)
}

// idle restarts the window after more than one RTO without sending (RFC 5681 §4.1).
func (e *Engine) idle(s *State, now int64) {
	ticks := tick(now) - s.sentTick
	if ticks <= e.RTO(s)>>10 {
		return
	}
	s.sentTick += ticks
	if !e.cfg.NoIdleRestart {
		e.counters.IdleRestarts++
		s.CC.Restart()
	}
	k := &e.sample
	*k = cc.Sample{Now: now, Una: s.Una, Nxt: s.Nxt, Total: s.delivered, SRTT: s.SRTT(), MinRTT: s.MinRTT()}
	k.Idle = uint32(min(uint64(ticks)<<10, 1<<32-1))
	s.CC.Notify(cc.EventIdle, k)
}
