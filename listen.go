package fstack

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ListenConfig is net.ListenConfig for a stack.
type ListenConfig struct {
	// Stack is the stack to listen on, nil: the one that Run has started.
	Stack *Stack

	// Control, if set, is called with the new socket before it is bound. c is a *RawConn. The network ends in 4 or 6.
	Control func(network, address string, c syscall.RawConn) error

	// KeepAlive is how long an accepted connection is idle before it is probed: zero is 15 s, negative is never.
	// It does not matter if KeepAliveConfig.Enable is true.
	KeepAlive time.Duration

	// KeepAliveConfig says how accepted connections are probed.
	KeepAliveConfig net.KeepAliveConfig
}

// Listen announces on a local address, as the function Listen does. The context matters while a name is looked up. The
// listener is a *TCPListener.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	b, err := lc.begin(ctx, network, address)
	if err == nil && b.network[0] != 't' {
		err = &net.AddrError{Err: "unexpected address type", Addr: address}
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: b.addr(), Err: err}
	}
	l, err := b.listenTCP(ctx, lc)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: b.addr(), Err: err}
	}
	return l, nil
}

// ListenPacket announces on a local address, as the function ListenPacket does. The context matters while a name is
// looked up. The connection is a *UDPConn or an *IPConn.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	b, err := lc.begin(ctx, network, address)
	if err == nil && b.network[0] == 't' {
		err = &net.AddrError{Err: "unexpected address type", Addr: address}
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: b.addr(), Err: err}
	}
	var c net.PacketConn
	if b.network[0] == 'u' {
		c, err = b.listenUDP(ctx, lc.control())
	} else {
		c, err = b.listenIP(ctx, lc.control())
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: b.addr(), Err: err}
	}
	return c, nil
}

// ListenTCP is Listen for an address that is no string; nil is all addresses and a port that the stack chooses.
func ListenTCP(network string, laddr *net.TCPAddr) (*TCPListener, error) {
	if laddr == nil {
		laddr = new(net.TCPAddr)
	}
	l, err := Listen(network, laddr.String())
	if err != nil {
		return nil, err
	}
	return l.(*TCPListener), nil
}

// ListenUDP is ListenPacket for an address that is no string; nil is all addresses and a port that the stack chooses.
func ListenUDP(network string, laddr *net.UDPAddr) (*UDPConn, error) {
	if laddr == nil {
		laddr = new(net.UDPAddr)
	}
	if !strings.HasPrefix(network, "udp") {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: laddr, Err: net.UnknownNetworkError(network)}
	}
	c, err := ListenPacket(network, laddr.String())
	if err != nil {
		return nil, err
	}
	return c.(*UDPConn), nil
}

// binding is a local address to announce on.
type binding struct {
	stack   *Stack
	network string // without protocol
	proto   int
	local   netip.AddrPort
	known   bool // whether local is
}

func (lc *ListenConfig) begin(ctx context.Context, network, address string) (b binding, err error) {
	if b.network, b.proto, err = splitNetwork(network); err != nil {
		return b, err
	}
	if b.stack, err = orDefault(lc.Stack); err != nil {
		return b, err
	}
	all, err := (&Resolver{Stack: b.stack}).resolve(ctx, b.network, address)
	if err != nil {
		return b, err
	}
	b.local, b.known = preferred(b.network, address, all), true
	return b, nil
}

// addr is the address for errors, nil while there is none.
func (b *binding) addr() net.Addr {
	if !b.known {
		return nil
	}
	return asAddr(b.network, b.local)
}

func (lc *ListenConfig) control() controlFunc {
	if lc.Control == nil {
		return nil
	}
	return func(_ context.Context, network, address string, c syscall.RawConn) error {
		return lc.Control(network, address, c)
	}
}

func (b *binding) listenTCP(ctx context.Context, lc *ListenConfig) (*TCPListener, error) {
	l := &TCPListener{network: b.network}
	try, only6 := domains(b.network, b.local.Addr(), netip.Addr{}, true)
	if err := l.open(l, b.stack, b.stack.tcp, try, unix.SOCK_STREAM, 0); err != nil {
		return nil, err
	}
	err := l.prepare(ctx, b.network, only6, b.local, b.local, lc.control())
	if err == nil {
		err = l.bind(b.local, true)
	}
	if err == nil {
		l.setStreamDefaults(keepAliveOf(lc.KeepAlive, lc.KeepAliveConfig))
		err = l.listen()
	}
	if err == nil && b.stack.ending.Load() { // after listen: closeListeners has closed it, or it is seen here
		err = net.ErrClosed
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (b *binding) listenUDP(ctx context.Context, control controlFunc) (*UDPConn, error) {
	c := &UDPConn{conn{network: b.network}}
	if err := c.listenPacket(ctx, b, unix.SOCK_DGRAM, control); err != nil {
		return nil, err
	}
	return c, nil
}

func (b *binding) listenIP(ctx context.Context, control controlFunc) (*IPConn, error) {
	c := &IPConn{conn{network: b.network}}
	if err := c.listenPacket(ctx, b, unix.SOCK_RAW, control); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *conn) listenPacket(ctx context.Context, b *binding, typ int, control controlFunc) error {
	try, only6 := domains(b.network, b.local.Addr(), netip.Addr{}, true)
	if err := c.open(&c.socket, b.stack, b.stack.other, try, typ, b.proto); err != nil {
		return err
	}
	err := c.prepare(ctx, b.network, only6, b.local, b.local, control)
	if err == nil {
		err = c.bind(b.local, false)
	}
	if err != nil {
		c.close()
		return err
	}
	c.askLocal()
	return nil
}

// controlFunc is the form of Dialer.ControlContext, into which all Control functions are brought.
type controlFunc func(ctx context.Context, network, address string, c syscall.RawConn) error

// prepare sets what package net sets on each socket, and calls the Control function. at is the address to name to it.
func (s *socket) prepare(ctx context.Context, network string, only6 bool, local, at netip.AddrPort, control controlFunc) error {
	if s.domain == unix.AF_INET6 && (s.stream || network[0] == 'u') {
		if err := s.setBool(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only6); err != nil {
			return err
		}
	}
	if !s.stream {
		if err := s.setBool(unix.SOL_SOCKET, unix.SO_BROADCAST, true); err != nil {
			return err
		}
	}
	if control == nil {
		return nil
	}
	if family(network) == 0 {
		if network += "6"; s.domain == unix.AF_INET {
			network = network[:len(network)-1] + "4"
		}
	}
	address := ""
	if a := toAddr(network, at); a != nil {
		address = a.String()
	}
	return control(ctx, network, address, &RawConn{s})
}

// bind binds to a local address; listeners may take over one that old connections still use.
func (s *socket) bind(local netip.AddrPort, listener bool) error {
	if listener {
		if err := s.setBool(unix.SOL_SOCKET, unix.SO_REUSEADDR, true); err != nil {
			return err
		}
	}
	a, err := fit(s.domain, local)
	if err != nil {
		return err
	}
	return s.control("bind", func() error { return s.table.Bind(s.handle, a) })
}
