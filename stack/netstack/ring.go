package netstack

import gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

// ring is a bounded queue of packets. It grows up to its bound and never shrinks.
type ring struct {
	slots []*gstack.PacketBuffer // a power of two
	head  int
	n     int
	max   int
}

func newRing(max int) ring {
	return ring{slots: make([]*gstack.PacketBuffer, 64), max: max}
}

// push appends p, or returns false if the ring is full.
func (r *ring) push(p *gstack.PacketBuffer) bool {
	if r.n == r.max {
		return false
	}
	if r.n == len(r.slots) {
		slots := make([]*gstack.PacketBuffer, 2*r.n)
		for i := range r.n {
			slots[i] = r.slots[(r.head+i)&(r.n-1)]
		}
		r.slots, r.head = slots, 0
	}
	r.slots[(r.head+r.n)&(len(r.slots)-1)] = p
	r.n++
	return true
}

// front is the oldest packet, nil if there is none.
func (r *ring) front() *gstack.PacketBuffer {
	if r.n == 0 {
		return nil
	}
	return r.slots[r.head]
}

// pop takes the oldest packet out, nil if there is none.
func (r *ring) pop() *gstack.PacketBuffer {
	p := r.front()
	if p != nil {
		r.slots[r.head] = nil
		r.head = (r.head + 1) & (len(r.slots) - 1)
		r.n--
	}
	return p
}
