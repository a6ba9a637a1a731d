package tcp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// binding is a local address and port in use: by bound and listening sockets and by connections. Those of one port
// are chained; there are few, one for each local address in use with it.
type binding struct {
	next      uint32
	hi, lo    uint64
	scope     uint32
	port      uint16
	any       anyKind
	refs      uint32 // sockets and connections
	hard      uint32 // that were bound by name or are accepted from a listener that was
	noReuse   uint32 // without SO_REUSEADDR
	noGroup   uint32 // without SO_REUSEPORT, TIME-WAIT left out
	listening uint32 // how many of them listen
	listeners uint32 // their PCBs, through qnext
}

// anyKind says which wildcard a binding's address is.
type anyKind uint8

const (
	anyNot   anyKind = iota
	anyIPv4          // 0.0.0.0
	anyIPv6          // :: with IPV6_V6ONLY
	anyBoth          // :: without
	anyKinds         // how many there are
)

// bindings finds them by port.
type bindings struct {
	slab[binding]
	heads []uint32 // by port
	mem   []byte
	bound func(port uint16, on bool) // Config.Bound
}

func (b *bindings) open(limit int) error {
	if err := b.slab.open(limit); err != nil {
		return err
	}
	mem, err := unix.Mmap(-1, 0, 65536*4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		b.slab.close()
		return err
	}
	b.mem = mem
	b.heads = unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(mem))), 65536)
	return nil
}

func (b *bindings) close() {
	b.slab.close()
	if b.mem != nil {
		unix.Munmap(b.mem)
	}
	b.heads, b.mem = nil, nil
}

// place is an address to bind to.
type place struct {
	hi, lo uint64
	scope  uint32
	port   uint16
	any    anyKind
}

func (n *binding) is(w *place) bool {
	return n.any == w.any && n.hi == w.hi && n.lo == w.lo && n.scope == w.scope
}

// meets tells whether a packet could be for both.
func (n *binding) meets(w *place) bool {
	switch {
	case n.any == anyBoth || w.any == anyBoth:
		return true
	case n.any == anyNot && w.any == anyNot:
		return n.hi == w.hi && n.lo == w.lo && n.scope == w.scope
	}
	return n.isIPv4() == w.isIPv4()
}

func (n *binding) isIPv4() bool { return n.any == anyIPv4 || n.any == anyNot && isMapped(n.hi, n.lo) }
func (w *place) isIPv4() bool   { return w.any == anyIPv4 || w.any == anyNot && isMapped(w.hi, w.lo) }

func isMapped(hi, lo uint64) bool { return hi == 0 && lo>>32 == 0xffff }

// sharing is what a socket permits others at its port.
type sharing struct{ reuse, group, hard bool }

func sharingOf(p *pcb) sharing {
	return sharing{p.has(flagReuseAddr), p.has(flagReusePort), p.has(flagBound)}
}

// conflict tells whether binding to w would clash, by Linux's rules: two sockets share a port if their addresses
// cannot meet, if both allow reuse and neither listens, or if both are in a SO_REUSEPORT group.
func (b *bindings) conflict(w *place, s sharing) bool {
	for i := b.heads[w.port]; i != 0; {
		n := b.at(i)
		if n.refs != 0 && n.meets(w) {
			reuse := s.reuse && n.noReuse == 0 && n.listening == 0
			group := s.group && n.noGroup == 0
			if !reuse && !group {
				return true
			}
		}
		i = n.next
	}
	return false
}

// hold adds a reference and returns the binding, or 0 without memory.
func (b *bindings) hold(w *place, s sharing) uint32 {
	var i uint32
	for i = b.heads[w.port]; i != 0; i = b.at(i).next {
		if b.at(i).is(w) {
			break
		}
	}
	if i == 0 {
		if i = b.alloc(); i == 0 {
			return 0
		}
		*b.at(i) = binding{next: b.heads[w.port], hi: w.hi, lo: w.lo, scope: w.scope, port: w.port, any: w.any}
		b.heads[w.port] = i
	}
	b.count(i, s, 1)
	return i
}

// count adds d, 1 or -1, to what a socket counts as.
func (b *bindings) count(i uint32, s sharing, d int) {
	n := b.at(i)
	n.refs += uint32(d)
	if s.hard {
		n.hard += uint32(d)
	}
	if !s.reuse {
		n.noReuse += uint32(d)
	}
	if !s.group {
		n.noGroup += uint32(d)
	}
}

// drop takes a reference back.
func (b *bindings) drop(i uint32, s sharing) {
	b.count(i, s, -1)
	n := b.at(i)
	if n.refs != 0 {
		return
	}
	link := &b.heads[n.port]
	for *link != i {
		link = &b.at(*link).next
	}
	*link = n.next
	if b.heads[n.port] == 0 && b.bound != nil {
		b.bound(n.port, false)
	}
	b.release(i)
}

// taken tells whether a port is bound by name, so that connect must not choose it.
func (b *bindings) taken(port uint16) bool {
	for i := b.heads[port]; i != 0; {
		n := b.at(i)
		if n.hard != 0 {
			return true
		}
		i = n.next
	}
	return false
}

// heard tells whether somebody listens at a port.
func (b *bindings) heard(port uint16) bool {
	for i := b.heads[port]; i != 0; i = b.at(i).next {
		if b.at(i).listening != 0 {
			return true
		}
	}
	return false
}

// listener finds the listening PCB for a packet to an address and port: a bound address before a wildcard, IPv4's
// before the one of both; in a SO_REUSEPORT group the one that the flow's hash picks.
func (t *TCP) listener(hi, lo uint64, scope uint32, port uint16, hash uint32) uint32 {
	var best [anyKinds]uint32
	found := false
	for i := t.binds.heads[port]; i != 0; {
		n := t.binds.at(i)
		if n.listening != 0 && (n.any != anyNot || n.hi == hi && n.lo == lo && n.scope == scope) {
			best[n.any] = i
			found = true
		}
		i = n.next
	}
	if !found {
		return 0
	}
	pick := best[anyNot]
	if pick == 0 {
		if isMapped(hi, lo) {
			pick = best[anyIPv4]
		} else {
			pick = best[anyIPv6]
		}
	}
	if pick == 0 {
		pick = best[anyBoth]
	}
	if pick == 0 {
		return 0
	}
	n := t.binds.at(pick)
	l := n.listeners
	if n.listening > 1 {
		hash *= 0x9e3779b1 // neighbours' hashes differ in the low bits, see table.hash
		for k := uint32(uint64(hash) * uint64(n.listening) >> 32); k > 0; k-- {
			l = t.pcbs.at(l).qnext
		}
	}
	return l
}

func (t *TCP) startListening(i uint32, p *pcb) {
	n := t.binds.at(p.bind)
	p.qnext = n.listeners
	n.listeners = i
	n.listening++
	if t.listening != nil {
		t.listening(n.port, true)
	}
}

func (t *TCP) stopListening(i uint32, p *pcb) {
	n := t.binds.at(p.bind)
	link := &n.listeners
	for *link != i {
		link = &t.pcbs.at(*link).qnext
	}
	*link = p.qnext
	p.qnext = 0
	n.listening--
	if t.listening != nil && !t.binds.heard(n.port) {
		t.listening(n.port, false)
	}
}
