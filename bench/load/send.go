package main

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// exhale sends for the pending connections, in their order, until the queue is full.
func (l *client) exhale() {
	for l.head != l.tail {
		i := l.pending[l.head&l.mask]
		c := &l.conns[i]
		c.queued = false
		l.head++
		if !l.send(i, c) {
			c.queued = true // stays at the front
			l.head--
			return
		}
	}
}

// send sends what a connection has to do. It returns false if no frame is left for it.
func (l *client) send(i uint32, c *conn) bool {
	if c.todo&sendData != 0 {
		return l.sendStream(i, c)
	}
	var t *template
	length := uint32(1) // of SYN and FIN in sequence space
	switch {
	case c.todo&sendRST != 0:
		t, length = l.rst, 0
	case c.todo&sendSYN != 0:
		t = l.syn
	case c.todo&sendRequest != 0 && c.window >= uint32(len(l.options.request)):
		t, length = l.request, uint32(len(l.options.request))
	case c.todo&sendFIN != 0:
		t = l.fin
	case c.todo&sendACK != 0:
		t, length = l.ack, 0
	default:
		return true // a request that waits for the window
	}
	f := l.queue.Alloc()
	if f == nil {
		return false
	}
	l.put(f, t, c, c.sndNxt)
	switch {
	case t == l.ack:
		c.todo &^= sendACK
		return true
	case t == l.rst:
		c.state, c.todo = closed, 0
		l.timers[i] = l.now + int64(reopenAfter)
		return true
	}
	c.todo = 0
	l.sent(i, c, length)
	return true
}

// sent moves sndNxt over what was sent and sets the timer.
func (l *client) sent(i uint32, c *conn, length uint32) {
	c.sndNxt += length
	if before(c.sndMax, c.sndNxt) {
		c.sndMax = c.sndNxt
	}
	l.timers[i] = l.now + int64(rto)<<c.tries
}

// sendStream fills the peer's window, in whole segments unless nothing is under way.
func (l *client) sendStream(i uint32, c *conn) bool {
	if c.todo&sendLost != 0 && c.sndUna != c.sndMax {
		f := l.queue.Alloc()
		if f == nil {
			return false
		}
		l.put(f, l.data, c, c.sndUna)
		if n := c.sndMax - c.sndUna; n < l.mss {
			l.shorten(f, n)
		}
		l.counters.Resent++
		l.timers[i] = l.now + int64(rto)
	}
	c.todo &^= sendLost
	for {
		flight := c.sndNxt - c.sndUna
		room := min(c.window, uint32(l.options.window)) - flight
		if flight > c.window || room < l.mss && flight > 0 {
			break
		}
		n := l.mss
		if room < l.mss {
			// A small window, or none: RFC 9293 §3.8.6.1 has it probed with a byte, by the timer.
			if n = room; n == 0 && c.tries > 0 {
				n = 1
			}
			if n == 0 {
				l.timers[i] = l.now + int64(rto)
				break
			}
		}
		f := l.queue.Alloc()
		if f == nil {
			return false
		}
		l.put(f, l.data, c, c.sndNxt)
		if n < l.mss {
			l.shorten(f, n)
		}
		l.sent(i, c, n)
	}
	c.todo &^= sendData
	if c.todo&sendFIN != 0 && c.sndNxt == c.sndUna {
		return l.send(i, c)
	}
	if c.todo&sendACK != 0 {
		if f := l.queue.Alloc(); f != nil {
			l.put(f, l.ack, c, c.sndNxt)
		}
		c.todo &^= sendACK
	}
	return true
}

// shorten leaves only n bytes of payload in a frame.
func (l *client) shorten(f *stack.Frame, n uint32) {
	f.Len = uint16(headers + n)
	b := f.Bytes()
	ip, tcp := wire.IPv4At(b[ipAt:]), wire.TCPAt(b[tcpAt:])
	binary.BigEndian.PutUint16(ip[2:], uint16(len(b)-ipAt))
	ip.SetChecksum()
	tcp.SetPartialChecksum(0)
	pseudo := wire.PseudoIPv4(ip.Src(), ip.Dst(), 6, len(b)-tcpAt)
	if l.offload {
		tcp.SetPartialChecksum(pseudo.Fold())
	} else {
		tcp.SetChecksum(pseudo.Add(b[tcpAt:]).Fold())
	}
}
