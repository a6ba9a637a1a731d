package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// Tail loss probes, RFC 8985 §7: when ACKs fail to come, one segment is sent to provoke one before the RTO must.

// probeMin is the least probe timeout beyond two round trips, for peers that answer in batches, µs.
const probeMin = 2000

// probeTimeout is TLP_calc_PTO without its bound, the RTO.
func (e *Engine) probeTimeout(s *State) uint32 {
	if s.srtt == 0 {
		return 1_000_000
	}
	if s.Nxt-s.Una <= uint32(s.CC.MSS) { // the peer may delay the ACK of a single segment
		return s.srtt>>2 + e.cfg.MaxAckDelay
	}
	return s.srtt>>2 + probeMin
}

// probing tells whether the next timeout is a probe's (§7.2, §7.3): not in recovery, none outstanding, and a round
// trip was measured since the last one.
func (e *Engine) probing(s *State, f *flight) bool {
	return s.flags&(stateSACK|stateProbeable) == stateSACK|stateProbeable && s.phase < PhaseRecovery &&
		f.flags&flightTLP == 0 && !e.cfg.NoTLP
}

// probe answers the probe timer: new data if there is any, else the last segment again (TLP_send_probe). Whether or
// not it can be sent, the RTO is next.
func (e *Engine) probe(s *State, f *flight, t, unsent uint32) (seq, n uint32) {
	e.counters.Probes++
	s.flags &^= stateProbeable
	f.rtoFrom = t
	mss := uint32(s.CC.MSS)
	if unsent != 0 {
		return s.Nxt, min(unsent, mss)
	}
	i := f.tail
	if r := e.rec(i); r.flags&recSacked != 0 && r.prev != 0 {
		i = r.prev // ranges that arrived are joined: the one before did not
	}
	r := e.rec(i)
	n = r.len()
	if r.flags&recFIN != 0 && n == mss+1 {
		return r.seq, n
	}
	if n > mss {
		if n %= mss; n == 0 {
			n = mss
		}
	}
	return r.end - n, n
}

// probeSent takes note that a probe left.
func (e *Engine) probeSent(s *State, kind flightFlags) {
	f := e.flights.at(s.flight)
	f.flags = f.flags&^(flightTLP|flightTLPResent) | kind
	f.tlpEnd = s.Nxt
}

// probeAnswered is TLP_process_ack (§7.4.2): it finds a loss that the probe itself repaired, for which congestion
// control must answer as for any other. (A DSACK for the probe was seen before.)
func (e *Engine) probeAnswered(s *State, f *flight, w *work) {
	if f.flags&flightTLP == 0 || seqLT(s.Una, f.tlpEnd) {
		return
	}
	switch {
	case f.flags&flightTLPResent == 0: // new data: RACK sees what is lost
	case s.Una != f.tlpEnd: // data sent later arrived, and no DSACK came first
		e.counters.ProbesRepaired++
		if s.phase < PhaseCWR {
			e.sample.Recovery = true
			s.CC.Notify(cc.EventLoss, &e.sample)
			if s.CC.Algorithm().Traits()&cc.OwnsRecovery == 0 {
				s.CC.Cwnd = min(s.CC.Cwnd, s.CC.Ssthresh)
			}
		}
	case w.acked == 0 && w.ack.Blocks == 0 && w.ack.Flags&AckPure != 0: // both copies arrived; the peer has no DSACK
	default:
		return
	}
	f.flags &^= flightTLP | flightTLPResent
}
