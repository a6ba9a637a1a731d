package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack/wire"
)

// inputSynSent takes a segment in while our SYN is out (RFC 9293 §3.10.7.3).
func (t *TCP) inputSynSent(i uint32, p *pcb, s *segment) {
	if s.flags&wire.ACK != 0 && s.ack != p.iss+1 {
		t.counters.DropHandshakeAck++
		if s.flags&wire.RST == 0 {
			t.resetSegment(s)
		}
		return
	}
	// RFC 7323 §3.2: who echoes a timestamp that was never sent does not answer this SYN.
	if s.flags&wire.ACK != 0 && p.flags&flagStamp != 0 && s.opts.has&hasStamp != 0 && s.opts.tsEcr != 0 &&
		(after(s.opts.tsEcr, t.nowMS+p.tsOffset) || t.nowMS+p.tsOffset-s.opts.tsEcr > uint32(t.sys.keepInit)+stampGrace) {
		t.counters.DropHandshakeAck++
		if s.flags&wire.RST == 0 {
			t.resetSegment(s)
		}
		return
	}
	if s.flags&wire.RST != 0 {
		if s.flags&wire.ACK != 0 {
			t.counters.RxResets++
			t.fail(i, p, syscall.ECONNREFUSED)
		}
		return
	}
	if s.flags&wire.SYN == 0 {
		t.counters.DropNoSYN++
		return
	}
	if s.flags&wire.FIN != 0 && t.sys.dropSynFin != 0 {
		t.counters.DropSynFin++
		return
	}
	p.irs, p.rcvNxt = s.seq, s.seq+1
	p.rcvAdv = p.rcvNxt + min(p.rcvBuf, 65535)
	p.rcvAcked = p.rcvNxt
	t.negotiate(p, s, true)
	if s.flags&wire.ACK == 0 {
		// Simultaneous open (RFC 9293 §3.5): our SYN goes out again, now with ACK.
		t.counters.SimultaneousOpens++
		p.state = stateSynRcvd
		p.flags |= flagSyn
		t.mark(i, p)
		return
	}
	p.sndWnd, p.sndWl1 = s.wnd, s.seq // not scaled: RFC 7323 §2.2
	p.sndWndMax = p.sndWnd
	p.ackedAt = t.nowMS
	p.flags |= flagAckNow
	t.mark(i, p)
	t.ackSYN(p, s)
	t.establish(i, p, s)
	s.seq++
	s.flags &^= wire.SYN
	if s.flags&wire.URG != 0 {
		t.inputUrgent(i, p, s)
	}
	if s.len() > 0 {
		t.inputText(i, p, s)
	}
}

// stampGrace is how much older than our oldest SYN an echoed timestamp may look, in ms.
const stampGrace = 1000

// negotiate takes over the options of the peer's SYN. With active, they count only where our SYN offered them.
func (t *TCP) negotiate(p *pcb, s *segment, active bool) {
	offer := p.flags & (flagStamp | flagScale | flagSACK)
	if s.opts.has&hasStamp == 0 {
		offer &^= flagStamp
	}
	if s.opts.has&hasScale == 0 {
		offer &^= flagScale
	}
	if s.opts.has&hasSACKPerm == 0 {
		offer &^= flagSACK
	}
	p.flags = p.flags&^(flagStamp|flagScale|flagSACK) | offer
	t.negotiateECN(p, s, active)
	if offer&flagStamp != 0 {
		p.tsRecent, p.tsRecentAt = s.opts.tsVal, t.nowMS
	}
	if offer&flagScale != 0 {
		p.sndScale = s.opts.scale
	} else {
		p.sndScale, p.rcvScale = 0, 0
	}
	p.peerMSS = 0
	if s.opts.has&hasMSS != 0 {
		p.peerMSS = max(s.opts.mss, uint16(t.sys.mssMin))
	}
	t.setMSS(p)
	if active {
		t.clampReceive(p)
	}
}

// setMSS computes the payload per segment (RFC 9293 §3.7.1: MUST-16) from what the peer takes, what the path holds and
// what the socket wants, less the options that every segment has (RFC 6691).
func (t *TCP) setMSS(p *pcb) {
	mss := p.peerMSS
	if mss == 0 { // RFC 9293 §3.7.1: MUST-15
		mss = uint16(t.sys.mssV4)
		if p.flags&flagIPv6 != 0 {
			mss = uint16(t.sys.mssV6)
		}
	}
	if p.pmtu != 0 {
		mss = min(mss, max(p.pmtu-min(p.headers(), p.pmtu), 32))
	}
	if o := t.opts.at(p.opts); o.maxSeg != 0 {
		mss = min(mss, o.maxSeg)
	}
	if p.flags&flagStamp != 0 {
		mss -= stampRoom
	}
	p.mss = mss
}

// clampReceive limits the receive queue of a connection without window scaling to what can be announced.
func (t *TCP) clampReceive(p *pcb) {
	if p.flags&flagScale == 0 {
		p.rcvBuf = min(p.rcvBuf, 65535)
	}
}
