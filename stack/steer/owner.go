package steer

// tcp is the slot that a segment of no connection of this one goes to; what counts it.
//
// A connection is opened at the owner of its flow's bucket if somebody listens there, else where somebody does. Any
// other segment goes the round of those who may have its connection: the bucket's chain from the owner on, then, in
// their order, the slots with connections that came to be elsewhere. Each who is handed it passes it on to the next;
// the last answers. It ends, since a place in the round never goes back.
func (x *Steerer) tcp(at *port, p *packet, handed bool) (to int, count *uint64) {
	direct := at.Hardware && !handed && x.m.State(x.me) == Serving // where the device puts a frame, there it belongs
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
	from := 0
	if place >= 0 {
		if place+1 < chainLength && c.at(place+1) >= 0 {
			return c.at(place + 1), &x.counters.ToFormer
		}
	} else if handed {
		from = x.me + 1
	}
	for s := from; s < x.m.Supervisor(); s++ {
		if s != x.me && c.find(s) < 0 && x.m.Port(s, TCPForeign, p.local()) && x.m.Living(s) {
			return s, &x.counters.ToListener
		}
	}
	return x.me, nil
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
func (x *Steerer) udp(at *port, p *packet) (to int, count *uint64) {
	owner := x.me
	if !at.Hardware || x.m.State(x.me) != Serving {
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
