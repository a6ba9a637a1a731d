package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
)

// A PCB has three deadlines: timeLoss, timeAck and timeKeep. It is on the wheel once, for the earliest; a deadline that
// moves back or is dropped is noticed when the wheel gets there.

// Advance implements stack.Layer.
func (t *TCP) Advance(now int64) {
	t.setTime(now)
	t.wheel.advance(now, t.fire)
	t.endTimeWaits()
	if len(t.loop.port.queue.Taken()) > 0 {
		t.tick()
		t.deliverLoop()
	}
}

// Next implements stack.Layer.
func (t *TCP) Next() int64 { return min(t.wheel.next(), t.timeWaitNext()) }

func (t *TCP) arm(i uint32, p *pcb, at int64) { t.wheel.arm(i, p, at) }

// setTimeKeep moves the deadline that depends on the state; 0: none.
func (t *TCP) setTimeKeep(i uint32, p *pcb, at int64) {
	p.timeKeep = at
	if at != 0 {
		t.arm(i, p, at)
	}
}

// setLossTimer asks recovery for its deadline.
func (t *TCP) setLossTimer(i uint32, p *pcb) {
	if p.rec.Una == p.rec.Nxt {
		p.timeLoss = 0
		return
	}
	at, kind := t.rec.Deadline(&p.rec, t.now/1e3)
	if kind == recovery.TimerNone {
		p.timeLoss = 0
		return
	}
	p.timeLoss = at * 1e3
	if p.rec.Retries != 0 {
		o := t.opts.at(p.opts)
		uto := o.userTimeout
		if uto == 0 && p.state == stateSynSent && o.synCount == 0 {
			uto = uint32(t.sys.keepInit)
		}
		if uto != 0 { // RFC 5482: not later than the user permits
			p.timeLoss = min(p.timeLoss, t.now+int64(int32(p.progress+uto-t.nowMS))*1e6)
			p.timeLoss = max(p.timeLoss, 1)
		}
	}
	t.arm(i, p, p.timeLoss)
}

// fire runs what is due of a PCB and puts it back on the wheel.
func (t *TCP) fire(i uint32, p *pcb) {
	if p.timeAck != 0 && p.timeAck <= t.now {
		p.timeAck = 0
		p.flags |= flagAckNow
		t.counters.DelayedAcks++
		t.mark(i, p)
	}
	if p.timeLoss != 0 && p.timeLoss <= t.now {
		p.timeLoss = 0
		t.fireLoss(i, p)
	}
	if p.state != stateFree && p.timeKeep != 0 && p.timeKeep <= t.now {
		p.timeKeep = 0
		t.fireKeep(i, p)
	}
	if p.state == stateFree {
		return
	}
	t.firePace(i, p)
	next := stack.Never
	for _, at := range [...]int64{p.timeLoss, p.timeAck, p.timeKeep, t.paceAt(p)} {
		if at != 0 && at < next {
			next = at
		}
	}
	if next != stack.Never {
		t.arm(i, p, next)
	}
}

// fireLoss is a tail loss probe, RACK's reordering timer, or a retransmission timeout.
func (t *TCP) fireLoss(i uint32, p *pcb) {
	if p.rec.Retries != 0 && (p.state == stateSynSent || t.opts.at(p.opts).userTimeout != 0) {
		if errno := t.exhausted(p); errno != 0 {
			t.giveUp(i, p, errno)
			return
		}
	}
	a := t.rec.OnTimer(&p.rec, t.now/1e3, t.permitted(p))
	switch a.Fired {
	case recovery.TimerProbe:
		t.counters.TailLossProbes++
		t.sendProbe(i, p, a.Seq, a.Len)
	case recovery.TimerReorder:
		p.flags |= flagRetransmit
		t.mark(i, p)
	case recovery.TimerRTO:
		t.counters.RetransmissionTimeouts++
		if errno := t.exhausted(p); errno != 0 {
			t.giveUp(i, p, errno)
			return
		}
		if p.rec.Retries >= 3 { // RFC 9293 §3.8.3 R1: perhaps the way has changed
			p.gen = 0
		}
		t.suspectHole(i, p)
		p.flags |= flagRetransmit
		t.mark(i, p)
	}
	t.setLossTimer(i, p)
}

// sendProbe sends a tail loss probe, past the congestion window (RFC 8985 §7.3).
func (t *TCP) sendProbe(i uint32, p *pcb, seq, n uint32) {
	if p.gen != t.gen {
		if w, _ := t.route(i, p); w != wayReady {
			return
		}
	}
	if seq != p.rec.Nxt {
		if t.sendAgain(i, p, seq, n, recovery.SendProbe) && p.flags&flagPaced != 0 {
			t.charge(p, n)
		}
		return
	}
	next, ok := t.transmit(p, seq, ackFlags(n == p.unsent()), int(n), p.nxt())
	if !ok {
		return
	}
	kind := recovery.SendProbe
	if n == p.unsent() {
		kind |= recovery.SendLast
	}
	if !t.rec.OnSend(&p.rec, seq, n, t.now/1e3, kind) {
		t.undo(p)
		return
	}
	p.setNxt(next)
	p.dataOut++
	if p.flags&flagPaced != 0 {
		t.charge(p, n)
	}
}

// exhausted tells whether a connection without progress is to be given up (RFC 9293 §3.8.3, RFC 5482), and why.
func (t *TCP) exhausted(p *pcb) syscall.Errno {
	o := t.opts.at(p.opts)
	n := int(p.rec.Retries)
	age := int64(t.nowMS - p.progress)
	why := p.reason()
	switch {
	case p.state == stateSynSent:
		if o.synCount != 0 && n > int(o.synCount) || o.synCount == 0 && age >= int64(t.sys.keepInit) || o.userTimeout != 0 && age >= int64(o.userTimeout) {
			return why
		}
	case p.state == stateSynRcvd && p.flags&flagActive == 0:
		if n > t.sys.synackRetries {
			return why
		}
	case o.userTimeout != 0:
		if age >= int64(o.userTimeout) {
			return why
		}
	case n > t.sys.retries, p.flags&flagOrphan != 0 && n > orphanRetries:
		return why
	}
	return 0
}

// reason is the errno of a connection that is given up: what an ICMP error or the lack of a route said, if there was one.
func (p *pcb) reason() syscall.Errno {
	if p.soft != 0 {
		return syscall.Errno(p.soft)
	}
	return syscall.ETIMEDOUT
}

// orphanRetries is how often data of a closed socket is sent again.
const orphanRetries = 8

// giveUp ends a connection whose peer does not answer.
func (t *TCP) giveUp(i uint32, p *pcb, errno syscall.Errno) {
	t.counters.GaveUp++
	if p.state.in(statesSynced) {
		t.sendReset(i, p) // RFC 9293 §3.8.4: if the peer is there after all, it learns of it
	}
	t.fail(i, p, errno)
}

// fireKeep is the timer that belongs to the state.
func (t *TCP) fireKeep(i uint32, p *pcb) {
	switch {
	case p.state == stateFinWait2 && p.flags&flagOrphan != 0:
		t.counters.FinWait2Timeouts++
		t.end(i, p)
	case p.flags&flagDeferred != 0:
		t.undefer(i, p)
	case p.flags&flagPersist != 0:
		t.firePersist(i, p)
	case p.state.in(statesSynced):
		t.fireKeepAlive(i, p)
	}
}
