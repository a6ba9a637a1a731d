package tcp

import (
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

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
	p.sndWnd, p.sndWl1 = s.wnd<<p.sndScale, s.seq
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
		t.takeStamp(p, s)
		return true
	}
	t.takeStamp(p, s)
	p.ackedAt = t.nowMS
	wnd := s.wnd << p.sndScale
	pure := wnd == p.sndWnd && s.len() == 0
	// RFC 9293 §3.10.7.4, fifth; and an ACK that moves SND.UNA brings its window whatever its sequence number: with
	// the window of a later segment that overtook it, the edge would lie beyond what the peer has offered. SND.WL2 is
	// never more than SND.UNA, and SEG.ACK is not less.
	if after(s.ack, una) || before(p.sndWl1, s.seq) || p.sndWl1 == s.seq {
		if wnd > p.sndWnd && p.snd.len > 0 {
			t.mark(i, p)
		}
		p.sndWnd, p.sndWl1 = wnd, s.seq
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
	if s.flags&wire.ECE != 0 && p.flags&flagECN != 0 {
		a.CE = s.ack - una // for algorithms that count (RFC 8257 §3.3)
		if p.flags&flagCWR == 0 && after(s.ack, p.cwrSeq) {
			// RFC 3168 §6.1.2: once a window. Until CWR has arrived the peer repeats what was answered already.
			a.Flags |= recovery.AckECE
		}
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
		if p.snd.len == 0 {
			p.setNxt(cursor{})
			t.drained(p)
		} else if p.rec.Una == p.rec.Nxt {
			p.setNxt(cursor{})
		}
		if p.flags&flagSndLocked == 0 && t.sys.sendAuto != 0 {
			t.tuneSend(p)
		}
		if p.flags&flagWantWrite != 0 && p.writable() {
			p.flags &^= flagWantWrite
			if p.flags&flagSndbufLimited != 0 {
				t.limited(p, 0)
			}
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
