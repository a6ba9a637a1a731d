package netstack

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/fstack-go/fstack/stack"
)

// socket is an endpoint of gVisor's with what stack.Sockets needs besides.
type socket struct {
	n      *Netstack
	ep     tcpip.Endpoint
	queue  *waiter.Queue
	domain int // AF_INET or AF_INET6
	typ    int // SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
	proto  int // IPPROTO_…
	watch  watch
	given  given         // options that were set, for what it accepts
	shut   atomic.Uint32 // tcpip.ShutdownFlags of a datagram socket
	held   atomic.Bool   // a send with MSG_MORE was the last

	steered steered
	closed  atomic.Bool
}

// Open implements stack.Sockets: TCP (if Config.TCP), UDP, ping sockets (SOCK_DGRAM with IPPROTO_ICMP or
// IPPROTO_ICMPV6) and raw sockets, over IPv4 and IPv6.
func (n *Netstack) Open(domain, typ, proto int) (stack.Handle, error) {
	net := tcpip.NetworkProtocolNumber(header.IPv4ProtocolNumber)
	switch domain {
	case unix.AF_INET:
	case unix.AF_INET6:
		net = header.IPv6ProtocolNumber
	default:
		return 0, syscall.EAFNOSUPPORT
	}
	if proto < 0 || proto > 255 {
		return 0, syscall.EINVAL
	}
	s := &socket{n: n, queue: new(waiter.Queue), domain: domain, typ: typ, proto: proto}
	var err tcpip.Error
	switch {
	case typ == unix.SOCK_STREAM && (proto == 0 || proto == unix.IPPROTO_TCP) && n.cfg.TCP:
		s.proto = unix.IPPROTO_TCP
		s.ep, err = n.g.NewEndpoint(tcp.ProtocolNumber, net, s.queue)
	case typ == unix.SOCK_DGRAM && (proto == 0 || proto == unix.IPPROTO_UDP):
		s.proto = unix.IPPROTO_UDP
		s.ep, err = n.g.NewEndpoint(udp.ProtocolNumber, net, s.queue)
	case typ == unix.SOCK_DGRAM && proto == unix.IPPROTO_ICMP && domain == unix.AF_INET:
		s.ep, err = n.g.NewEndpoint(icmp.ProtocolNumber4, net, s.queue)
	case typ == unix.SOCK_DGRAM && proto == unix.IPPROTO_ICMPV6 && domain == unix.AF_INET6:
		s.ep, err = n.g.NewEndpoint(icmp.ProtocolNumber6, net, s.queue)
	case typ == unix.SOCK_RAW && proto != 0:
		s.ep, err = n.newRaw(net, proto, s.queue)
	case typ == unix.SOCK_STREAM || typ == unix.SOCK_DGRAM || typ == unix.SOCK_RAW:
		return 0, syscall.EPROTONOSUPPORT
	default:
		return 0, syscall.ESOCKTNOSUPPORT
	}
	if err != nil {
		return 0, errno(err)
	}
	return n.sockets.add(s), nil
}

// newRaw makes a raw socket, which gets all packets of a protocol that gVisor knows. IPPROTO_RAW and the protocols that
// it does not know are for sending only.
func (n *Netstack) newRaw(net tcpip.NetworkProtocolNumber, proto int, q *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	switch proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return n.g.NewRawEndpoint(tcpip.TransportProtocolNumber(proto), net, q, true)
	}
	return n.g.NewRawEndpoint(tcpip.TransportProtocolNumber(proto), net, q, false)
}

// Close implements stack.Sockets.
func (n *Netstack) Close(h stack.Handle) error {
	s, err := n.sockets.remove(h)
	if err != nil {
		return err
	}
	s.watch.end(s)
	s.release()
	s.ep.Close()
	s.closed.Store(true)
	s.unused(useListening, useBound, useConnecting, useDatagrams)
	return nil
}

// Bind implements stack.Sockets.
func (n *Netstack) Bind(h stack.Handle, a netip.AddrPort) error {
	s, err := n.sockets.get(h)
	if err != nil {
		return err
	}
	to, err := s.full(a)
	if err != nil {
		return err
	}
	if s.v6only(a.Addr()) {
		return syscall.EINVAL
	}
	if a.Addr().IsUnspecified() { // any address: gVisor's is the zero Address
		to.Addr = tcpip.Address{}
	}
	var e tcpip.Error
	if to.Port == 0 && s.isUDP() && n.cfg.Steering != nil {
		e = s.bindOne(to, s.own())
	} else {
		e = s.ep.Bind(to)
	}
	if _, ok := e.(*tcpip.ErrNoPortAvailable); ok {
		return syscall.EADDRINUSE
	}
	if e == nil && s.isUDP() {
		s.uses(useDatagrams)
	}
	return errno(e)
}

// Listen implements stack.Sockets.
func (n *Netstack) Listen(h stack.Handle, backlog int) error {
	s, err := n.sockets.get(h)
	if err != nil {
		return err
	}
	if s.typ != unix.SOCK_STREAM {
		return syscall.EOPNOTSUPP
	}
	if err := s.ep.Listen(min(max(backlog, 0), backlogMax)); err != nil {
		return errno(err)
	}
	s.uses(useListening)
	s.uses(useBound)
	return nil
}

const backlogMax = 4096 // Linux's net.core.somaxconn

// Accept implements stack.Sockets.
func (n *Netstack) Accept(h stack.Handle) (stack.Handle, netip.AddrPort, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	if s.typ != unix.SOCK_STREAM {
		return 0, netip.AddrPort{}, syscall.EOPNOTSUPP
	}
	var peer tcpip.FullAddress
	ep, queue, e := s.ep.Accept(&peer)
	if e != nil {
		return 0, netip.AddrPort{}, errno(e)
	}
	c := &socket{n: n, ep: ep, queue: queue, domain: s.domain, typ: s.typ, proto: s.proto}
	c.inherit(s)
	c.uses(useBound)
	return n.sockets.add(c), c.addrPort(peer), nil
}

// Connect implements stack.Sockets. The zero AddrPort dissolves the association of a datagram socket.
func (n *Netstack) Connect(h stack.Handle, a netip.AddrPort) error {
	s, err := n.sockets.get(h)
	if err != nil {
		return err
	}
	if !a.Addr().IsValid() {
		return errno(s.ep.Disconnect())
	}
	to, err := s.destination(a)
	if err != nil {
		return err
	}
	if s.typ == unix.SOCK_STREAM && tcp.EndpointState(s.ep.State()) == tcp.StateListen {
		return syscall.EISCONN
	}
	if n.cfg.Steering != nil {
		return errno(s.connectSteered(to))
	}
	return errno(s.ep.Connect(to))
}

// Shutdown implements stack.Sockets.
func (n *Netstack) Shutdown(h stack.Handle, how int) error {
	s, err := n.sockets.get(h)
	if err != nil {
		return err
	}
	var flags tcpip.ShutdownFlags
	switch how {
	case unix.SHUT_RD:
		flags = tcpip.ShutdownRead
	case unix.SHUT_WR:
		flags = tcpip.ShutdownWrite
	case unix.SHUT_RDWR:
		flags = tcpip.ShutdownRead | tcpip.ShutdownWrite
	default:
		return syscall.EINVAL
	}
	s.release()
	if err := s.ep.Shutdown(flags); err != nil {
		return errno(err)
	}
	s.shut.Or(uint32(flags))
	if flags&tcpip.ShutdownRead != 0 {
		s.unused(useListening)
	}
	return nil
}

// LocalAddr implements stack.Sockets.
func (n *Netstack) LocalAddr(h stack.Handle) (netip.AddrPort, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, e := s.ep.GetLocalAddress()
	return s.addrPort(a), errno(e)
}

// PeerAddr implements stack.Sockets.
func (n *Netstack) PeerAddr(h stack.Handle) (netip.AddrPort, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, e := s.ep.GetRemoteAddress()
	return s.addrPort(a), errno(e)
}
