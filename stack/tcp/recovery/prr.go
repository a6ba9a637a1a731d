package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// Proportional rate reduction, RFC 9937: in recovery, and after an ECN mark, what is sent follows what arrives, so
// that the window has come down to ssthresh when it is over.

// reducing tells whether PRR governs the window.
func reducing(p Phase) bool { return p == PhaseRecovery || p == PhaseCWR }

// prrBegin is §6.2's start of a recovery. recoverFS is what was outstanding and had not arrived before the ACK.
func (f *flight) prrBegin(recoverFS uint32) {
	f.recoverFS = max(recoverFS, 1)
	f.prrDelivered, f.prrOut = 0, 0
}

// prr sets the window after an ACK that delivered so many bytes. safe: Una moved and nothing more was found lost.
func (e *Engine) prr(s *State, f *flight, delivered uint32, safe bool) {
	if s.CC.Algorithm().Traits()&cc.OwnsRecovery != 0 {
		return
	}
	mss := uint32(s.CC.MSS)
	pipe, ssthresh := s.pipe(f), s.CC.Ssthresh
	f.prrDelivered += delivered
	var send uint32
	switch {
	case delivered == 0 && f.prrOut != 0:
		return
	case pipe > ssthresh:
		quota := (uint64(f.prrDelivered)*uint64(ssthresh) + uint64(f.recoverFS) - 1) / uint64(f.recoverFS)
		send = uint32(min(quota-min(quota, uint64(f.prrOut)), 1<<30))
	default:
		send = max(f.prrDelivered-min(f.prrDelivered, f.prrOut), delivered) // conservative: PRR-CRB
		if safe {
			send += mss // and slow start while all goes well: PRR-SSRB
		}
		send = min(send, ssthresh-pipe)
	}
	if f.prrOut == 0 && s.phase == PhaseRecovery {
		send = max(send, mss) // the fast retransmit
	}
	if s.phase == PhaseCWR && s.CC.Cwnd < ssthresh {
		return // fewer than two segments after ECN marks (RFC 3168 §6.1.2): do not raise it
	}
	s.CC.Cwnd = max(pipe+send, mss)
}
