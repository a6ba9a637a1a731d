package tcp

import (
	"net/netip"
	"unsafe"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// timeWait is what is left of a connection in TIME-WAIT (RFC 9293 §3.6.1): a record of its own, so that the PCB goes at
// once, to the next connection or, closed, to the socket that still holds it. The first line has what tells an old
// segment from a new connection.
type timeWait struct {
	key
	hash       uint32
	bind       uint32 // binding of the local port
	rcvNxt     uint32
	sndNxt     uint32
	tsRecent   uint32
	tsRecentAt uint32 // ms

	since     uint32 // ms, when it began, or began anew
	older     uint32 // in the order of since
	newer     uint32
	iss       uint32
	irs       uint32
	flags     uint32 // the PCB's, of timeWaitFlags; 0: it is not in use
	wnd       uint16 // as it was announced last
	rcvScale  uint8
	tos       uint8 // or traffic class
	warPeriod uint8 // challenge ACKs, as a PCB has them
	warCount  uint8
	_         [2]byte
}

const timeWaitSize = unsafe.Sizeof(timeWait{})

// timeWaitFlags are the flags that matter on. All have flagDone.
const timeWaitFlags = flagIPv6Sock | flagReuseAddr | flagBound | flagDone | flagIPv6 | flagSACK | flagStamp | flagTrace

func (w *timeWait) has(f flags) bool { return flags(w.flags)&f != 0 }

// sharing is what it counts as: a connection that is over keeps nobody out of a SO_REUSEPORT group.
func (w *timeWait) sharing() sharing { return sharing{w.has(flagReuseAddr), true, w.has(flagBound)} }

// window is what the peer may send by what it was told.
func (w *timeWait) window() uint32 { return uint32(w.wnd) << w.rcvScale }

// timeWaits are the records, and their list: all last equally long, so they end in the order in which they began.
type timeWaits struct {
	slab[timeWait]
	oldest, newest uint32
}

func (l *timeWaits) push(i uint32, w *timeWait) {
	w.older, w.newer = l.newest, 0
	if l.newest != 0 {
		l.at(l.newest).newer = i
	} else {
		l.oldest = i
	}
	l.newest = i
}

func (l *timeWaits) unlink(w *timeWait) {
	if w.older != 0 {
		l.at(w.older).newer = w.newer
	} else {
		l.oldest = w.newer
	}
	if w.newer != 0 {
		l.at(w.newer).older = w.older
	} else {
		l.newest = w.older
	}
}

// timeWait goes to TIME-WAIT for two maximum segment lifetimes (RFC 9293 §3.6.1). The PCB is over: it is freed, or left
// closed to the socket that holds it, as on Linux.
func (t *TCP) timeWait(i uint32, p *pcb) {
	p.state = stateTimeWait
	if p.flags&flagAckNow != 0 { // for the peer's FIN
		if t.sendAck(p) {
			t.counters.TxPureAcks++
		} else { // no frame, or the route is old: the way of the FIN is not
			t.reply(&t.seg, p.rec.Nxt, p.rcvNxt, wire.ACK, uint16(p.window()>>p.rcvScale), 0, nil)
		}
	}
	t.trace.step(t, i, p, "time-wait")
	if int(t.waits.used) >= t.sys.timeWaitMost {
		t.counters.TimeWaitOverflow++
	} else if n := t.waits.alloc(); n == 0 {
		t.counters.TimeWaitsExhausted++
	} else {
		t.remember(n, p)
		t.table.replace(p.hash, i, n|inTimeWait)
		p.flags &^= flagInTable | flagTrace // that goes on with the record
	}
	t.over(i, p)
}

// remember makes the record of a connection.
func (t *TCP) remember(n uint32, p *pcb) {
	o := t.opts.at(p.opts)
	w := t.waits.at(n)
	w.key, w.hash, w.bind, w.flags = p.key, p.hash, p.bind, uint32(p.flags&timeWaitFlags)
	w.rcvNxt, w.sndNxt, w.irs, w.iss = p.rcvNxt, p.rec.Nxt, p.irs, p.iss
	w.tsRecent, w.tsRecentAt = p.tsRecent, p.tsRecentAt
	w.wnd, w.rcvScale = uint16(p.window()>>p.rcvScale), p.rcvScale
	w.warPeriod, w.warCount = p.warPeriod, p.warCount
	w.since = t.nowMS
	if w.tos = o.tos; w.has(flagIPv6) {
		w.tos = o.class
	}
	t.binds.count(w.bind, w.sharing(), 1)
	t.waits.push(n, w)
}

// forget ends TIME-WAIT.
func (t *TCP) forget(n uint32, w *timeWait) {
	t.traceTimeWait(w, "end", nil)
	t.table.remove(n|inTimeWait, w.hash)
	t.binds.drop(w.bind, w.sharing())
	t.waits.unlink(w)
	w.flags = 0
	t.waits.release(n)
}

// left is how many ms are left of TIME-WAIT, negative when it is over. What was begun counts as a whole one.
func (t *TCP) left(w *timeWait) int64 {
	return 2*int64(t.sys.msl) - int64(t.nowMS-w.since)
}

// endTimeWaits ends those whose time is up.
func (t *TCP) endTimeWaits() {
	for n := t.waits.oldest; n != 0; n = t.waits.oldest {
		w := t.waits.at(n)
		if t.left(w) >= 0 {
			return
		}
		t.forget(n, w)
	}
}

// timeWaitNext is when the next one ends, stack.Never if there is none.
func (t *TCP) timeWaitNext() int64 {
	if t.waits.oldest == 0 {
		return stack.Never
	}
	return t.now + (max(t.left(t.waits.at(t.waits.oldest)), 0)+1)*1e6
}

// inputTimeWait takes a segment in that comes after the end (RFC 9293 §3.10.7.4, RFC 1337, RFC 6191).
func (t *TCP) inputTimeWait(n uint32, s *segment) {
	w := t.waits.at(n)
	t.traceTimeWait(w, "received", s)
	if s.flags&wire.RST != 0 {
		t.counters.TimeWaitRSTs++ // RFC 1337 §3 (F1): old RSTs must not end TIME-WAIT early
		return
	}
	if s.flags&(wire.SYN|wire.ACK) == wire.SYN {
		stamped := w.has(flagStamp) && s.opts.has&hasStamp != 0
		// RFC 6191 §2: a new incarnation, if its timestamp or its sequence number is beyond all of the old one's.
		fresh := stamped && after(s.opts.tsVal, w.tsRecent) || after(s.seq, w.rcvNxt) && (!stamped || s.opts.tsVal == w.tsRecent)
		if fresh {
			if l := t.listener(s.lhi, s.llo, s.scope, s.localPort(), s.hash); l != 0 {
				t.counters.TimeWaitReused++
				t.leaveISN = w.sndNxt
				t.forget(n, w)
				t.inputListen(l, t.pcbs.at(l), s)
				return
			}
		}
	}
	if s.flags&wire.SYN != 0 && t.sys.insecureSYN != 0 && s.seq-w.rcvNxt < w.window() { // RFC 793 p. 71
		t.counters.ResetSYNInWindow++
		t.counters.TxResets++
		t.answerTimeWait(w, s, wire.RST|wire.ACK, recovery.Block{})
		t.forget(n, w)
		return
	}
	if s.flags&wire.ACK == 0 && s.flags&wire.SYN == 0 {
		return
	}
	if w.has(flagStamp) && s.opts.has&hasStamp != 0 && !before(s.opts.tsVal, w.tsRecent) && beforeEq(s.seq, w.rcvNxt) {
		w.tsRecent, w.tsRecentAt = s.opts.tsVal, t.nowMS
	}
	// RFC 9293 §3.10.7.4: the peer's FIN again is acknowledged, and the time starts anew.
	if s.flags&wire.FIN != 0 && s.seq+s.len() == w.rcvNxt {
		t.counters.TxPureAcks++
		t.answerTimeWait(w, s, wire.ACK, recovery.Block{})
		t.waits.unlink(w)
		w.since = t.nowMS
		t.waits.push(n, w)
		return
	}
	if s.len() == 0 && s.seq == w.rcvNxt && s.ack == w.sndNxt {
		return
	}
	// As answerOld.
	if len(s.payload) == 0 && s.flags&wire.FIN == 0 && !t.mayChallenge(&w.warPeriod, &w.warCount) {
		return
	}
	var dsack recovery.Block
	if w.has(flagSACK) && len(s.payload) > 0 && before(s.seq, w.rcvNxt) {
		dsack = recovery.Block{Start: s.seq, End: s.seq + uint32(len(s.payload))}
		t.counters.TxDSACKs++
	}
	t.counters.TxDuplicateAcks++
	t.answerTimeWait(w, s, wire.ACK, dsack)
}

// answerTimeWait answers a segment on its way back.
func (t *TCP) answerTimeWait(w *timeWait, s *segment, flags uint8, dsack recovery.Block) {
	var b [stampRoom + 12]byte
	n := 0
	if w.has(flagStamp) {
		_, offset := t.personal(&w.key)
		putStamp(b[:], t.nowMS+offset, w.tsRecent)
		n = stampRoom
	}
	if dsack.Start != dsack.End {
		n += putSACK(b[n:], []recovery.Block{dsack})
	}
	t.reply(s, w.sndNxt, w.rcvNxt, flags, w.wnd, w.tos, b[:n])
}

// describeTimeWait is describe of a record.
func (t *TCP) describeTimeWait(w *timeWait, c *Connection) {
	*c = Connection{
		State: stateTimeWait.String(), IPv6Socket: w.has(flagIPv6Sock), Timer: "time-wait", Due: max(t.left(w), 0)*1e6 + 1,
		Local:  netip.AddrPortFrom(t.local(&w.key), w.localPort()),
		Remote: netip.AddrPortFrom(t.remote(&w.key), w.remotePort()),
	}
}

// traceTimeWait writes a line of a traced connection: about the segment s, or, if that is nil, about what was done.
func (t *TCP) traceTimeWait(w *timeWait, what string, s *segment) {
	if !w.has(flagTrace) {
		return
	}
	p := &pcb{key: w.key, state: stateTimeWait, flags: flags(w.flags), iss: w.iss, irs: w.irs, rcvNxt: w.rcvNxt}
	t.rec.Init(&p.rec, w.sndNxt)
	if s != nil {
		t.trace.segment(t, 0, p, s)
	} else {
		t.trace.step(t, 0, p, what)
	}
}
