package steer

// tcp is the slot that a segment of no connection of this one goes to; what counts it.
//
// A connection is opened at the owner of its flow's bucket if somebody listens there, else where somebody does. Any
// other segment goes the round of those who may have its connection: the bucket's chain from the owner on, then, in
// their order, the slots with connections that came to be elsewhere. Each who is handed it passes it on to the next;
// the last answers. It ends, since a place in the round never goes back.
func (x *Steerer) tcp(at *port, p *packet, from source) (to int, count *uint64) {
	direct, handed := x.direct(at, from), from == fromSlot
	if p.opens {
		return x.open(at, p, handed, direct)
	}
	c := nobody.push(x.me)
	if !direct || x.m.head.formers.Load() != 0 {
		c = x.m.chain(p.hash(at.hash))
	}
	place := c.find(x.me)
	if place != 0 && !handed && c.at(0) >= 0 {
		return c.at(0), &x.counters.ToOwner
	}
	next := 0
	if place >= 0 {
		if place+1 < chainLength && c.at(place+1) >= 0 {
			return c.at(place + 1), &x.counters.ToFormer
		}
	} else if handed {
		next = x.me + 1
	}
	for s := next; s < x.m.Supervisor(); s++ {
		if s != x.me && c.find(s) < 0 && x.m.Port(s, TCPForeign, p.local()) && x.m.Living(s) {
			return s, &x.counters.ToListener
		}
	}
	return x.me, nil
}

// source is where a packet came from.
type source uint8

const (
	fromDevice source = iota
	fromSlot          // another slot has handed it over
	fromHere          // it was reassembled or unwrapped here, wherever its pieces came from
)

// direct tells whether a packet of a flow belongs here because the device has put it here.
func (x *Steerer) direct(at *port, from source) bool {
	return at.Hardware && from == fromDevice && x.m.State(x.me) == Serving
}

// open is tcp for a SYN.
func (x *Steerer) open(at *port, p *packet, handed, direct bool) (to int, count *uint64) {
	owner := x.me
	if !direct {
		if o := x.m.chain(p.hash(at.hash)).at(0); o >= 0 {
			owner = o
		}
	}
	to = owner
	switch {
	case handed:
		to = x.me
	case x.m.Port(owner, TCPListening, p.local()):
	case x.m.Port(x.me, TCPListening, p.local()):
		to = x.me
	default:
		if s := x.m.first(TCPListening, p.local()); s >= 0 {
			to = s
		}
	}
	switch {
	case to == owner:
		return to, &x.counters.ToOwner
	case to == x.me && x.m.Port(x.me, TCPListening, p.local()):
		x.m.SetPort(x.me, TCPForeign, p.local(), true) // its next segments may arrive at the owner
	}
	return to, &x.counters.ToListener
}

// udp is the slot that a datagram goes to: the owner of its flow if it has the port, else one that has.
func (x *Steerer) udp(at *port, p *packet, from source) (to int, count *uint64) {
	owner := x.me
	if !x.direct(at, from) {
		if o := x.m.chain(p.hash(at.hash)).at(0); o >= 0 {
			owner = o
		}
	}
	switch {
	case x.m.Port(owner, UDPBound, p.local()):
	case x.m.Port(x.me, UDPBound, p.local()):
		return x.me, nil
	default:
		if s := x.m.first(UDPBound, p.local()); s >= 0 {
			return s, &x.counters.ToListener
		}
	}
	return owner, &x.counters.ToOwner
}
