package tcp

import (
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/cc"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// listener is what a listening socket has besides its PCB: the connections that are not accepted yet, linked through
// qnext and qprev of theirs.
type listener struct {
	backlog  uint32 // accept queue limit
	waiting  uint32 // established
	half     uint32 // in SYN-RECEIVED, or withheld by TCP_DEFER_ACCEPT
	first    uint32 // established, oldest first
	last     uint32
	halves   uint32 // the others
	cookieAt uint32 // ms, when a cookie was sent last, 0: never
}

// inputUnknown takes a segment in that belongs to no connection (RFC 9293 §3.10.7.1 and 2).
func (t *TCP) inputUnknown(s *segment) {
	l := t.listener(s.lhi, s.llo, s.scope, s.localPort(), s.hash)
	if (l == 0 || s.flags&(wire.SYN|wire.RST|wire.ACK) != wire.ACK) && t.stray(s) {
		return
	}
	if l == 0 {
		if s.flags&wire.RST != 0 {
			t.counters.DropStrayRST++
			return
		}
		t.counters.DropNoListener++
		if t.sys.blackhole == 0 || t.sys.blackhole == 1 && s.flags&wire.SYN == 0 {
			t.resetSegment(s)
		}
		return
	}
	t.inputListen(l, t.pcbs.at(l), s)
}

// inputListen takes a segment in for a listening socket (RFC 9293 §3.10.7.2).
func (t *TCP) inputListen(l uint32, lp *pcb, s *segment) {
	isn := t.leaveISN
	t.leaveISN = 0
	switch {
	case s.flags&wire.RST != 0:
		t.counters.DropStrayRST++
		return
	case s.flags&wire.ACK != 0:
		if s.flags&wire.SYN == 0 && (t.inputCookie(l, lp, s) || t.stray(s)) {
			return
		}
		t.counters.DropNoConnection++
		t.resetSegment(s)
		return
	case s.flags&wire.SYN == 0:
		t.counters.DropNoSYN++
		return
	case s.flags&wire.FIN != 0 && t.sys.dropSynFin != 0:
		t.counters.DropSynFin++
		return
	}
	q := t.listens.at(lp.ext)
	t.counters.RxSYNs++
	if q.waiting >= q.backlog {
		t.counters.DropAcceptQueueFull++
		return
	}
	if t.sys.syncookiesOnly != 0 || q.half >= q.backlog || t.halfOpen >= uint32(t.sys.halfOpen) || t.pressed() {
		if t.sys.syncookies == 0 && t.sys.syncookiesOnly == 0 {
			t.counters.DropTooManyHalfOpen++
			return
		}
		t.sendCookie(lp, q, s)
		return
	}
	i, p := t.spawn(l, lp, s)
	if i == 0 {
		t.counters.DropNoMemoryForSYN++
		return
	}
	p.irs, p.rcvNxt = s.seq, s.seq+1
	p.rcvAcked = p.rcvNxt
	p.iss, p.tsOffset = t.personal(&p.key)
	if isn != 0 && beforeEq(p.iss, isn+isnGap) { // beyond the old incarnation's (RFC 6191, RFC 1122 §4.2.2.13)
		p.iss = isn + isnGap
	}
	t.offer(p)
	t.negotiate(p, s, false)
	t.clampReceive(p)
	p.state = stateSynRcvd
	t.rec.Init(&p.rec, p.iss)
	p.flags |= flagSyn
	t.halve(i, p, q)
	t.mark(i, p)
}

// inherited are the flags that a connection takes over from its listener.
const inherited = flagIPv6Sock | flagV6Only | flagReuseAddr | flagReusePort | flagKeepAlive | flagOOBInline | flagNoDelay |
	flagCork | flagNoQuick | flagSndLocked | flagRcvLocked | flagBound | flagTrace

// spawn makes the PCB of a connection that a segment to a listener begins, and puts it into the tables.
func (t *TCP) spawn(l uint32, lp *pcb, s *segment) (uint32, *pcb) {
	i := t.pcbs.alloc()
	if i == 0 {
		return 0, nil
	}
	p := t.pcbs.at(i)
	*p = pcb{} // and not a literal with all, which is made elsewhere and copied
	p.key, p.hash, p.parent = s.key, s.hash, l
	p.flags, p.sndBuf, p.rcvBuf = lp.flags&inherited, lp.sndBuf, lp.rcvBuf
	if s.ipv6 {
		p.flags |= flagIPv6
	}
	if s.port == portLoop {
		p.flags |= flagLoopback
	}
	w := place{hi: p.lhi, lo: p.llo, scope: p.scope, port: p.localPort()}
	if p.bind = t.binds.hold(&w, sharingOf(p)); p.bind == 0 || !t.table.insert(i, p.hash) {
		if p.bind != 0 {
			t.binds.drop(p.bind, sharingOf(p))
		}
		p.state = stateFree
		t.pcbs.release(i)
		return 0, nil
	}
	p.flags |= flagInTable
	p.opts = t.opts.ref(lp.opts)
	p.rcvMSS = uint16(t.sys.mssV4)
	p.quick = quickAcks
	p.progress, p.ackedAt, p.confirm = t.nowMS, t.nowMS, t.nowMS
	return i, p
}

// quickAcks is how many ACKs of a new connection are not delayed, so that a peer in slow start is not held up.
const quickAcks = 16

// offer chooses the options that our SYN or SYN-ACK has.
func (t *TCP) offer(p *pcb) {
	if t.sys.stamps() {
		p.flags |= flagStamp
	}
	if t.sys.scaling() {
		p.flags |= flagScale
		size := max(p.rcvBuf, uint32(t.sys.recvMax))
		if p.flags&flagRcvLocked != 0 {
			size = p.rcvBuf
		}
		p.rcvScale = scaleFor(size)
	}
	if t.sys.sack != 0 {
		p.flags |= flagSACK
	}
}

// establish goes to ESTABLISHED, from either side.
func (t *TCP) establish(i uint32, p *pcb, s *segment) {
	p.state = stateEstablished
	if p.flags&flagShutWr != 0 { // closed in SYN-RECEIVED: the FIN may go now
		t.mark(i, p)
	}
	p.cwrSeq = p.iss
	p.flags &^= flagSyn
	p.flags |= flagDone
	t.rec.Established(&p.rec, recovery.Options{
		MSS: p.mss, SACK: p.flags&flagSACK != 0, CC: t.opts.at(p.opts).cc,
	})
	p.rcvMSS = min(p.rcvMSS, p.mss)
	p.sentAt, p.rcvdAt = t.nowMS, t.nowMS
	t.counters.Established++
	t.setPacing(i, p)
	if p.flags&flagECN != 0 && t.opts.at(p.opts).cc.Traits()&cc.NeedsECN != 0 {
		p.flags |= flagExactCE
	}
	t.startKeepAlive(i, p)
	if p.flags&flagTrace != 0 {
		t.trace.step(t, i, p, "established")
	}
	if p.parent == 0 {
		t.notify(p, stack.EventOut)
		return
	}
	if o := t.opts.at(p.opts); o.deferAccept != 0 && len(s.payload) == 0 && s.flags&wire.FIN == 0 {
		p.flags |= flagDeferred
		if p.flags&flagHalf == 0 { // made from a cookie
			t.halve(i, p, t.listens.at(t.pcbs.at(p.parent).ext))
		}
		p.timeKeep = t.now + int64(o.deferAccept)*1e9
		t.arm(i, p, p.timeKeep)
		return
	}
	t.offerAccept(i, p)
}

// undefer ends the wait of TCP_DEFER_ACCEPT.
func (t *TCP) undefer(i uint32, p *pcb) {
	p.flags &^= flagDeferred
	p.timeKeep = 0
	t.startKeepAlive(i, p)
	t.offerAccept(i, p)
}

// offerAccept moves an established connection into the accept queue.
func (t *TCP) offerAccept(i uint32, p *pcb) {
	lp := t.pcbs.at(p.parent)
	q := t.listens.at(lp.ext)
	t.unhalf(i, p, q)
	p.flags |= flagQueued
	p.qnext, p.qprev = 0, q.last
	if q.last != 0 {
		t.pcbs.at(q.last).qnext = i
	} else {
		q.first = i
	}
	q.last = i
	q.waiting++
	t.notify(lp, stack.EventIn)
}

// halve puts a connection on the list of those that are not to be accepted yet.
func (t *TCP) halve(i uint32, p *pcb, q *listener) {
	p.flags |= flagHalf
	p.qnext, p.qprev = q.halves, 0
	if q.halves != 0 {
		t.pcbs.at(q.halves).qprev = i
	}
	q.halves = i
	q.half++
	t.halfOpen++
}

// unhalf takes a connection off the list of half-open ones.
func (t *TCP) unhalf(i uint32, p *pcb, q *listener) {
	if p.flags&flagHalf == 0 {
		return
	}
	p.flags &^= flagHalf
	if p.qprev != 0 {
		t.pcbs.at(p.qprev).qnext = p.qnext
	} else {
		q.halves = p.qnext
	}
	if p.qnext != 0 {
		t.pcbs.at(p.qnext).qprev = p.qprev
	}
	p.qnext, p.qprev = 0, 0
	q.half--
	t.halfOpen--
}

// unqueue takes a connection out of the accept queue.
func (t *TCP) unqueue(i uint32, p *pcb, q *listener) {
	p.flags &^= flagQueued
	if p.qprev != 0 {
		t.pcbs.at(p.qprev).qnext = p.qnext
	} else {
		q.first = p.qnext
	}
	if p.qnext != 0 {
		t.pcbs.at(p.qnext).qprev = p.qprev
	} else {
		q.last = p.qprev
	}
	p.qnext, p.qprev = 0, 0
	q.waiting--
}

// disown takes a connection off its listener's lists.
func (t *TCP) disown(i uint32, p *pcb) {
	if p.parent == 0 {
		return
	}
	q := t.listens.at(t.pcbs.at(p.parent).ext)
	t.unhalf(i, p, q)
	if p.flags&flagQueued != 0 {
		t.unqueue(i, p, q)
	}
	p.parent = 0
	p.flags &^= flagDeferred
}

// unlisten ends a listening socket's queues: who was not accepted is reset.
func (t *TCP) unlisten(i uint32, p *pcb) {
	t.stopListening(i, p)
	q := t.listens.at(p.ext)
	for q.halves != 0 {
		c := q.halves
		if cp := t.pcbs.at(c); cp.state == stateSynRcvd {
			t.end(c, cp)
		} else {
			t.abort(c, cp)
		}
	}
	for q.first != 0 {
		c := q.first
		cp := t.pcbs.at(c)
		t.disown(c, cp)
		if cp.state != stateClosed {
			t.counters.ResetNotAccepted++
		}
		t.abort(c, cp)
	}
	t.listens.release(p.ext)
	p.ext = 0
}
