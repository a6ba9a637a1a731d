package tcp

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// Open implements stack.Sockets.
func (t *TCP) Open(domain, typ, proto int) (stack.Handle, error) {
	if typ != unix.SOCK_STREAM || proto != 0 && proto != unix.IPPROTO_TCP || domain != unix.AF_INET && domain != unix.AF_INET6 {
		return 0, syscall.EPROTONOSUPPORT
	}
	t.st.Lock()
	defer t.st.Unlock()
	i := t.pcbs.alloc()
	if i == 0 {
		t.counters.SocketsExhausted++
		return 0, syscall.ENOBUFS
	}
	p := t.pcbs.at(i)
	*p = pcb{
		state: stateClosed, flags: flagOpen, sndBuf: uint32(t.sys.sendSpace), rcvBuf: uint32(t.sys.recvSpace),
		opts: t.opts.ref(t.opts.initial),
	}
	if domain == unix.AF_INET6 {
		p.flags |= flagIPv6Sock
	}
	if t.sys.alwaysKeepAlive != 0 {
		p.flags |= flagKeepAlive
	}
	return stack.Handle(i), nil
}

// get finds the PCB of a handle.
func (t *TCP) get(h stack.Handle) (uint32, *pcb, error) {
	if i := uint32(h); t.pcbs.valid(i) {
		if p := t.pcbs.at(i); p.state != stateFree && p.flags&flagOpen != 0 {
			return i, p, nil
		}
	}
	return 0, nil, syscall.EBADF
}

// enter begins a call of the application: with the lock, at the time of now.
func (t *TCP) enter() {
	t.st.Lock()
	t.tick()
}

// leave ends it and wakes the loop if there is work.
func (t *TCP) leave() {
	work := len(t.dirty) > 0
	t.st.Unlock()
	if work {
		t.st.Kick()
	}
}

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

// Accept implements stack.Sockets.
func (t *TCP) Accept(h stack.Handle) (stack.Handle, netip.AddrPort, error) {
	t.enter()
	defer t.leave()
	_, lp, err := t.get(h)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	if lp.state != stateListen {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	q := t.listens.at(lp.ext)
	i := q.first
	if i == 0 {
		return 0, netip.AddrPort{}, syscall.EAGAIN
	}
	p := t.pcbs.at(i)
	t.unqueue(i, p, q)
	p.parent = 0
	p.flags |= flagOpen
	t.counters.Accepted++
	return stack.Handle(i), t.shown(p, t.remote(&p.key), p.remotePort()), nil
}

// shown is an address in the form of the socket's family.
func (t *TCP) shown(p *pcb, a netip.Addr, port uint16) netip.AddrPort {
	if p.flags&flagIPv6Sock != 0 && a.Is4() {
		a = netip.AddrFrom16(a.As16())
	}
	return netip.AddrPortFrom(a, port)
}

// LocalAddr implements stack.Sockets.
func (t *TCP) LocalAddr(h stack.Handle) (netip.AddrPort, error) {
	t.st.Lock()
	defer t.st.Unlock()
	_, p, err := t.get(h)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if p.lhi|p.llo == 0 {
		any := netip.IPv4Unspecified()
		if p.flags&flagIPv6Sock != 0 {
			any = netip.IPv6Unspecified()
		}
		return netip.AddrPortFrom(any, p.localPort()), nil
	}
	return t.shown(p, t.local(&p.key), p.localPort()), nil
}

// PeerAddr implements stack.Sockets.
func (t *TCP) PeerAddr(h stack.Handle) (netip.AddrPort, error) {
	t.st.Lock()
	defer t.st.Unlock()
	_, p, err := t.get(h)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if p.state == stateClosed || p.state == stateListen || p.state == stateSynSent {
		return netip.AddrPort{}, syscall.ENOTCONN
	}
	return t.shown(p, t.remote(&p.key), p.remotePort()), nil
}

// Shutdown implements stack.Sockets.
func (t *TCP) Shutdown(h stack.Handle, how int) error {
	t.enter()
	defer t.leave()
	i, p, err := t.get(h)
	if err != nil {
		return err
	}
	if how != unix.SHUT_RD && how != unix.SHUT_WR && how != unix.SHUT_RDWR {
		return syscall.EINVAL
	}
	rd, wr := how != unix.SHUT_WR, how != unix.SHUT_RD
	switch p.state {
	case stateClosed:
		return syscall.ENOTCONN
	case stateListen:
		if rd {
			t.unlisten(i, p)
			p.state = stateClosed
			t.notify(p, stack.EventIn|stack.EventHup)
		}
		return nil
	case stateSynSent:
		if rd {
			t.over(i, p)
		}
		return nil
	}
	if wr {
		t.finish(i, p)
	}
	if rd {
		p.flags |= flagShutRd
	}
	t.notify(p, t.events(p)&(stack.EventIn|stack.EventRdHup|stack.EventHup|stack.EventOut))
	return nil
}

// Close implements stack.Sockets.
func (t *TCP) Close(h stack.Handle) error {
	t.enter()
	defer t.leave()
	i, p, err := t.get(h)
	if err != nil {
		return err
	}
	p.flags &^= flagOpen | flagWantWrite
	p.sink = stack.SinkNone
	unread := p.rcv.len > 0
	t.chunks.clear(&p.rcv)
	switch {
	case p.state == stateListen:
		t.unlisten(i, p)
		p.state = stateClosed
		t.end(i, p)
	case p.state == stateClosed || p.state == stateSynSent:
		t.end(i, p)
	case p.state == stateTimeWait:
	case unread:
		// RFC 2525 §2.17: the peer must learn that what it sent was not read.
		t.counters.ResetUnreadData++
		t.abort(i, p)
	case t.opts.at(p.opts).linger == 0:
		t.counters.ResetLinger++
		t.abort(i, p)
	default:
		t.finish(i, p)
		p.flags |= flagShutRd
		t.orphan(i, p)
	}
	return nil
}

// Events implements stack.Sockets.
func (t *TCP) Events(h stack.Handle) stack.Events {
	t.st.Lock()
	defer t.st.Unlock()
	_, p, err := t.get(h)
	if err != nil {
		return 0
	}
	return t.events(p)
}

// events is the readiness as Linux's poll has it.
func (t *TCP) events(p *pcb) (ev stack.Events) {
	if p.err != 0 {
		ev |= stack.EventErr
	}
	switch p.state {
	case stateListen:
		if t.listens.at(p.ext).waiting > 0 {
			ev |= stack.EventIn
		}
		return ev
	case stateSynSent:
		return ev
	case stateSynRcvd:
		return ev
	case stateClosed:
		ev |= stack.EventHup
	}
	if p.flags&(flagShutRd|flagShutWr) == flagShutRd|flagShutWr {
		ev |= stack.EventHup
	}
	if p.flags&flagShutRd != 0 {
		ev |= stack.EventIn | stack.EventRdHup
	}
	if p.rcv.len >= t.opts.at(p.opts).lowat {
		ev |= stack.EventIn
	}
	if p.flags&flagShutWr != 0 || p.writable() && t.belowNotSent(p) {
		ev |= stack.EventOut
	}
	if p.urg == urgHere {
		ev |= stack.EventPri
	}
	return ev
}

// writable tells whether there is room worth telling of: a third of the queue, as on Linux.
func (p *pcb) writable() bool { return p.snd.len <= p.sndBuf-p.sndBuf/3 }

// Watch implements stack.Sockets.
func (t *TCP) Watch(h stack.Handle, sink stack.SinkID, tag uint32) {
	t.st.Lock()
	defer t.st.Unlock()
	if _, p, err := t.get(h); err == nil {
		p.sink, p.tag = sink, tag
	}
}
