package main

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// deliver takes one received frame.
func (l *client) deliver(pieces []stack.Frame) {
	f := &pieces[0]
	b := f.Bytes()
	if len(pieces) > 1 {
		l.scratch = l.scratch[:0]
		for i := range pieces {
			l.scratch = append(l.scratch, pieces[i].Bytes()...)
		}
		b = l.scratch
	}
	l.counters.Frames++
	if len(b) < ipAt+20 {
		l.counters.DropNotForUs++
		return
	}
	switch wire.EthernetAt(b).Type() {
	case wire.TypeARP:
		l.deliverARP(b)
		return
	case wire.TypeIPv4:
	default:
		l.counters.DropNotForUs++
		return
	}
	ip := wire.IPv4At(b[ipAt:])
	at, end := ipAt+ip.HeaderLen(), ipAt+ip.TotalLen()
	if ip.VersionIHL() != 0x45 || ip.Proto() != 6 || ip.Fragment()&0x3fff != 0 || *ip.Src() != l.server || end > len(b) || end < at+20 {
		l.counters.DropNotForUs++
		return
	}
	tcp := wire.TCPAt(b[at:])
	switch {
	case f.Flags&(stack.RxIPCsumBad|stack.RxL4CsumBad) != 0,
		f.Flags&stack.RxIPCsumGood == 0 && !ip.ChecksumGood(),
		f.Flags&stack.RxL4CsumGood == 0 && !wire.PseudoIPv4(ip.Src(), ip.Dst(), 6, end-at).Add(b[at:end]).Good():
		l.counters.DropBadChecksum++
		return
	}
	payload := at + tcp.HeaderLen()
	if tcp.HeaderLen() < 20 || payload > end {
		l.counters.DropNotForUs++
		return
	}
	tuple := (binary.BigEndian.Uint32(ip.Dst()[:])-l.source)<<portBits | uint32(tcp.DstPort()-portBase)
	slot := tuple & (l.stride - 1)
	if tcp.SrcPort() != l.serverPort || tcp.DstPort() < portBase || tuple >= l.tuples || int(slot) >= len(l.conns) {
		l.counters.DropNotForUs++
		return
	}
	c := &l.conns[slot]
	if c.tuple != tuple || c.state == closed || c.state == draining {
		l.refuse(tuple, tcp)
		return
	}
	if c.state == opening {
		l.deliverSYN(slot, c, tcp, b[at+20:payload])
		return
	}
	l.segment(slot, c, tcp, b[payload:end])
}

// refuse answers a segment that no connection wants with a RST (RFC 9293 §3.10.7.1), if there is a frame for it.
func (l *client) refuse(tuple uint32, tcp *wire.TCP) {
	l.counters.Strays++
	if tcp.Flags()&fRST != 0 || tcp.Flags()&fACK == 0 {
		return
	}
	if f := l.queue.Alloc(); f != nil {
		c := conn{tuple: tuple, rcvNxt: tcp.Seq()}
		l.put(f, l.rst, &c, tcp.Ack())
	}
}

// deliverSYN is for a connection whose SYN is out (RFC 9293 §3.10.7.3).
func (l *client) deliverSYN(i uint32, c *conn, tcp *wire.TCP, options []byte) {
	flags := tcp.Flags()
	if flags&fACK == 0 || tcp.Ack() != c.sndMax {
		if flags&(fACK|fRST) == fACK {
			l.refuse(c.tuple, tcp)
		}
		return
	}
	if flags&fRST != 0 {
		l.fail(i, &l.counters.Refused, false)
		return
	}
	if flags&fSYN == 0 {
		return
	}
	c.rcvNxt = tcp.Seq() + 1
	c.sndUna, c.window, c.tries = tcp.Ack(), uint32(tcp.Window()), 0
	c.scale = windowScale(options)
	l.timers[i] = 0
	l.leave(c)
	c.state = open
	l.established++
	l.counters.Connects++
	switch {
	case l.stopping:
		l.end(i, c)
	case int(i) >= l.options.conns: // one of those that stay idle
		l.want(i, sendACK)
	case l.mode == modeSource:
		l.want(i, sendACK|sendData)
	case l.mode == modeSink:
		l.want(i, sendACK)
	default:
		if l.mode == modeKeepAlive {
			c.begun = l.now
		}
		l.ask(i, c)
	}
}

func windowScale(options []byte) uint8 {
	for len(options) > 0 {
		switch kind := options[0]; {
		case kind == 0:
			return 0
		case kind == 1:
			options = options[1:]
		case len(options) < 2 || options[1] < 2 || int(options[1]) > len(options):
			return 0
		case kind == 3 && options[1] == 3:
			return min(options[2], 14) // RFC 7323 §2.3
		default:
			options = options[options[1]:]
		}
	}
	return 0
}

// segment takes a segment of a synchronised connection.
func (l *client) segment(i uint32, c *conn, tcp *wire.TCP, p []byte) {
	flags, seq := tcp.Flags(), tcp.Seq()
	if flags&fRST != 0 {
		if seq == c.rcvNxt {
			l.fail(i, &l.counters.Resets, false)
		}
		return
	}
	if flags&fSYN != 0 || flags&fACK == 0 {
		l.want(i, sendACK)
		return
	}
	l.acknowledged(i, c, tcp, len(p))
	if len(p) == 0 && flags&fFIN == 0 {
		if seq != c.rcvNxt { // a keep-alive or window probe
			l.want(i, sendACK)
		}
		l.closeIfDone(i, c)
		return
	}
	if before(seq, c.rcvNxt) { // some or all of it came before
		old := c.rcvNxt - seq
		if fin := uint32(flags & fFIN); old >= uint32(len(p))+fin {
			l.counters.Duplicates++
			if c.state != open && c.sndUna != c.sndMax { // our FIN was lost, too: it goes with the ACK
				c.sndNxt = c.sndMax - 1
				l.want(i, sendFIN)
			}
			l.want(i, sendACK)
			return
		}
		p = p[min(old, uint32(len(p))):]
	} else if seq != c.rcvNxt {
		l.counters.Gaps++
		l.want(i, sendACK)
		return
	}
	c.rcvNxt += uint32(len(p))
	l.counters.Bytes += uint64(len(p))
	c.todo |= sendACK
	if len(p) > 0 && c.state == open && !l.take(i, c, p) {
		return
	}
	if flags&fFIN != 0 {
		c.rcvNxt++
		if !l.peerEnded(i, c) {
			return
		}
	}
	l.closeIfDone(i, c)
	if c.todo != 0 {
		l.want(i, c.todo)
	}
}

// acknowledged takes the acknowledgement and the window.
func (l *client) acknowledged(i uint32, c *conn, tcp *wire.TCP, payload int) {
	ack := tcp.Ack()
	window := uint32(tcp.Window()) << c.scale
	switch {
	case before(c.sndUna, ack) && !before(c.sndMax, ack):
		l.counters.BytesSent += uint64(ack - c.sndUna)
		c.sndUna, c.tries, c.dupAcks = ack, 0, 0
		if before(c.sndNxt, ack) {
			c.sndNxt = ack
		}
		if c.recovering && before(ack, c.recover) { // RFC 6582 §3.2 step 3: the next one is lost, too
			c.todo |= sendLost
		} else {
			c.recovering = false
		}
		switch {
		case ack != c.sndMax:
			l.timers[i] = l.now + int64(rto)
		case c.phase != quiet || c.state != open:
			l.timers[i] = l.now + int64(l.timeout)
		default:
			l.timers[i] = 0
		}
	case l.mode == modeSource && ack == c.sndUna && payload == 0 && window == c.window && ack != c.sndMax && c.dupAcks < 3:
		if c.dupAcks++; c.dupAcks == 3 && !c.recovering { // RFC 6582 §3.2 step 2
			c.recovering, c.recover = true, c.sndMax
			c.todo |= sendLost
		}
	}
	c.window = window
	switch {
	case l.mode == modeSource && c.state == open && int(i) < l.options.conns:
		l.want(i, sendData)
	case c.todo&sendRequest != 0:
		l.want(i, sendRequest)
	}
}

// peerEnded takes a FIN. It returns false if the connection is gone.
func (l *client) peerEnded(i uint32, c *conn) bool {
	switch {
	case c.state == ending:
		c.state = ended
		return true
	case c.phase == inBody && c.left == toFIN:
		l.answered(i, c)
		c.phase = quiet
	case c.phase == asked && c.todo&sendRequest != 0: // the next request is not sent yet
		c.phase = quiet
	case c.phase != quiet:
		l.fail(i, &l.counters.CutShort, true)
		return false
	}
	if c.state == open {
		l.end(i, c)
	}
	c.state = ended
	return true
}

// end has our FIN sent.
func (l *client) end(i uint32, c *conn) {
	l.leave(c)
	c.state, c.phase = ending, quiet
	c.todo &^= sendRequest | sendData
	l.want(i, sendFIN)
}

// closeIfDone notices that both FINs were sent and acknowledged.
func (l *client) closeIfDone(i uint32, c *conn) {
	if c.state != ended || c.todo&sendFIN != 0 || c.sndUna != c.sndMax {
		return
	}
	if c.todo&sendACK == 0 {
		l.finish(i)
		return
	}
	// The last acknowledgement must go out before the slot has its next connection; if there is no frame for it, the
	// peer sends its FIN again and is refused.
	if f := l.queue.Alloc(); f != nil {
		l.put(f, l.ack, c, c.sndNxt)
	}
	l.finish(i)
}
