package fstack

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// Stack is one instance of the network stack, seen as package net. Its methods may be called from any goroutine but
// the loop's.
type Stack struct {
	// Nameservers are asked in this order, each until it fails; those of /etc/resolv.conf if there are none.
	// It must not change once the stack is in use.
	Nameservers []netip.AddrPort

	stack   *stack.Stack
	tcp     stack.Sockets
	other   stack.Sockets
	waiters *stack.Waiters

	nameserver atomic.Uint32 // the one to ask, modulo their number

	opening sync.RWMutex // held while sockets are made, so that Close misses none
	closed  bool
	ending  atomic.Bool // no listeners any more
}

// NewStack returns the API of a stack. TCP's sockets are opened in tcp and all others in other, which may be the same.
// Somebody has to turn st's loop.
func NewStack(st *stack.Stack, tcp, other stack.Sockets) *Stack {
	return &Stack{stack: st, tcp: tcp, other: other, waiters: stack.NewWaiters(st)}
}

var defaultStack atomic.Pointer[Stack]

// setDefault makes s the stack of the functions of this package, or, with nil, none, and closes the one before.
func setDefault(s *Stack) {
	if before := defaultStack.Swap(s); before != nil {
		before.Close()
	}
}

// orDefault returns s, or the running stack if s is nil.
func orDefault(s *Stack) (*Stack, error) {
	if s == nil {
		if s = defaultStack.Load(); s == nil {
			return nil, errNoStack
		}
	}
	return s, nil
}

// use calls f, in which the tables are used for what is no socket yet, unless the stack is closed.
func (s *Stack) use(f func() error) error {
	s.opening.RLock()
	defer s.opening.RUnlock()
	if s.closed {
		return net.ErrClosed
	}
	return f()
}

// Close closes all sockets, as their own Close does. When it has returned, no call is left in the tables and none comes
// any more, as all return net.ErrClosed: so the tables can be taken down while goroutines still hold connections.
func (s *Stack) Close() {
	s.opening.Lock()
	s.closed = true
	s.opening.Unlock()
	s.waiters.Each(func(w *stack.Waiter) { w.Owner.(interface{ close() error }).close() })
	s.waiters.Drain() // of those that others were closing
}

// closeListeners closes all TCP listeners, so that servers stop to accept, and those that are still to be made: a
// server that was about to listen would not notice else.
func (s *Stack) closeListeners() {
	s.ending.Store(true)
	s.waiters.Each(func(w *stack.Waiter) {
		if l, ok := w.Owner.(*TCPListener); ok {
			l.close()
		}
	})
}

// Listen announces on a local address: see the function Listen.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	return (&ListenConfig{Stack: s}).Listen(context.Background(), network, address)
}

// ListenPacket announces on a local address: see the function ListenPacket.
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	return (&ListenConfig{Stack: s}).ListenPacket(context.Background(), network, address)
}

// Dial connects to an address: see the function Dial.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return (&Dialer{Stack: s}).Dial(network, address)
}

// DialTimeout is Dial with a limit of time, which includes the look-up of a name.
func (s *Stack) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return (&Dialer{Stack: s, Timeout: timeout}).Dial(network, address)
}

// DialContext is Dial that ends with the context. Once connected, the context does not matter any more.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (&Dialer{Stack: s}).DialContext(ctx, network, address)
}

// Listen announces on a local address. The network is tcp, tcp4 or tcp6. With an empty or unspecified host ("", 0.0.0.0,
// [::]) and network tcp it accepts on all addresses of both families; with port 0 or none the stack chooses a port,
// which the listener's Addr tells.
func Listen(network, address string) (net.Listener, error) {
	return (*Stack)(nil).Listen(network, address)
}

// ListenPacket announces on a local address. The network is udp, udp4, udp6, or ip, ip4 or ip6 with a colon and a
// protocol, as in ip4:icmp or ip6:58. Addresses are like Listen's.
func ListenPacket(network, address string) (net.PacketConn, error) {
	return (*Stack)(nil).ListenPacket(network, address)
}

// Dial connects to an address. The networks are those of Listen and ListenPacket. An empty host, as in ":80", is this
// host. When the host is a name with several addresses, they are tried in turn, both families at once (RFC 8305).
func Dial(network, address string) (net.Conn, error) {
	return (*Stack)(nil).Dial(network, address)
}

// DialTimeout is Dial with a limit of time, which includes the look-up of a name.
func DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return (*Stack)(nil).DialTimeout(network, address, timeout)
}

// DialContext is Dial that ends with the context: it fits http.Transport.DialContext. Once connected, the context does
// not matter any more.
func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (*Stack)(nil).DialContext(ctx, network, address)
}
