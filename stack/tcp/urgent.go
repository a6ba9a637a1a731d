package tcp

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// Urgent data as RFC 6093 has it: the pointer stands behind the urgent byte (§2.1), which is also what all hosts send;
// there is one such byte at a time, out of band unless SO_OOBINLINE is set. New applications should not use it (§5).

// What is known of the urgent byte.
const (
	urgNone   = iota
	urgComing // announced, not here
	urgHere
	urgRead // and its place in the stream is still ahead
)

// inputUrgent takes an urgent pointer in (RFC 9293 §3.10.7.4, sixth).
func (t *TCP) inputUrgent(i uint32, p *pcb, s *segment) {
	if s.urg == 0 || !p.state.in(statesReceive) {
		return
	}
	at := s.seq + uint32(s.urg) - 1
	if before(at, p.readSeq()) || p.urg != urgNone && beforeEq(at, p.rcvUp) {
		return // it was passed already, or is the one that is known
	}
	if p.urg == urgHere && p.flags&flagOOBInline == 0 && p.readSeq() == p.rcvUp {
		t.chunks.drop(&p.rcv, min(1, p.rcv.len)) // as on Linux, a byte at the mark that a newer one replaces is lost
	}
	p.urg, p.rcvUp = urgComing, at
	t.counters.RxUrgent++
	t.notify(p, stack.EventPri)
}

// takeUrgent looks for the urgent byte in a segment.
func (t *TCP) takeUrgent(p *pcb, s *segment) {
	if off := p.rcvUp - s.seq; off < uint32(len(s.payload)) {
		p.urgByte, p.urg = s.payload[off], urgHere
		t.notify(p, stack.EventPri)
	}
}

// upToMark is how much can be read before the urgent byte, which is passed over if it is out of band.
func (t *TCP) upToMark(p *pcb) uint32 {
	if after(p.readSeq(), p.rcvUp) {
		p.urg = urgNone
		return p.rcv.len
	}
	off := p.rcvUp - p.readSeq()
	if off == 0 && p.rcv.len > 0 {
		if p.flags&flagOOBInline == 0 {
			t.chunks.drop(&p.rcv, 1)
			if p.urg == urgRead {
				p.urg = urgNone
			}
		} else {
			p.urg = urgNone
		}
		return p.rcv.len
	}
	if off < p.rcv.len && off > 0 {
		return off
	}
	return p.rcv.len
}

// recvUrgent is recv with MSG_OOB.
func (t *TCP) recvUrgent(p *pcb, b []byte, flags int) (int, error) {
	switch {
	case p.flags&flagOOBInline != 0 || p.urg == urgNone || p.urg == urgRead:
		return 0, syscall.EINVAL
	case p.state == stateClosed && p.flags&flagDone == 0:
		return 0, syscall.ENOTCONN
	case p.urg == urgHere:
		if flags&unix.MSG_PEEK == 0 {
			p.urg = urgRead
			if after(p.readSeq(), p.rcvUp) {
				p.urg = urgNone
			}
		}
		return copy(b, []byte{p.urgByte}), nil
	case p.state == stateClosed || p.flags&flagShutRd != 0:
		return 0, nil
	}
	return 0, syscall.EAGAIN
}
