//go:build !nodpdk

package ring

import "unsafe"

// Tests of this package are outside of it, since they start EAL by package dpdk, which imports this one. What they
// break is here. In an rte_ring's pair of counts the head comes just before the tail.

// BreakProducer leaves the ring as a producer does that is killed inside an enqueue.
func (r *Ring) BreakProducer() {
	in, _ := r.tails()
	*(*uint32)(unsafe.Add(unsafe.Pointer(in), -4)) += 4
}

// BreakConsumer leaves the ring as a consumer does that is killed inside a dequeue.
func (r *Ring) BreakConsumer() {
	_, out := r.tails()
	*(*uint32)(unsafe.Add(unsafe.Pointer(out), -4)) += 2
}

// Claim has the mesh say that another build made it.
func (m *Mesh) Claim(layout, version uint32) (undo func()) {
	was := *m.m
	p := (*[3]uint32)(unsafe.Pointer(m.m))
	if layout != 0 {
		p[1] = layout
	}
	if version != 0 {
		p[2] = version
	}
	return func() { *m.m = was }
}
