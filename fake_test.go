package fstack

import (
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// fakeNet connects fake hosts without packets: what is sent stands in the peer's buffer at once. Addresses of
// 10.0.0.0/24 and fd00::/64 without a host never answer; to others there is no route.
type fakeNet struct {
	mu    sync.Mutex
	hosts []*fakeHost
	port  uint16
}

// fakeHost is the table of sockets of one host.
type fakeHost struct {
	net     *fakeNet
	st      *stack.Stack
	addrs   []netip.Addr
	sockets []*fakeSocket // by handle-1
}

var _ stack.Sockets = (*fakeHost)(nil)

type fakeSocket struct {
	host          *fakeHost
	domain, typ   int
	local, remote netip.AddrPort
	bound, listen bool
	backlog       int
	peer          *fakeSocket // of an established stream
	queue         []*fakeSocket
	in            []byte // what came in on a stream
	packets       []fakePacket
	eof, shut     bool // the peer will send no more; we will not
	err           syscall.Errno
	options       map[[2]int][]byte
	sink          stack.SinkID
	tag           uint32
}

type fakePacket struct {
	from netip.AddrPort
	data []byte
}

const (
	fakeBuffer  = 64 << 10 // bytes of a stream that wait
	fakePackets = 64       // datagrams that wait
)

func (n *fakeNet) host(st *stack.Stack, addrs ...netip.Addr) *fakeHost {
	h := &fakeHost{net: n, st: st, addrs: addrs}
	n.hosts = append(n.hosts, h)
	return h
}

func (h *fakeHost) get(s stack.Handle) (*fakeSocket, error) {
	if s == 0 || int(s) > len(h.sockets) || h.sockets[s-1] == nil {
		return nil, syscall.EBADF
	}
	return h.sockets[s-1], nil
}

// with calls f on a socket, with the network locked.
func (h *fakeHost) with(s stack.Handle, f func(s *fakeSocket) error) error {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	x, err := h.get(s)
	if err != nil {
		return err
	}
	return f(x)
}

func (s *fakeSocket) tell(ev stack.Events) { s.host.st.Notify(s.sink, s.tag, ev) }

func (h *fakeHost) add(s *fakeSocket) stack.Handle {
	if i := slices.Index(h.sockets, nil); i >= 0 {
		h.sockets[i] = s
		return stack.Handle(i + 1)
	}
	h.sockets = append(h.sockets, s)
	return stack.Handle(len(h.sockets))
}

func (h *fakeHost) Open(domain, typ, proto int) (stack.Handle, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	switch {
	case domain != unix.AF_INET && domain != unix.AF_INET6:
		return 0, syscall.EAFNOSUPPORT
	case domain == unix.AF_INET6 && !slices.ContainsFunc(h.addrs, netip.Addr.Is6):
		return 0, syscall.EAFNOSUPPORT
	case typ != unix.SOCK_STREAM && typ != unix.SOCK_DGRAM:
		return 0, syscall.EPROTONOSUPPORT
	}
	return h.add(&fakeSocket{host: h, domain: domain, typ: typ, options: map[[2]int][]byte{}}), nil
}

// mine tells whether packets to a come to this host.
func (h *fakeHost) mine(a netip.Addr) bool {
	return a.IsLoopback() || slices.Contains(h.addrs, a)
}

func (s *fakeSocket) only6() bool {
	return len(s.options[[2]int{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}]) > 0 && s.options[[2]int{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}][0] != 0
}

// takes tells whether packets to a are for this socket.
func (s *fakeSocket) takes(typ int, a netip.AddrPort) bool {
	l := s.local.Addr().Unmap()
	if !s.bound || s.typ != typ || s.local.Port() != a.Port() {
		return false
	}
	if !l.IsUnspecified() {
		return l == a.Addr().Unmap()
	}
	return a.Addr().Unmap().Is4() == l.Is4() || l.Is6() && !s.only6()
}

func (h *fakeHost) Bind(s stack.Handle, a netip.AddrPort) error {
	return h.with(s, func(x *fakeSocket) error { return h.bind(x, a) })
}

func (h *fakeHost) bind(s *fakeSocket, a netip.AddrPort) error {
	ip := a.Addr().Unmap()
	if s.bound || a.Addr().Is4() != (s.domain == unix.AF_INET) {
		return syscall.EINVAL
	}
	if !ip.IsUnspecified() && !h.mine(ip) {
		return syscall.EADDRNOTAVAIL
	}
	if a.Port() == 0 {
		if h.net.port++; h.net.port < 32768 {
			h.net.port = 32768
		}
		a = netip.AddrPortFrom(a.Addr(), h.net.port)
	}
	for _, o := range h.sockets {
		if o != nil && o.peer == nil && o.bound && o.typ == s.typ && o.local.Port() == a.Port() {
			l := o.local.Addr().Unmap()
			if l == ip || l.IsUnspecified() && (l.Is4() == ip.Is4() || l.Is6() && !o.only6()) || ip.IsUnspecified() && (l.Is4() == ip.Is4() || ip.Is6() && !s.only6()) {
				return syscall.EADDRINUSE
			}
		}
	}
	s.local, s.bound = a, true
	return nil
}

func (h *fakeHost) Listen(s stack.Handle, backlog int) error {
	return h.with(s, func(x *fakeSocket) error {
		x.listen, x.backlog = true, backlog
		return nil
	})
}

func (h *fakeHost) Accept(s stack.Handle) (c stack.Handle, from netip.AddrPort, err error) {
	err = h.with(s, func(x *fakeSocket) error {
		if len(x.queue) == 0 {
			return syscall.EAGAIN
		}
		n := x.queue[0]
		x.queue = x.queue[1:]
		c, from = h.add(n), n.remote
		return nil
	})
	return c, from, err
}

// any is the wildcard address of a socket's family.
func (s *fakeSocket) any() netip.AddrPort {
	if s.domain == unix.AF_INET {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
}

// as is an address in a socket's family.
func (s *fakeSocket) as(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr().Unmap()
	if s.domain == unix.AF_INET6 {
		ip = netip.AddrFrom16(ip.As16())
	}
	return netip.AddrPortFrom(ip, a.Port())
}

// route finds the host that has an address, nil if nobody answers for it, and the source address to it.
func (s *fakeSocket) route(to netip.AddrPort) (*fakeHost, netip.Addr, error) {
	ip := to.Addr().Unmap()
	if ip.IsLoopback() {
		return s.host, ip, nil
	}
	for _, src := range s.host.addrs {
		bits := 64
		if src.Is4() {
			bits = 24
		}
		if p, _ := src.Prefix(bits); !p.Contains(ip) {
			continue
		}
		for _, h := range s.host.net.hosts {
			if h.mine(ip) {
				return h, src, nil
			}
		}
		return nil, src, nil
	}
	return nil, netip.Addr{}, syscall.ENETUNREACH
}

func (h *fakeHost) Connect(s stack.Handle, to netip.AddrPort) error {
	return h.with(s, func(x *fakeSocket) error {
		if x.peer != nil || x.remote.IsValid() {
			return syscall.EISCONN
		}
		dst, src, err := x.route(to)
		if err != nil {
			return err
		}
		if !x.bound {
			if err := h.bind(x, x.any()); err != nil {
				return err
			}
		}
		if x.local.Addr().IsUnspecified() {
			x.local = x.as(netip.AddrPortFrom(src, x.local.Port()))
		}
		if x.typ == unix.SOCK_DGRAM {
			x.remote = to
			return nil
		}
		if dst == nil {
			return syscall.EINPROGRESS
		}
		if dst == h && x.local == x.as(to) { // it meets itself, as RFC 9293 §3.5 has it
			x.peer, x.remote = x, to
			x.tell(stack.EventOut)
			return syscall.EINPROGRESS
		}
		for _, l := range dst.sockets {
			if l != nil && l.listen && l.takes(unix.SOCK_STREAM, to) && len(l.queue) < l.backlog {
				c := &fakeSocket{host: dst, domain: l.domain, typ: l.typ, bound: true, peer: x, options: l.options}
				c.local, c.remote = c.as(to), c.as(x.local)
				x.peer, x.remote = c, to
				l.queue = append(l.queue, c)
				l.tell(stack.EventIn)
				x.tell(stack.EventOut)
				return syscall.EINPROGRESS
			}
		}
		x.err = syscall.ECONNREFUSED
		x.tell(stack.EventErr | stack.EventHup)
		return syscall.EINPROGRESS
	})
}

func (h *fakeHost) Recv(s stack.Handle, p []byte, flags int) (n int, err error) {
	n, _, err = h.RecvFrom(s, p, flags)
	return n, err
}

func (h *fakeHost) RecvFrom(s stack.Handle, p []byte, flags int) (int, netip.AddrPort, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	x, err := h.get(s)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	if x.err != 0 {
		err := x.err
		x.err = 0
		return 0, netip.AddrPort{}, err
	}
	if x.typ == unix.SOCK_DGRAM {
		if len(x.packets) == 0 {
			return 0, netip.AddrPort{}, syscall.EAGAIN
		}
		d := x.packets[0]
		x.packets = slices.Delete(x.packets, 0, 1)
		n := copy(p, d.data)
		if flags&unix.MSG_TRUNC != 0 {
			n = len(d.data)
		}
		return n, x.as(d.from), nil
	}
	if len(x.in) == 0 {
		if x.eof {
			return 0, netip.AddrPort{}, nil
		}
		if x.peer == nil {
			return 0, netip.AddrPort{}, syscall.ENOTCONN
		}
		return 0, netip.AddrPort{}, syscall.EAGAIN
	}
	full := len(x.in) >= fakeBuffer
	n := copy(p, x.in)
	x.in = x.in[:copy(x.in, x.in[n:])]
	if full && x.peer != nil {
		x.peer.tell(stack.EventOut)
	}
	return n, x.remote, nil
}

func (h *fakeHost) Send(s stack.Handle, p []byte, flags int) (int, error) {
	return h.SendTo(s, p, netip.AddrPort{}, flags)
}

func (h *fakeHost) SendTo(s stack.Handle, p []byte, to netip.AddrPort, flags int) (int, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	x, err := h.get(s)
	if err != nil {
		return 0, err
	}
	if x.typ == unix.SOCK_DGRAM {
		return h.sendPacket(x, p, to)
	}
	switch {
	case x.err != 0:
		err := x.err
		x.err = 0
		return 0, err
	case x.shut || x.peer == nil:
		return 0, syscall.EPIPE
	}
	room := fakeBuffer - len(x.peer.in)
	if room <= 0 {
		return 0, syscall.EAGAIN
	}
	n := min(room, len(p))
	x.peer.in = append(x.peer.in, p[:n]...)
	x.peer.tell(stack.EventIn)
	return n, nil
}

func (h *fakeHost) sendPacket(x *fakeSocket, p []byte, to netip.AddrPort) (int, error) {
	if x.err != 0 {
		err := x.err
		x.err = 0
		return 0, err
	}
	if !to.IsValid() {
		to = x.remote
	}
	if !to.IsValid() {
		return 0, syscall.EDESTADDRREQ
	}
	if len(p) > 65507 {
		return 0, syscall.EMSGSIZE
	}
	dst, src, err := x.route(to)
	if err != nil {
		return 0, err
	}
	if !x.bound {
		if err := h.bind(x, x.any()); err != nil {
			return 0, err
		}
	}
	if !x.local.Addr().IsUnspecified() {
		src = x.local.Addr().Unmap()
	}
	if dst == nil {
		return len(p), nil
	}
	from := netip.AddrPortFrom(src, x.local.Port())
	for _, o := range dst.sockets {
		if o != nil && o.takes(unix.SOCK_DGRAM, to) && (!o.remote.IsValid() || o.remote.Addr().Unmap() == src && o.remote.Port() == from.Port()) {
			if len(o.packets) < fakePackets {
				o.packets = append(o.packets, fakePacket{from, append([]byte(nil), p...)})
				o.tell(stack.EventIn)
			}
			return len(p), nil
		}
	}
	if x.remote.IsValid() { // the ICMP error of a closed port comes to connected sockets only
		x.err = syscall.ECONNREFUSED
		x.tell(stack.EventErr)
	}
	return len(p), nil
}

func (h *fakeHost) Shutdown(s stack.Handle, how int) error {
	return h.with(s, func(x *fakeSocket) error {
		if x.typ == unix.SOCK_STREAM && x.peer == nil {
			return syscall.ENOTCONN
		}
		if how != unix.SHUT_WR {
			x.eof = true
			x.tell(stack.EventIn | stack.EventRdHup)
		}
		if how != unix.SHUT_RD && !x.shut {
			x.shut = true
			x.peer.eof = true
			x.peer.tell(stack.EventIn | stack.EventRdHup)
		}
		return nil
	})
}

func (h *fakeHost) Close(s stack.Handle) error {
	return h.with(s, func(x *fakeSocket) error {
		h.sockets[s-1] = nil
		x.sink = stack.SinkNone
		for _, c := range append(x.queue, x) {
			if p := c.peer; p != nil {
				c.peer, p.peer, p.eof = nil, nil, true
				if len(c.in) > 0 || c != x {
					p.err = syscall.ECONNRESET
				}
				p.tell(stack.EventIn | stack.EventOut | stack.EventHup)
			}
		}
		return nil
	})
}

func (h *fakeHost) SetOption(s stack.Handle, level, name int, value []byte) error {
	return h.with(s, func(x *fakeSocket) error {
		if level == unix.IPPROTO_TCP && x.typ != unix.SOCK_STREAM {
			return syscall.ENOPROTOOPT
		}
		x.options[[2]int{level, name}] = slices.Clone(value)
		return nil
	})
}

func (h *fakeHost) Option(s stack.Handle, level, name int, value []byte) (n int, err error) {
	err = h.with(s, func(x *fakeSocket) error {
		if level == unix.SOL_SOCKET && name == unix.SO_ERROR {
			n = copy(value, []byte{byte(x.err), 0, 0, 0})
			x.err = 0
			return nil
		}
		v, ok := x.options[[2]int{level, name}]
		if !ok {
			return syscall.ENOPROTOOPT
		}
		n = copy(value, v)
		return nil
	})
	return n, err
}

func (h *fakeHost) LocalAddr(s stack.Handle) (a netip.AddrPort, err error) {
	err = h.with(s, func(x *fakeSocket) error {
		if a = x.local; !x.bound {
			a = x.any()
		}
		return nil
	})
	return a, err
}

func (h *fakeHost) PeerAddr(s stack.Handle) (a netip.AddrPort, err error) {
	err = h.with(s, func(x *fakeSocket) error {
		if a = x.remote; !a.IsValid() {
			return syscall.ENOTCONN
		}
		return nil
	})
	return a, err
}

func (h *fakeHost) Events(stack.Handle) stack.Events { panic("fstack does not ask for events") }

func (h *fakeHost) Watch(s stack.Handle, sink stack.SinkID, tag uint32) stack.Events {
	h.with(s, func(x *fakeSocket) error {
		x.sink, x.tag = sink, tag
		return nil
	})
	return 0 // fstack does not ask for events
}
