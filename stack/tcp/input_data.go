package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// inputText takes in text and FIN of a segment that lies in the window.
func (t *TCP) inputText(i uint32, p *pcb, s *segment) {
	if !p.state.in(statesReceive) {
		t.counters.DropAfterFIN++ // RFC 9293 §3.10.7.4, seventh: after the peer's FIN there is nothing to come
		return
	}
	if len(s.payload) > 0 && p.deaf() && after(s.seq+uint32(len(s.payload)), p.rcvNxt) {
		// RFC 9293 §3.6.1: nobody will read it; the peer should know.
		t.counters.ResetDataAfterClose++
		t.resetSegment(s)
		t.fail(i, p, syscall.ECONNRESET)
		return
	}
	t.inputData(i, p, s, s.flags&wire.FIN != 0)
}

// deaf tells whether nobody will read what the peer still sends: the socket was closed, or shut down both ways.
func (p *pcb) deaf() bool {
	return p.flags&(flagOpen|flagQueued|flagHalf|flagDeferred) == 0 || p.flags&(flagShutRd|flagShutWr) == flagShutRd|flagShutWr && p.state != stateEstablished
}

// inputData puts text where it belongs: the receive queue, or the ranges that wait for a gap to be filled.
func (t *TCP) inputData(i uint32, p *pcb, s *segment, fin bool) {
	n := s.text()
	p.rcvdAt = t.nowMS
	if p.flags&flagECN != 0 && n > 0 {
		t.inputECN(i, p, s)
	}
	if p.urg == urgComing {
		t.joinPieces(s)
		t.takeUrgent(p, s)
	}
	if s.seq != p.rcvNxt || p.ooo != 0 && n > 0 {
		t.joinPieces(s)
		t.inputGap(i, p, s, fin)
		return
	}
	if n > 0 {
		k := t.takeIn(i, p, s)
		if k < n { // no memory for the rest: as if it had been lost
			t.counters.DropNoMemory++
			fin = false
		}
		t.received(p, k)
		p.rcvMSS = uint16(min(max(uint32(p.rcvMSS), n), uint32(t.maxSegment(p))))
		p.dataIn++
		if t.dsackLater.Start != t.dsackLater.End {
			t.ackAtOnce(i, p)
		} else {
			t.oweAck(i, p, n)
		}
	}
	if fin {
		t.inputFin(i, p)
		return
	}
	if n > 0 {
		t.wakeReader(i, p)
	}
}

// received moves the edge of what is in order.
func (t *TCP) received(p *pcb, n uint32) {
	p.rcvNxt += n
	p.received += uint64(n)
}

// wakeReader tells the socket layer about new data, or the listener about a connection that was withheld until now.
func (t *TCP) wakeReader(i uint32, p *pcb) {
	if p.flags&flagDeferred != 0 {
		t.undefer(i, p)
		return
	}
	if p.rcv.len >= t.opts.at(p.opts).lowat || p.flags&flagPeerFin != 0 {
		t.notify(p, stack.EventIn)
	}
}

// oweAck decides when data is acknowledged (RFC 5681 §4.2, RFC 9293 §3.8.6.3): at the latest with the second full
// segment or after a short time, and then at the end of the turn; otherwise with the answer. Full segments at the start
// are not kept waiting: their sender is in slow start.
func (t *TCP) oweAck(i uint32, p *pcb, n uint32) {
	switch {
	case p.rcvNxt-p.rcvAcked >= 2*uint32(p.rcvMSS):
		// RFC 9293 §3.8.6.3 SHLD-19. A sender in slow start counts ACKs: it gets each of them. Later those of one
		// turn are one, as where a card or GRO joins segments, and of no more segments than it would join.
		if p.quick > 0 || p.rcvNxt-p.rcvAcked >= uint32(t.sys.ackStretch)*uint32(p.rcvMSS) {
			p.quick -= min(p.quick, 1)
			if t.sendAck(p) {
				t.counters.TxPureAcks++
				return
			}
		}
	case t.sys.delayedAck == 0:
	case p.quick > 0 && n >= uint32(p.rcvMSS), p.quick == quickAcks && p.flags&flagActive != 0:
		// The first data on a connection that we opened, too: who asked has no answer to give (so does Linux).
		p.quick--
	default:
		if p.timeAck == 0 {
			p.timeAck = t.now + int64(t.sys.delackTime)*1e6
			t.arm(i, p, p.timeAck)
		}
		return
	}
	p.flags |= flagAckNow
	t.mark(i, p)
}

// inputFin is the peer's FIN in its place (RFC 9293 §3.10.7.4, eighth).
func (t *TCP) inputFin(i uint32, p *pcb) {
	p.rcvNxt++
	p.flags |= flagPeerFin | flagShutRd | flagAckNow
	t.mark(i, p)
	t.dropGaps(p)
	switch p.state {
	case stateSynRcvd, stateEstablished:
		p.state = stateCloseWait
	case stateFinWait1: // ours is not acknowledged yet
		p.state = stateClosing
		t.counters.SimultaneousCloses++
	case stateFinWait2:
		t.timeWait(i, p)
		return
	}
	if p.flags&flagDeferred != 0 {
		t.undefer(i, p)
	}
	ev := stack.EventIn | stack.EventRdHup
	if p.flags&flagShutWr != 0 {
		ev |= stack.EventHup
	}
	t.notify(p, ev)
}

// maxSegment is the longest payload that a peer sends to us.
func (t *TCP) maxSegment(p *pcb) uint16 { return t.announcedMSS(p) }
