package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// outputData sends again what recovery asks for, then new data and the FIN, as far as both windows go.
func (t *TCP) outputData(i uint32, p *pcb) bool {
	if p.flags&flagPaced != 0 && p.toSend() && !t.mayBurst(i, p) {
		return true
	}
	if p.flags&flagRetransmit != 0 {
		if !t.outputAgain(i, p) {
			return false
		}
		if p.flags&flagPaceWait != 0 {
			return true
		}
	}
	if p.flags&flagFinSent != 0 || p.snd.len == 0 && p.flags&flagShutWr == 0 {
		return true
	}
	now := t.now / 1e3
	for count := 0; ; count++ {
		n := p.sndEnd() - p.rec.Nxt
		fin := p.flags&flagShutWr != 0
		if n == 0 && !fin {
			if p.flags&(flagWantWrite|flagsLimited) != 0 {
				t.allSent(p)
			}
			return true
		}
		all := n
		wnd := p.rec.Una + p.sndWnd - p.rec.Nxt
		if int32(wnd) < 0 { // it was shrunk below what is in flight (RFC 9293 §3.8.6: SHLD-15)
			wnd = 0
		}
		n = min(n, wnd)
		allow := t.rec.Allowance(&p.rec, now)
		n = min(n, allow)
		fin = fin && n == all && n < wnd && (n < allow || n == 0)
		mss := t.room(p)
		permitted := n
		if n > mss {
			n = t.superSegment(p, n, mss)
			fin = false
		} else if n < mss && !fin && !t.maySendShort(p, n, all, wnd) {
			t.hold(i, p, all, wnd, min(allow, mss))
			return true
		}
		if n == 0 && !fin {
			t.hold(i, p, all, wnd, min(allow, mss))
			return true
		}
		// PSH where the data ends (RFC 9293 §3.9.1.2), and where a window ends a burst of several segments, as on Linux.
		push := n == all || permitted != all && permitted-n < mss && (n > mss || count > 0)
		if !t.sendData(i, p, n, fin, n == all, push, now) {
			return p.state == stateClosed || p.state == stateFree
		}
		if p.flags&flagPaced != 0 && !t.paced(i, p, n) {
			return true
		}
		if fin {
			if p.flags&flagsLimited != 0 {
				t.limited(p, 0)
			}
			return true
		}
	}
}

// toSend tells whether there is something that was not sent yet, or is to be sent again.
func (p *pcb) toSend() bool {
	return p.unsent() != 0 || p.flags&flagRetransmit != 0 || p.flags&(flagShutWr|flagFinSent) == flagShutWr
}

// hold is when more may not be sent: all bytes wait, wnd is what the peer's window lets go, and next would go otherwise.
func (t *TCP) hold(i uint32, p *pcb, all, wnd, next uint32) {
	by := flags(0)
	if wnd < min(all, next) {
		by = flagRwndLimited
	}
	if p.flags&flagsLimited != by {
		t.limited(p, by)
	}
	t.setPersist(i, p, all, wnd)
}

// allSent is when there is nothing more to send: because the application has no more, or because it may not write.
func (t *TCP) allSent(p *pcb) {
	by := flags(0)
	if p.flags&flagWantWrite != 0 && p.snd.len > 0 {
		by = flagSndbufLimited
	}
	t.limited(p, by)
}

// room is the payload that a segment can have beside its options now.
func (t *TCP) room(p *pcb) uint32 {
	mss := uint32(p.mss)
	if p.ooo != 0 && p.flags&flagSACK != 0 {
		mss -= min(t.blocksLen(p), mss/2)
	}
	return mss
}

// superSegment is how much of n bytes, more than one segment, one transmit may take.
func (t *TCP) superSegment(p *pcb, n, mss uint32) uint32 {
	pt := t.port(p.port)
	if !pt.tso[p.flags&flagIPv6/flagIPv6] {
		return mss
	}
	room := uint32(pt.queue.Free() * pt.slot)
	n = min(n, tsoMost, room-min(room, headMost))
	if p.flags&flagPaced != 0 {
		n = min(n, uint32(max(t.burst, 0)))
	}
	return max(n/mss*mss, mss)
}

// maySendShort decides on a segment shorter than the peer takes (RFC 9293 §3.8.6.2.1 and §3.7.4).
func (t *TCP) maySendShort(p *pcb, n, all, wnd uint32) bool {
	switch {
	case n == 0:
		return false
	case p.flags&flagForce != 0:
		return true
	case n == all:
		// All that there is: at once, unless more was announced or, with Nagle's algorithm, something is in flight. As
		// on Linux, that is a short segment (Minshall): the end of a write of several segments does not wait.
		if p.flags&(flagCork|flagMore) != 0 && p.flags&flagShutWr == 0 {
			return false
		}
		return p.flags&(flagNoDelay|flagShutWr) != 0 || !p.shortInFlight() ||
			p.flags&flagUrgent != 0 && after(p.sndUp, p.rec.Nxt)
	}
	return n == wnd && n >= p.sndWndMax/2
}

// shortInFlight tells whether a segment that was not full waits for its acknowledgment.
func (p *pcb) shortInFlight() bool {
	return p.rec.Una != p.rec.Nxt && after(p.sndShort, p.rec.Una) && beforeEq(p.sndShort, p.rec.Nxt)
}

// sendData sends n new bytes, with FIN if asked. push is for the last segment of all that there is, or of a burst that
// a window has ended: the receiver should pass it on (RFC 9293 §3.9.1.2). It returns false if that was not possible now.
func (t *TCP) sendData(i uint32, p *pcb, n uint32, fin, last, push bool, now int64) bool {
	flags, kind, size := ackFlags(push && n > 0), recovery.SendFlags(0), n
	if last {
		kind |= recovery.SendLast
	}
	if fin {
		flags |= wire.FIN
		kind |= recovery.SendFIN
		size++
	}
	if p.flags&flagPaced != 0 && t.waited {
		kind |= recovery.SendWaited
	}
	quick := p.flags&flagAckNow != 0 || p.timeAck != 0
	idle := p.rec.Una == p.rec.Nxt
	if p.flags&flagECN != 0 && n > 0 {
		flags |= t.markECN(p)
	}
	next, ok := t.transmit(p, p.rec.Nxt, flags, int(n), p.nxt())
	t.ect = 0
	if !ok {
		return false
	}
	if !t.rec.OnSend(&p.rec, p.rec.Nxt, size, now, kind) {
		t.undo(p)
		t.noRecords(i, p)
		return false
	}
	p.setNxt(next)
	p.flags &^= flagForce
	if flags&wire.CWR != 0 {
		p.flags &^= flagCWR
		p.cwrSeq = p.rec.Nxt - size
	}
	if n > 0 && n < uint32(p.mss) {
		p.sndShort = p.rec.Nxt
	}
	if idle {
		p.progress = t.nowMS
		p.probes, p.answered = 0, 0
		t.stopPersist(p)
	}
	if n > 0 {
		p.dataOut++
		p.sentAt = t.nowMS
		if quick {
			p.quick = 0 // the application answers: its data carries the acknowledgments
		}
	}
	if fin {
		p.flags |= flagFinSent
		t.finSent(i, p)
	}
	if p.flags&flagTrace != 0 {
		t.trace.step(t, i, p, "send")
	}
	return true
}

// ackFlags are the flags of a segment that may be the last one for now.
func ackFlags(last bool) uint8 {
	if last {
		return wire.ACK | wire.PSH
	}
	return wire.ACK
}

// outputAgain sends what recovery thinks lost.
func (t *TCP) outputAgain(i uint32, p *pcb) bool {
	for {
		seq, n, ok := t.rec.NextRetransmit(&p.rec, t.room(p))
		if !ok {
			p.flags &^= flagRetransmit
			return true
		}
		if !t.sendAgain(i, p, seq, n, 0) {
			return p.state == stateClosed || p.state == stateFree
		}
		if p.flags&flagPaced != 0 && !t.paced(i, p, n) {
			return true
		}
	}
}

// sendAgain sends n units of sequence space from seq on once more.
func (t *TCP) sendAgain(i uint32, p *pcb, seq, n uint32, kind recovery.SendFlags) bool {
	flags, size := uint8(wire.ACK), n
	if end := p.sndEnd(); after(seq+n, end) && p.flags&flagFinSent != 0 {
		flags |= wire.FIN
		kind |= recovery.SendFIN
		size--
	}
	if size > 0 && seq+size == p.sndEnd() {
		flags |= wire.PSH
	}
	var at cursor
	if size > 0 {
		at = t.chunks.seek(&p.snd, seq-p.sndSeq())
	}
	if _, ok := t.transmit(p, seq, flags, int(size), at); !ok {
		return false
	}
	if !t.rec.OnSend(&p.rec, seq, n, t.now/1e3, kind) {
		t.undo(p)
		t.noRecords(i, p)
		return false
	}
	p.resent++
	t.counters.TxRetransmitted++
	t.counters.TxRetransmittedBytes += uint64(size)
	if p.flags&flagTrace != 0 {
		t.trace.step(t, i, p, "retransmit")
	}
	return true
}

// noRecords sheds the work for which recovery has no memory: a connection that begins; others try again later.
func (t *TCP) noRecords(i uint32, p *pcb) {
	t.counters.RecordsExhausted++
	if p.state.in(statesHalf) {
		t.fail(i, p, syscall.ENOBUFS)
		return
	}
	t.stall(i, p)
}
