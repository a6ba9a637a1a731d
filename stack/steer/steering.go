package steer

import (
	"encoding/binary"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
)

// The way of a frame:
//
//	1. look: what is it, by its headers                       ─► parse.go
//	2. whose is it: everybody's, its flow's, a socket's       ─► owner.go
//	3. hand it over, or leave it here

// Steer implements stack.Steering. In the supervisor's slot true also means that a frame found no worker.
func (x *Steerer) Steer(n int, frame []stack.Frame) bool {
	p, port := x.look(n, frame)
	from := sourceOf(frame)
	if from == fromSlot && p.kind != kindTCP {
		return x.stay(port, frame)
	}
	switch p.kind {
	case kindAll:
		return x.copies(port, frame, 0)
	case kindNews:
		return x.copies(port, frame, stack.RxNews)
	case kindFragment:
		return x.hand(port, frame, x.m.chain(p.hash(port.hash)).at(0), &x.counters.Fragments)
	case kindUDP:
		to, count := x.udp(port, &p, from)
		return x.hand(port, frame, to, count)
	case kindError:
		return x.quoted(port, frame, &p)
	case kindTCP:
		if !x.minder && (x.HasTCP == nil || x.hasTCP(n, &p)) {
			break // a layer before has looked, or unwraps the segment and looks; or it is here
		}
		to, count := x.tcp(port, &p, from)
		return x.hand(port, frame, to, count)
	}
	return x.stay(port, frame)
}

// Stray implements stack.Steering.
func (x *Steerer) Stray(n int, frame []stack.Frame) bool {
	p, port := x.look(n, frame)
	if p.kind != kindTCP {
		return x.stay(port, frame)
	}
	to, count := x.tcp(port, &p, sourceOf(frame))
	return x.hand(port, frame, to, count)
}

func sourceOf(frame []stack.Frame) source {
	if frame[0].Flags&stack.RxHanded != 0 {
		return fromSlot
	}
	return fromDevice
}

// look parses a frame of one of the ports that are steered.
func (x *Steerer) look(n int, frame []stack.Frame) (p packet, at *port) {
	x.counters.Asked++
	if n >= len(x.ports) {
		return p, nil
	}
	b, size := frame[0].Bytes(), int(frame[0].Len)
	if len(frame) > 1 {
		size = 0
		for i := range frame {
			size += int(frame[i].Len)
		}
		if len(b) < headMost {
			n := 0
			for i := range frame {
				n += copy(x.head[n:], frame[i].Bytes())
			}
			b = x.head[:n]
		}
	}
	return parse(b, size, &x.ports[n].MAC), &x.ports[n]
}

func (x *Steerer) hasTCP(n int, p *packet) bool {
	half := len(p.addrs) / 2
	src, _ := netip.AddrFromSlice(p.addrs[:half])
	dst, _ := netip.AddrFromSlice(p.addrs[half:])
	srcPort, dstPort := binary.BigEndian.Uint16(p.ports[0:2]), binary.BigEndian.Uint16(p.ports[2:4])
	return x.HasTCP(n, netip.AddrPortFrom(dst, dstPort), netip.AddrPortFrom(src, srcPort))
}

// hand passes a frame on to a slot; me or nobody: it stays.
func (x *Steerer) hand(at *port, frame []stack.Frame, to int, count *uint64) bool {
	if to == x.me || to < 0 {
		return x.stay(at, frame)
	}
	if at.Hander.Hand(frame, to, 0) {
		*count++
	} else {
		x.counters.DropHand++
	}
	return true
}

// stay leaves a frame here. In the supervisor's slot the first serving worker gets it.
func (x *Steerer) stay(at *port, frame []stack.Frame) bool {
	if !x.minder || at == nil {
		x.counters.Here++
		return false
	}
	for s := range x.m.Supervisor() {
		if x.m.State(s) == Serving {
			return x.hand(at, frame, s, &x.counters.ToOwner)
		}
	}
	x.counters.DropNobody++
	return true
}

// copies passes a frame on to all living workers, with flags to all but one: this one, or the first that serves if this
// is the supervisor.
func (x *Steerer) copies(at *port, frame []stack.Frame, flags stack.FrameFlags) bool {
	for s, first := 0, x.minder; s < x.m.Supervisor(); s++ {
		v := x.m.State(s)
		if s == x.me || !x.m.Living(s) {
			continue
		}
		f := flags
		if first && v == Serving {
			f, first = 0, false
		}
		if at.Hander.Hand(frame, s, f) {
			x.counters.Copies++
		} else if v != Starting { // it may not be there yet
			x.counters.DropHand++
		}
	}
	if x.minder {
		return true
	}
	x.counters.Here++
	return false
}

// quoted passes an ICMP error on to all who may have the flow that it quotes; they check whether it can be about theirs.
// It stays if this slot is among them, and if nobody is.
func (x *Steerer) quoted(at *port, frame []stack.Frame, p *packet) bool {
	c := x.m.chain(p.hash(at.hash))
	use := TCPForeign
	if p.udp {
		use = UDPBound
	}
	here, sent := c.find(x.me) >= 0, false
	for s := range x.m.Supervisor() {
		if c.find(s) < 0 && !(x.m.Port(s, use, p.local()) && x.m.Living(s)) {
			continue
		}
		if s == x.me {
			here = true
			continue
		}
		sent = true
		if at.Hander.Hand(frame, s, 0) {
			x.counters.Errors++
		} else {
			x.counters.DropHand++
		}
	}
	if here || !sent {
		return x.stay(at, frame)
	}
	return true
}
