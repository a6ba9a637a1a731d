package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack"
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
	switch p.state {
	case stateSynSent:
		t.inputSynSent(i, p, s)
	case stateTimeWait:
		t.inputTimeWait(i, p, s)
	default:
		t.inputSynced(i, p, s)
	}
}

// fastFlags are the flags that a segment of the fast path may have besides ACK.
const fastFlags = wire.PSH | wire.ECE | wire.CWR

// inputSynced takes a segment in from SYN-RECEIVED on. The steps are those of RFC 9293 §3.10.7.4.
func (t *TCP) inputSynced(i uint32, p *pcb, s *segment) {
	// Header prediction: the next segment in order, or an acknowledgment, of an established connection.
	if p.state == stateEstablished && s.flags&^fastFlags == wire.ACK && s.seq == p.rcvNxt &&
		uint32(len(s.payload)) <= p.rcvAdv-p.rcvNxt && int32(p.rcvAdv-p.rcvNxt) >= 0 && t.stampFine(p, s) {
		if t.inputAck(i, p, s) && len(s.payload) > 0 {
			t.inputData(i, p, s, false)
		}
		return
	}

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
		if s.seq == p.rcvNxt {
			t.inputReset(i, p)
		} else {
			t.counters.ChallengedRST++
			t.challenge(i, p)
		}
		return
	}
	// Fourth: SYN (RFC 5961 §4.2): who really restarted will answer the challenge with a RST.
	if s.flags&wire.SYN != 0 {
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

// stampFine is the check of timestamps for the fast path, and takes the new one over (RFC 7323 §4.3, §5.3).
func (t *TCP) stampFine(p *pcb, s *segment) bool {
	if p.flags&flagStamp == 0 {
		return true
	}
	if s.opts.has&hasStamp == 0 || before(s.opts.tsVal, p.tsRecent) {
		return false
	}
	if beforeEq(s.seq, p.rcvAcked) {
		p.tsRecent = s.opts.tsVal
		p.tsRecentAt = t.nowMS
	}
	return true
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
	if before(s.opts.tsVal, p.tsRecent) {
		if t.nowMS-p.tsRecentAt < stampStale {
			t.counters.DropPAWS++
			t.answerOld(i, p, s)
			return false
		}
		p.tsRecent = s.opts.tsVal // R1: the old one is invalid now
	}
	return true
}

// inputSequence is the acceptance test (RFC 9293 §3.4 and §3.10.7.4, first) and cuts off what lies outside of the window.
func (t *TCP) inputSequence(i uint32, p *pcb, s *segment) bool {
	wnd := p.window()
	n := s.len()
	if off := s.seq - p.rcvNxt; n == 0 && off <= wnd || n > 0 && off < wnd {
		// It begins in the window. An empty one may stand at its very edge: there is no other place for the ACKs of
		// a peer that has filled the window while a segment got lost.
	} else if n > 0 && before(s.seq, p.rcvNxt) && after(s.seq+n, p.rcvNxt) && wnd > 0 {
		t.cutOld(p, s)
	} else {
		return t.inputOutside(i, p, s, wnd)
	}
	if s.opts.has&hasStamp != 0 && p.flags&flagStamp != 0 && beforeEq(s.seq, p.rcvAcked) {
		p.tsRecent, p.tsRecentAt = s.opts.tsVal, t.nowMS
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

// answerOld sends the ACK that an unacceptable segment gets at once. What carries data is a retransmission and always
// gets one; the rest only so many, lest two peers go on telling each other (RFC 5961 §7).
func (t *TCP) answerOld(i uint32, p *pcb, s *segment) {
	if len(s.payload) == 0 && s.flags&wire.FIN == 0 && !t.mayChallenge(p) {
		return
	}
	if p.flags&flagSACK != 0 && len(s.payload) > 0 && before(s.seq, p.rcvNxt) {
		t.dsackLater = recovery.Block{Start: s.seq, End: s.seq + uint32(len(s.payload))}
	}
	t.ackAtOnce(i, p)
}

// ackAtOnce sends an ACK now, past the dirty list, because the peer counts such ACKs.
func (t *TCP) ackAtOnce(i uint32, p *pcb) {
	t.dsack, t.dsackLater = t.dsackLater, recovery.Block{}
	if t.dsack.Start != t.dsack.End {
		t.counters.TxDSACKs++
	}
	ok := t.sendAck(p)
	t.dsack = recovery.Block{}
	if ok {
		t.counters.TxDuplicateAcks++
		return
	}
	p.flags |= flagAckNow
	t.mark(i, p)
}

// sendAck sends an ACK now if there is a route and a frame.
func (t *TCP) sendAck(p *pcb) bool {
	if p.gen != t.gen {
		return false
	}
	_, ok := t.transmit(p, p.rec.Nxt, wire.ACK, 0, cursor{})
	return ok
}

// challenge sends a challenge ACK (RFC 5961 §3.2), within limits (§7).
func (t *TCP) challenge(i uint32, p *pcb) {
	if t.mayChallenge(p) {
		t.counters.TxChallengeAcks++
		t.ackAtOnce(i, p)
	}
}

// mayChallenge counts the answers of this period. The period's number is per connection: a limit for all would tell
// an attacker on one connection about another (CVE-2016-5696).
func (t *TCP) mayChallenge(p *pcb) bool {
	period := uint8(t.nowMS / uint32(t.sys.warTime))
	if p.warPeriod != period {
		p.warPeriod, p.warCount = period, 0
	}
	if int(p.warCount) >= t.sys.warCount {
		t.counters.ChallengesWithheld++
		return false
	}
	p.warCount++
	return true
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

// inputHandshake is the ACK that completes a connection in SYN-RECEIVED.
func (t *TCP) inputHandshake(i uint32, p *pcb, s *segment) bool {
	if s.ack != p.iss+1 {
		t.counters.DropHandshakeAck++
		t.resetSegment(s)
		return false
	}
	if p.parent != 0 {
		if l := t.listens.at(t.pcbs.at(p.parent).ext); l.waiting >= l.backlog {
			// The application does not keep up: as if the ACK were lost. The peer, or our SYN-ACK again, repeats it.
			t.counters.DropAcceptQueueFull++
			return false
		}
	}
	p.sndWnd, p.sndWl1, p.sndWl2 = s.wnd<<p.sndScale, s.seq, s.ack
	p.sndWndMax = p.sndWnd
	t.ackSYN(p, s)
	t.establish(i, p, s)
	return p.state != stateFree
}

// ackSYN takes the acknowledgment of our SYN in, before the options and the window of the connection count.
func (t *TCP) ackSYN(p *pcb, s *segment) {
	if p.rec.Una == p.rec.Nxt { // made from a cookie
		return
	}
	a := recovery.Ack{Ack: s.ack}
	t.echo(p, s, &a)
	t.rec.OnAck(&p.rec, &a, t.now/1e3, &t.result)
}

// echo passes on the timestamp that a segment echoes.
func (t *TCP) echo(p *pcb, s *segment, a *recovery.Ack) {
	if p.flags&flagStamp != 0 && s.opts.has&hasStamp != 0 {
		a.Flags |= recovery.AckEcho
		a.Echo = s.opts.tsEcr - p.tsOffset
	}
}

// inputAck takes the acknowledgment and window in. It returns false if the segment counts no further.
func (t *TCP) inputAck(i uint32, p *pcb, s *segment) bool {
	una, nxt := p.rec.Una, p.rec.Nxt
	if s.ack-una > nxt-una { // not in [una, nxt]
		if after(s.ack, nxt) || before(s.ack, una-p.sndWndMax) {
			// RFC 5961 §5.2: data with an ACK from nowhere is an attacker's.
			t.counters.ChallengedACK++
			t.challenge(i, p)
			return false
		}
		t.counters.RxOldAcks++
		return true
	}
	p.ackedAt = t.nowMS
	wnd := s.wnd << p.sndScale
	pure := wnd == p.sndWnd && s.len() == 0
	if before(p.sndWl1, s.seq) || p.sndWl1 == s.seq && beforeEq(p.sndWl2, s.ack) {
		if wnd > p.sndWnd && p.snd.len > 0 {
			t.mark(i, p)
		}
		p.sndWnd, p.sndWl1, p.sndWl2 = wnd, s.seq, s.ack
		p.sndWndMax = max(p.sndWndMax, wnd)
	}
	if p.flags&flagPersist != 0 || p.probes != 0 {
		t.probeAnswered(i, p)
	}
	if una == nxt && s.opts.blocks == 0 { // nothing is in flight, and no DSACK tells of what was
		return true
	}
	var a recovery.Ack
	a.Ack, a.Unsent = s.ack, t.permitted(p)
	if pure {
		a.Flags |= recovery.AckPure
	}
	t.echo(p, s, &a)
	if s.flags&wire.ECE != 0 && p.flags&(flagECN|flagCWR) == flagECN && after(s.ack, p.cwrSeq) {
		// RFC 3168 §6.1.2: once a window. Until CWR has arrived the peer repeats what was answered already.
		a.Flags |= recovery.AckECE
	}
	if p.flags&flagSACK != 0 && s.opts.blocks > 0 {
		a.Blocks, a.SACK = s.opts.blocks, s.opts.sack
	}
	r := &t.result
	t.rec.OnAck(&p.rec, &a, t.now/1e3, r)
	if r.Acked > 0 {
		t.acked(i, p, r.Acked)
		if p.state == stateFree || p.state == stateClosed {
			return false
		}
	}
	if r.Flags != 0 {
		t.noteRecovery(i, p, r)
	}
	if p.snd.len > 0 && p.rec.Nxt != p.sndEnd() || p.flags&(flagShutWr|flagFinSent) == flagShutWr {
		t.mark(i, p)
	}
	if p.flags&flagDirty == 0 {
		t.setLossTimer(i, p)
	}
	return true
}

// permitted is how much unsent data the peer's window lets go.
func (t *TCP) permitted(p *pcb) uint32 {
	n := p.unsent()
	if n == 0 {
		return 0
	}
	if wnd := p.rec.Una + p.sndWnd - p.rec.Nxt; int32(wnd) > 0 {
		return min(n, wnd)
	}
	return 0
}

// acked frees n acknowledged units of sequence space and goes on to the next state if the FIN was among them.
func (t *TCP) acked(i uint32, p *pcb, n uint32) {
	p.progress = t.nowMS
	p.soft = 0
	data := min(n, p.snd.len)
	if data > 0 {
		t.chunks.drop(&p.snd, data)
		p.acked += uint64(data)
		if p.rec.Una == p.rec.Nxt || p.snd.len == 0 {
			p.setNxt(cursor{})
		}
		if p.flags&flagSndLocked == 0 && t.sys.sendAuto != 0 {
			t.tuneSend(p)
		}
		if p.flags&flagWantWrite != 0 && p.writable() {
			p.flags &^= flagWantWrite
			t.notify(p, stack.EventOut)
		}
	}
	if t.nowMS-p.confirm > confirmEvery {
		t.confirmRoute(i, p)
	}
	if p.flags&flagUrgent != 0 && afterEq(p.rec.Una, p.sndUp) {
		p.flags &^= flagUrgent
	}
	if n > data && p.flags&flagFinSent != 0 && p.rec.Una == p.rec.Nxt {
		t.finAcked(i, p)
	}
}

// noteRecovery counts what recovery found out and has the lost sent again.
func (t *TCP) noteRecovery(i uint32, p *pcb, r *recovery.Result) {
	c := &t.counters
	if r.Flags&recovery.ResultDuplicate != 0 {
		c.RxDuplicateAcks++
	}
	if r.Flags&recovery.ResultEnter != 0 {
		c.FastRecoveries++
	}
	if r.Flags&recovery.ResultSpurious != 0 {
		c.SpuriousRecoveries++
	}
	if r.Flags&recovery.ResultDSACK != 0 {
		c.RxDSACKs++
	}
	if r.Flags&recovery.ResultCWR != 0 {
		c.RxCongestionEchoes++
		p.flags |= flagCWR
	}
	if r.Flags&recovery.ResultRetransmit != 0 {
		p.flags |= flagRetransmit
		t.mark(i, p)
	}
	if p.flags&flagTrace != 0 {
		t.trace.step(t, i, p, "recovery")
	}
}
