package tcp

import (
	"net/netip"
	"syscall"

	"github.com/fstack-go/fstack/stack"
)

// placeOf checks an address to bind to or to connect to: of the socket's family.
func (t *TCP) placeOf(p *pcb, a netip.AddrPort) (w place, err error) {
	ip := a.Addr()
	if !ip.IsValid() || ip.Is4() != (p.flags&flagIPv6Sock == 0) {
		return w, syscall.EAFNOSUPPORT
	}
	w.port = a.Port()
	switch {
	case ip.Is4() && ip.IsUnspecified():
		w.any = anyIPv4
	case ip.Is4In6() && ip.Unmap().IsUnspecified():
		w.any = anyIPv4
	case ip.IsUnspecified() && p.flags&flagV6Only != 0:
		w.any = anyIPv6
	case ip.IsUnspecified():
		w.any = anyBoth
	default:
		w.hi, w.lo = split(ip)
	}
	if isLinkLocal(w.hi) {
		if w.scope = t.scopeOf(ip.Zone()); w.scope == 0 {
			if ip.Zone() != "" {
				return w, syscall.ENODEV
			}
			return w, syscall.EINVAL // Linux: a link-local address needs a scope
		}
	}
	return w, nil
}

// Bind implements stack.Sockets.
func (t *TCP) Bind(h stack.Handle, a netip.AddrPort) error {
	t.enter()
	defer t.leave()
	_, p, err := t.get(h)
	if err != nil {
		return err
	}
	if p.state != stateClosed || p.bind != 0 || p.flags&flagDone != 0 {
		return syscall.EINVAL
	}
	w, err := t.placeOf(p, a)
	if err != nil {
		return err
	}
	if w.any == anyNot {
		if w.isIPv4() && p.flags&flagV6Only != 0 {
			return syscall.EINVAL
		}
		if !t.net.IsLocal(t.join(w.hi, w.lo, w.scope)) {
			return syscall.EADDRNOTAVAIL
		}
	}
	return t.bind(p, w)
}

// bind takes a local address and port, any free port for 0.
func (t *TCP) bind(p *pcb, w place) error {
	s := sharingOf(p)
	s.hard = true
	if w.port == 0 {
		if w.port = t.freePort(&w, s); w.port == 0 {
			return syscall.EADDRINUSE
		}
	} else if t.binds.conflict(&w, s) {
		t.counters.AddressInUse++
		return syscall.EADDRINUSE
	}
	if p.bind = t.binds.hold(&w, s); p.bind == 0 {
		return syscall.ENOBUFS
	}
	p.flags |= flagBound
	if w.any == anyNot {
		p.flags |= flagBoundAddr
	}
	p.lhi, p.llo, p.scope, p.ports = w.hi, w.lo, w.scope, makePorts(w.port, 0)
	return nil
}

// freePort finds a port that nobody shares, from a random start (RFC 6056 §3.3.1).
func (t *TCP) freePort(w *place, s sharing) uint16 {
	t.portCount++
	k := key{lhi: w.hi, llo: w.lo}
	first, n := t.sys.portFirst, t.sys.portLast-t.sys.portFirst+1
	at := int(k.sip(&t.secret.port, uint64(t.portCount)<<32|uint64(t.nowMS)) % uint64(n))
	s.reuse = false
	for j := range n {
		w.port = uint16(first + (at+j)%n)
		if t.binds.heads[w.port] == 0 || !t.binds.conflict(w, s) {
			return w.port
		}
	}
	return 0
}

// Listen implements stack.Sockets.
func (t *TCP) Listen(h stack.Handle, backlog int) error {
	t.enter()
	defer t.leave()
	i, p, err := t.get(h)
	if err != nil {
		return err
	}
	if backlog < 0 || backlog > t.sys.backlogMost {
		backlog = t.sys.backlogMost
	}
	if p.state == stateListen {
		t.listens.at(p.ext).backlog = uint32(backlog) + 1
		return nil
	}
	if p.state != stateClosed || p.flags&flagDone != 0 {
		return syscall.EINVAL
	}
	if p.bind == 0 {
		w := place{any: anyIPv4}
		if p.flags&flagIPv6Sock != 0 {
			w.any = anyBoth
			if p.flags&flagV6Only != 0 {
				w.any = anyIPv6
			}
		}
		if err := t.bind(p, w); err != nil {
			return err
		}
	}
	// Linux looks for conflicts again: two sockets bound with SO_REUSEADDR must not both listen.
	s := sharingOf(p)
	n := t.binds.at(p.bind)
	w := place{hi: n.hi, lo: n.lo, scope: n.scope, port: n.port, any: n.any}
	t.binds.count(p.bind, s, -1)
	clash := t.binds.conflict(&w, s)
	t.binds.count(p.bind, s, 1)
	if clash {
		t.counters.AddressInUse++
		return syscall.EADDRINUSE
	}
	ext := t.listens.alloc()
	if ext == 0 {
		return syscall.ENOBUFS
	}
	*t.listens.at(ext) = listener{backlog: uint32(backlog) + 1}
	p.ext = ext
	p.err = 0
	p.state = stateListen
	t.startListening(i, p)
	return nil
}
