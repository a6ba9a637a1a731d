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
	switch p.state {
	case stateClosed, stateListen, stateSynSent: // as on Linux, a socket has no peer any more in TIME-WAIT
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
	case stateClosed: // as on Linux, an error that has its effect
		if rd {
			p.flags |= flagShutRd
		}
		if wr {
			p.flags |= flagShutWr
		}
		t.notify(p, t.events(p))
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
	if p.state != stateSynRcvd {
		p.flags &^= flagConnecting // as on Linux: a later connect is one too many, not the first one's outcome
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
