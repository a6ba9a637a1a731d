package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack"
)

// finish begins to close our direction: the FIN follows what is queued (RFC 9293 §3.10.4).
func (t *TCP) finish(i uint32, p *pcb) {
	if p.flags&flagShutWr != 0 {
		return
	}
	p.flags |= flagShutWr
	p.flags &^= flagMore
	t.mark(i, p)
}

// finSent goes on to the state of a FIN that has left for the first time.
func (t *TCP) finSent(i uint32, p *pcb) {
	switch p.state {
	case stateEstablished:
		p.state = stateFinWait1
	case stateCloseWait:
		p.state = stateLastAck
	}
}

// finAcked goes on when the peer has our FIN (RFC 9293 §3.10.7.4, fifth).
func (t *TCP) finAcked(i uint32, p *pcb) {
	switch p.state {
	case stateFinWait1:
		p.state = stateFinWait2
		t.setTimeKeep(i, p, 0)
		p.flags &^= flagPersist
		if p.flags&flagOpen == 0 {
			t.startFinWait2(i, p)
		} else {
			t.startKeepAlive(i, p)
		}
	case stateClosing:
		t.timeWait(i, p)
	case stateLastAck:
		t.over(i, p)
	}
}

// startFinWait2 bounds how long a closed socket waits for the peer's FIN.
func (t *TCP) startFinWait2(i uint32, p *pcb) {
	wait := int64(t.sys.finwait2)
	if l := t.opts.at(p.opts).linger2; l > 0 {
		wait = int64(l)
	} else if l < 0 {
		t.end(i, p)
		return
	}
	t.setTimeKeep(i, p, t.now+wait*1e6)
}

// fail ends a connection with an error for the application.
func (t *TCP) fail(i uint32, p *pcb, errno syscall.Errno) {
	p.err = uint8(errno)
	t.over(i, p)
}

// abort ends a connection with a RST to the peer.
func (t *TCP) abort(i uint32, p *pcb) {
	if p.state.in(statesSynced) || p.state == stateSynRcvd {
		t.sendReset(i, p)
	}
	t.over(i, p)
}

// over ends a connection: what is on it goes back at once. The PCB stays while the application holds it or can accept
// it, as on Linux, with what it has not read.
func (t *TCP) over(i uint32, p *pcb) {
	if p.flags&(flagOpen|flagQueued) == 0 {
		t.end(i, p)
		return
	}
	if p.flags&flagTrace != 0 {
		t.trace.step(t, i, p, "closed")
	}
	t.unhook(i, p)
	p.state = stateClosed
	p.flags |= flagShutRd | flagShutWr
	ev := stack.EventIn | stack.EventOut | stack.EventRdHup | stack.EventHup
	if p.err != 0 {
		ev |= stack.EventErr
	}
	t.notify(p, ev)
}

// unhook takes a connection out of all tables, lists and wheels, and gives its buffers back but what can be read.
func (t *TCP) unhook(i uint32, p *pcb) {
	if p.flags&flagQueued == 0 {
		t.disown(i, p)
	}
	if p.flags&flagInTable != 0 {
		p.flags &^= flagInTable
		t.table.remove(i, p.hash)
	}
	t.wheel.disarm(i, p)
	p.timeLoss, p.timeAck, p.timeKeep = 0, 0, 0
	if p.state != stateClosed && p.state != stateListen {
		t.rec.Release(&p.rec)
	}
	if p.snd.len > 0 {
		t.drained(p)
		t.chunks.clear(&p.snd)
	}
	t.dropExtra(p)
	p.setNxt(cursor{})
	t.dropGaps(p)
	if p.flags&flagOrphan != 0 {
		t.orphans--
	}
	if p.flags&flagBound == 0 || p.flags&flagOpen == 0 {
		t.unbind(p)
	}
	p.flags &^= flagDirty | flagWaiting | flagOrphan | flagPersist | flagWantMem | flagAckNow | flagSyn |
		flagRetransmit | flagProbe | flagKeepProbe | flagFinSent | flagUrgent
}

func (t *TCP) unbind(p *pcb) {
	if p.bind != 0 {
		t.binds.drop(p.bind, sharingOf(p))
		p.bind = 0
	}
}

// end frees a PCB that no handle is out for.
func (t *TCP) end(i uint32, p *pcb) {
	if p.flags&flagOpen != 0 {
		t.over(i, p)
		return
	}
	t.disown(i, p)
	if p.flags&flagTrace != 0 {
		t.trace.step(t, i, p, "end")
	}
	t.unhook(i, p)
	t.chunks.clear(&p.rcv)
	t.opts.unref(p.opts)
	p.state, p.flags = stateFree, 0
	t.pcbs.release(i)
}

// orphan lets a connection go on after its socket was closed, if there are not too many such.
func (t *TCP) orphan(i uint32, p *pcb) {
	if int(t.orphans) >= t.sys.orphanMost {
		t.counters.ResetTooManyOrphans++
		t.abort(i, p)
		return
	}
	t.orphans++
	p.flags |= flagOrphan
	if p.state == stateFinWait2 {
		t.startFinWait2(i, p)
	}
}
