package steer

import (
	"net/netip"
	"sync"
)

// walk goes through the local ports of [low, high] for which packets from remote to local come to one queue of an RSS,
// or to one slot of a map.
//
// The hash is linear over GF(2): hash(port) = hash(0) ^ L·port. For each entry of the table that is ours, the ports are
// one solution of L·port = entry ^ hash(0), on the bits that index the table, and all sums of it with L's kernel
// (Toeplitz hash functions, Krawczyk 1994).
type walk struct {
	rss       *RSS     // with a table of queues, one of which is meant
	queue     int      //
	x         *Steerer // or with a map, whose slot is meant
	hash      *Toeplitz
	entries   uint32 // of the table, a power of two
	remote    netip.AddrPort
	local     netip.Addr
	low, high uint16
	start     uint32 // where in the round to begin
	note      bool   // the port that is taken is noted in the map
	once      func(yield func(uint16) bool)
}

// walks are kept for connects, which make no garbage with them.
var walks sync.Pool

// takeWalk is a walk whose once may be called one time.
func takeWalk() *walk {
	if w, ok := walks.Get().(*walk); ok {
		return w
	}
	w := new(walk)
	w.once = func(yield func(uint16) bool) {
		w.each(yield)
		walks.Put(w)
	}
	return w
}

func (w *walk) each(yield func(uint16) bool) {
	mask := w.entries - 1
	pos := portsAt(w.local) + 2 // the reply's destination
	base := w.hash.Flow(w.remote, netip.AddrPortFrom(w.local, 0)) & mask
	var columns [16]uint32
	for bit := range columns {
		columns[bit] = w.hash.port(pos, 1<<bit) & mask
	}
	s := eliminate(columns)
	kernel := uint32(1) << s.nullity
	for i := range w.entries {
		entry := (w.start + i) & mask
		if !w.ours(entry) {
			continue
		}
		p, ok := s.solve(entry ^ base)
		if !ok {
			continue
		}
		for k := range kernel {
			port := p ^ s.combine((k+w.start/w.entries)&(kernel-1))
			if port < w.low || port > w.high || w.taken(entry, port) || yield(port) {
				continue
			}
			if w.note {
				w.x.Connecting(port, true)
			}
			return
		}
	}
}

// ours tells whether an entry of the table is the queue's or the slot's. A draining slot has those that come to it because
// it had them before, a starting one those that it will have.
func (w *walk) ours(entry uint32) bool {
	if w.rss != nil {
		return int(w.rss.reta[entry]) == w.queue
	}
	m, me := w.x.m, w.x.me
	switch m.State(me) {
	case Serving:
		return m.chain(entry).at(0) == me
	case Starting:
		return int(entry)%m.Lcores() == m.Index(me)
	}
	return m.chain(entry).find(me) >= 0
}

// taken tells whether another slot that has or had the entry connects from the port: its connection may have the same
// addresses and ports.
func (w *walk) taken(entry uint32, port uint16) bool {
	if w.rss != nil {
		return false
	}
	c := w.x.m.chain(entry)
	for i := 0; i < chainLength && c.at(i) >= 0; i++ {
		if s := c.at(i); s != w.x.me && w.x.m.Port(s, TCPConnecting, port) {
			return true
		}
	}
	return false
}
