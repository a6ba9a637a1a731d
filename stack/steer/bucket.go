package steer

import "fmt"

// chain is who has a bucket and who has had it: up to four slots of 16 bits each, the owner lowest, then the former
// ones, latest first; 0xffff is nobody. New connections of the bucket are the owner's. A packet of another connection
// that the owner does not know goes along the chain. One word, so that it is read and changed as one.
type chain uint64

const (
	nobody      = ^chain(0)
	chainLength = 4
)

// at is the slot at place i, -1 for none. Place 0 is the owner's.
func (c chain) at(i int) int { return int(int16(c >> (16 * i))) }

// find is the place of a slot, -1 if it is not in the chain.
func (c chain) find(slot int) int {
	for i := range chainLength {
		if c.at(i) == slot {
			return i
		}
	}
	return -1
}

// push makes a slot the owner. Who has had the bucket three owners ago is forgotten.
func (c chain) push(slot int) chain {
	return c.remove(slot)<<16 | chain(uint16(slot))
}

// remove takes a slot out. The next one in the chain then is the owner.
func (c chain) remove(slot int) chain {
	i := c.find(slot)
	if i < 0 {
		return c
	}
	low := chain(1)<<(16*i) - 1
	return c&low | c>>16&^low | 0xffff<<48
}

// former tells whether somebody has had the bucket before.
func (c chain) former() bool { return c.at(1) >= 0 }

func (m *Map) chain(hash uint32) chain {
	return chain(m.chains[hash&uint32(len(m.chains)-1)].Load())
}

// Owner is the slot that has a bucket, -1 if nobody has.
func (m *Map) Owner(bucket int) int { return m.chain(uint32(bucket)).at(0) }

// Shares counts the buckets of each slot into dst, which has a place for each slot.
func (m *Map) Shares(dst []int) {
	clear(dst)
	for b := range m.chains {
		if s := m.Owner(b); s >= 0 {
			dst[s]++
		}
	}
}

// Join takes workers' slots into service: the buckets of its index become a slot's, and who has had them stays known for
// the connections that it has. A slot of the other generation with the same index drains from now on. It gives a worker
// that was started again its share back, and it is a step of the change to a new generation. Workers that start at the
// same time had better join in one call, or those that come first are former owners of the others' buckets for ever.
// Only the supervisor calls it.
func (m *Map) Join(slots ...int) {
	chains := m.snapshot()
	for _, s := range slots {
		for other := m.Index(s); other < m.Supervisor(); other += m.Lcores() {
			if other != s && m.State(other) == Serving {
				m.SetState(other, Draining)
			}
		}
		m.SetState(s, Serving)
		for b, c := range chains {
			if b%m.Lcores() == m.Index(s) {
				chains[b] = c.push(s)
			}
		}
	}
	m.publish(chains)
}

// Leave takes a slot whose process has ended out of service, to the state Dead or Free: its buckets are spread evenly
// over the serving slots, it is forgotten as a former owner, and its ports are nobody's. Only the supervisor calls it.
func (m *Map) Leave(s int, state State) {
	m.SetState(s, state)
	chains := m.snapshot()
	for b, c := range chains {
		if c.at(0) == s {
			chains[b] = c.remove(s)<<16 | 0xffff // a former owner does not become one by itself: the shares would not be even
		} else {
			chains[b] = c.remove(s)
		}
	}
	m.publish(chains)
	m.clearPorts(s)
}

func (m *Map) snapshot() []chain {
	chains := make([]chain, len(m.chains))
	for b := range chains {
		chains[b] = m.chain(uint32(b))
	}
	return chains
}

// publish puts new chains in force, after it has given the buckets that nobody serves to the serving slots that have the
// fewest. A bucket's reader sees the old chain or the new one.
func (m *Map) publish(chains []chain) {
	shares := make([]int, m.Slots())
	serves := func(c chain) bool { return c.at(0) >= 0 && m.State(c.at(0)) == Serving }
	for _, c := range chains {
		if serves(c) {
			shares[c.at(0)]++
		}
	}
	formers := uint32(0)
	for b, c := range chains {
		if !serves(c) {
			if c.at(0) < 0 {
				c = c>>16 | 0xffff<<48
			}
			if best := m.heir(shares, c); best >= 0 {
				c = c.push(best)
				shares[best]++
			} else {
				c = chains[b]
			}
			chains[b] = c
		}
		if c.former() {
			formers++
		}
	}
	m.head.formers.Store(max(formers, m.head.formers.Load())) // who relies on there being none looks here first
	for b, c := range chains {
		if c != m.chain(uint32(b)) {
			m.chains[b].Store(uint64(c))
		}
	}
	m.head.formers.Store(formers)
}

// heir is the serving slot with the smallest share, before others one that has had the bucket before. If there is no place
// in the chain for another one, and for who gets the bucket back later, it is one that has. -1: none serves.
func (m *Map) heir(shares []int, c chain) int {
	best, former := -1, -1
	for s := range m.Supervisor() {
		if m.State(s) != Serving {
			continue
		}
		if best < 0 || shares[s] < shares[best] {
			best = s
		}
		if c.find(s) >= 0 && (former < 0 || shares[s] < shares[former]) {
			former = s
		}
	}
	if former >= 0 && (shares[former] == shares[best] || c.at(chainLength-2) >= 0) {
		return former
	}
	return best
}

// RETA is the redirection table of that size for a device: entry by entry the queue of the bucket's owner, 0 where
// nobody is.
func (m *Map) RETA(size int) ([]uint16, error) {
	if size < m.Buckets() || size%m.Buckets() != 0 {
		return nil, fmt.Errorf("steering map: a redirection table of %d entries, want a multiple of the map's %d buckets", size, m.Buckets())
	}
	reta := make([]uint16, size)
	for i := range reta {
		if o := m.Owner(i % m.Buckets()); o >= 0 {
			reta[i] = uint16(m.Index(o))
		}
	}
	return reta, nil
}
