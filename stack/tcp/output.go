package tcp

import (
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// mark puts a PCB on the dirty list: something is to be sent.
func (t *TCP) mark(i uint32, p *pcb) {
	if p.flags&(flagDirty|flagWaiting) == 0 {
		p.flags |= flagDirty
		t.dirty = append(t.dirty, i)
	}
}

// Exhale implements stack.Layer: it goes once through the dirty list. Who finds no room in a port's queue stays on it,
// behind the others.
func (t *TCP) Exhale(now int64) int {
	if gen := uint32(t.net.Changes()<<1) | 1; gen != t.gen {
		t.gen = gen
	}
	if len(t.waiting) > 0 {
		t.wakeWaiting()
	}
	if len(t.dirty) > 0 {
		t.setTime(now)
		t.dirty, t.work = t.work[:0], t.dirty
		for _, i := range t.work {
			p := t.pcbs.at(i)
			if p.flags&flagDirty == 0 || p.state == stateFree {
				continue // it ended, perhaps its slot has a new owner
			}
			p.flags &^= flagDirty
			if !t.output(i, p) {
				t.mark(i, p)
			}
		}
	}
	if len(t.starved) > 0 {
		t.feed()
	}
	if len(t.borrowers) > 0 {
		t.settle()
	}
	n := t.frames
	t.frames = 0
	return n
}

// Pending implements stack.Layer.
func (t *TCP) Pending() bool { return len(t.dirty) > 0 || len(t.loop.port.queue.Taken()) > 0 }

// output sends what a PCB may send now. It returns false if a port had too few frames.
func (t *TCP) output(i uint32, p *pcb) bool {
	switch p.state {
	case stateListen, stateClosed:
		return true
	}
	if p.gen != t.gen {
		switch w, errno := t.route(i, p); w {
		case wayWait:
			t.counters.WaitedForNeighbour++
			p.flags |= flagWaiting
			t.waitGen = t.gen
			t.waiting = append(t.waiting, i)
			return true
		case wayNone:
			t.unreachable(i, p, errno)
			return true
		}
	}
	if p.state.in(statesHalf) {
		return t.outputSYN(i, p)
	}
	ok := t.outputData(i, p)
	if ok && p.flags&flagKeepProbe != 0 {
		p.flags &^= flagKeepProbe
		// RFC 9293 §3.8.4: a segment that the peer has already, which it must acknowledge.
		_, ok = t.transmit(p, p.rec.Nxt-1, wire.ACK, 0, cursor{})
		t.counters.KeepAliveProbes++
	}
	if ok && p.flags&flagProbe != 0 {
		p.flags &^= flagProbe
		// RFC 9293 §3.8.6.1 has a byte beyond the window here. One that was acknowledged brings the same answer
		// and needs no account of a byte that the peer will throw away.
		_, ok = t.transmit(p, p.rec.Una-1, wire.ACK, 0, cursor{})
		t.counters.WindowProbes++
	}
	if ok && p.flags&flagAckNow != 0 {
		_, ok = t.transmit(p, p.rec.Nxt, wire.ACK, 0, cursor{})
		if ok {
			t.counters.TxPureAcks++
		}
	}
	t.setLossTimer(i, p)
	return ok
}

// outputSYN sends the SYN or SYN-ACK if it is due.
func (t *TCP) outputSYN(i uint32, p *pcb) bool {
	if p.flags&flagRetransmit != 0 {
		p.flags &^= flagRetransmit
		if _, _, ok := t.rec.NextRetransmit(&p.rec, 1); ok {
			p.flags |= flagSyn
		}
	}
	if p.flags&flagSyn != 0 {
		again := p.rec.Nxt != p.iss
		if again && p.state == stateSynSent { // something on the way may not like what it asks for
			if int(p.rec.Retries) > t.sys.ecnRetries {
				p.flags &^= flagECN // RFC 3168 §6.1.1.1
			}
			if t.sys.dropOptions != 0 && p.rec.Retries >= 3 {
				p.flags &^= flagScale | flagStamp | flagSACK
			}
		}
		if !t.transmitSYN(p) {
			return false
		}
		if !t.rec.OnSend(&p.rec, p.iss, 1, t.now/1e3, recovery.SendSYN) {
			t.undo(p)
			t.noRecords(i, p)
			return true
		}
		p.flags &^= flagSyn
		if again {
			p.resent++
			t.counters.TxRetransmittedSYNs++
		}
		t.trace.step(t, i, p, "send-syn")
	} else if p.flags&flagAckNow != 0 && p.state == stateSynRcvd {
		if _, ok := t.transmit(p, p.rec.Nxt, wire.ACK, 0, cursor{}); !ok {
			return false
		}
	}
	t.setLossTimer(i, p)
	return true
}

// wakeWaiting lets those go on that waited for a neighbour when something has changed.
func (t *TCP) wakeWaiting() {
	list := t.waiting
	if t.waitGen == t.gen {
		return
	}
	t.waitGen = t.gen
	t.waiting = t.waiting[:0]
	for _, i := range list {
		if p := t.pcbs.at(i); p.flags&flagWaiting != 0 && p.state != stateFree {
			p.flags &^= flagWaiting
			t.mark(i, p)
		}
	}
}
