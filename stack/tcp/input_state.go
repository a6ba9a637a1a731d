package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// input takes a segment of a connection in: RFC 9293 §3.10.7.3 and 4, with RFC 5961 and RFC 7323.
func (t *TCP) input(i uint32, p *pcb, s *segment) {
	p.segsIn++
	t.dsackLater = recovery.Block{}
	if p.flags&flagTrace != 0 {
		t.trace.segment(t, i, p, s)
	}
	if p.state == stateSynSent {
		t.inputSynSent(i, p, s)
	} else {
		t.inputSynced(i, p, s)
	}
}

// fastFlags are the flags that a segment of the fast path may have besides ACK.
const fastFlags = wire.PSH | wire.ECE | wire.CWR

// inputSynced takes a segment in from SYN-RECEIVED on. The steps are those of RFC 9293 §3.10.7.4.
func (t *TCP) inputSynced(i uint32, p *pcb, s *segment) {
	// Header prediction: the next segment in order, or an acknowledgment, of an established connection.
	if n := s.text(); p.state == stateEstablished && s.flags&^fastFlags == wire.ACK && s.seq == p.rcvNxt &&
		n <= p.rcvAdv-p.rcvNxt && int32(p.rcvAdv-p.rcvNxt) >= 0 && t.stampFine(p, s) {
		if t.inputAck(i, p, s) && n > 0 {
			t.inputData(i, p, s, false)
		}
		return
	}
	t.joinPieces(s)

	// A SYN-ACK that crosses our own in a simultaneous open (RFC 9293 §3.5, figure 7): its SYN is known.
	if p.state == stateSynRcvd && s.flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN|wire.ACK && s.seq == p.irs && s.ack == p.iss+1 {
		s.flags &^= wire.SYN
		s.seq++
		p.flags |= flagAckNow
		t.mark(i, p)
	}

	// First: timestamps, then the sequence number.
	if !t.inputStamp(i, p, s) || !t.inputSequence(i, p, s) {
		return
	}
	// Second: RST (RFC 5961 §3.2): only the very next number resets, others in the window are asked to prove it.
	if s.flags&wire.RST != 0 {
		if s.seq == p.rcvNxt || t.sys.insecureRST != 0 {
			t.inputReset(i, p)
		} else {
			t.counters.ChallengedRST++
			t.challenge(i, p)
		}
		return
	}
	// Fourth: SYN (RFC 5961 §4.2): who really restarted will answer the challenge with a RST.
	if s.flags&wire.SYN != 0 {
		if t.sys.insecureSYN != 0 && p.state != stateSynRcvd {
			t.counters.ResetSYNInWindow++
			p.err = uint8(syscall.ECONNRESET)
			t.abort(i, p)
			return
		}
		t.counters.ChallengedSYN++
		t.challenge(i, p)
		return
	}
	// Fifth: ACK.
	if s.flags&wire.ACK == 0 {
		t.counters.DropNoAck++
		return
	}
	if p.state == stateSynRcvd && !t.inputHandshake(i, p, s) {
		return
	}
	if !t.inputAck(i, p, s) {
		return
	}
	// Sixth: URG. Seventh: the text. Eighth: FIN.
	if s.flags&wire.URG != 0 {
		t.inputUrgent(i, p, s)
	}
	if s.len() > 0 && p.state != stateFree {
		t.inputText(i, p, s)
	}
}

// stampFine is the check of timestamps for the fast path (RFC 7323 §5.3).
func (t *TCP) stampFine(p *pcb, s *segment) bool {
	if p.flags&flagStamp == 0 {
		return true
	}
	return s.opts.has&hasStamp != 0 && !before(s.opts.tsVal, p.tsRecent)
}

// takeStamp remembers the timestamp to echo (RFC 7323 §4.3), of a segment whose ACK was found good: a blind one must
// not have PAWS drop all that follow.
func (t *TCP) takeStamp(p *pcb, s *segment) {
	if p.flags&flagStamp != 0 && s.opts.has&hasStamp != 0 && beforeEq(s.seq, p.rcvAcked) {
		p.tsRecent, p.tsRecentAt = s.opts.tsVal, t.nowMS
	}
}

// stampStale is how long a timestamp protects: beyond, the peer's clock may have wrapped (RFC 7323 §5.5: 24 days).
const stampStale = 24 * 24 * 3600 * 1000

// inputStamp is PAWS (RFC 7323 §5.3 R1).
func (t *TCP) inputStamp(i uint32, p *pcb, s *segment) bool {
	if p.flags&flagStamp == 0 || s.flags&wire.RST != 0 {
		return true // R1: a RST is not subject to it
	}
	if s.opts.has&hasStamp == 0 {
		// RFC 7323 §3.2: such a segment should be dropped.
		if t.sys.tolerateNoStamp != 0 || p.state == stateSynRcvd && s.flags&wire.SYN != 0 {
			return true
		}
		t.counters.DropNoTimestamp++
		return false
	}
	if before(s.opts.tsVal, p.tsRecent) && t.nowMS-p.tsRecentAt < stampStale { // R1: an older one is invalid
		t.counters.DropPAWS++
		t.answerOld(i, p, s)
		return false
	}
	return true
}

// inputSequence is the acceptance test (RFC 9293 §3.4 and §3.10.7.4, first) and cuts off what lies outside of the window.
func (t *TCP) inputSequence(i uint32, p *pcb, s *segment) bool {
	wnd := p.window()
	n := s.len()
	if off := s.seq - p.rcvNxt; off < wnd || n == 0 && off == wnd && s.flags&wire.RST == 0 {
		// It begins in the window. An empty one may stand at its very edge: there is no other place for the ACKs of
		// a peer that has filled the window while a segment got lost. A RST may not (RFC 5961 §3.2).
	} else if n > 0 && before(s.seq, p.rcvNxt) && after(s.seq+n, p.rcvNxt) && wnd > 0 {
		t.cutOld(p, s)
	} else {
		return t.inputOutside(i, p, s, wnd)
	}
	if over := s.seq + uint32(len(s.payload)) - p.rcvNxt; over > wnd && len(s.payload) > 0 {
		t.counters.RxBeyondWindow++
		cut := min(over-wnd, uint32(len(s.payload)))
		s.payload = s.payload[:uint32(len(s.payload))-cut]
		s.flags &^= wire.FIN
		p.flags |= flagAckNow
		t.mark(i, p)
	}
	return true
}

// cutOld removes what was received before from the front of a segment.
func (t *TCP) cutOld(p *pcb, s *segment) {
	old := p.rcvNxt - s.seq
	if s.flags&wire.SYN != 0 {
		s.flags &^= wire.SYN
		s.seq++
		old--
	}
	if old > 0 {
		t.counters.RxPartlyOld++
		if p.flags&flagSACK != 0 {
			t.dsackLater = recovery.Block{Start: s.seq, End: p.rcvNxt}
		}
		s.payload = s.payload[min(old, uint32(len(s.payload))):]
		s.seq = p.rcvNxt
	}
}

// inputOutside answers a segment that is not acceptable (RFC 9293 §3.10.7.4, first).
func (t *TCP) inputOutside(i uint32, p *pcb, s *segment, wnd uint32) bool {
	switch {
	case s.flags&wire.RST != 0:
		// RFC 5961 §3.2: outside of the window, silence. With the window closed only the next number counts.
		if s.seq != p.rcvNxt {
			t.counters.DropOutsideRST++
			return false
		}
		return true
	case p.state == stateSynRcvd && s.flags&(wire.SYN|wire.ACK) == wire.SYN && s.seq == p.irs:
		t.counters.RxDuplicateSYN++ // the SYN-ACK was lost
		p.flags |= flagSyn
		t.mark(i, p)
		return false
	case s.flags&wire.SYN != 0:
		t.counters.ChallengedSYN++ // RFC 5961 §4.2: irrespective of the sequence number
		t.challenge(i, p)
		return false
	case wnd == 0 && s.seq == p.rcvNxt && s.flags&wire.ACK != 0:
		// RFC 9293 §3.10.7.4: with a closed window valid ACKs and URGs still count, and the probe is answered.
		t.counters.RxWindowProbes++
		s.payload = nil
		s.flags &^= wire.FIN
		p.flags |= flagAckNow
		t.mark(i, p)
		return true
	}
	if n := uint32(len(s.payload)); n > 0 && beforeEq(s.seq+n, p.rcvNxt) {
		t.counters.RxOld++
		t.counters.RxOldBytes += uint64(n)
	} else {
		t.counters.DropOutsideWindow++
	}
	t.answerOld(i, p, s)
	return false
}

// inputReset is a RST that is believed.
func (t *TCP) inputReset(i uint32, p *pcb) {
	t.counters.RxResets++
	errno := syscall.ECONNRESET
	switch p.state {
	case stateSynRcvd:
		if p.flags&flagActive != 0 { // a simultaneous open
			errno = syscall.ECONNREFUSED
		}
	case stateCloseWait:
		errno = syscall.EPIPE
	}
	t.fail(i, p, errno)
}
