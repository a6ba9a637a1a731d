package fstack

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Dialer is net.Dialer for a stack. Its zero value is the function Dial. Its methods may be called concurrently.
type Dialer struct {
	// Stack is the stack to dial on, nil: the one that Run has started.
	Stack *Stack

	// Timeout and Deadline limit the whole dial; the earlier one counts. Zero is no limit but TCP's own. With several
	// addresses to try, each gets its share of the time.
	Timeout  time.Duration
	Deadline time.Time

	// LocalAddr is the address to dial from, of the network's type; nil: the stack chooses.
	LocalAddr net.Addr

	// FallbackDelay is how long addresses of the family tried first have before those of the other are tried
	// beside them (RFC 8305): zero is 300 ms, negative is one family after the other.
	FallbackDelay time.Duration

	// KeepAlive is how long a connection is idle before it is probed: zero is 15 s, negative is never.
	// It does not matter if KeepAliveConfig.Enable is true.
	KeepAlive time.Duration

	// KeepAliveConfig says how connections are probed.
	KeepAliveConfig net.KeepAliveConfig

	// Resolver looks up names, nil: one without any settings.
	Resolver *Resolver

	// Control, if set, is called with the new socket before it is connected. c is a *RawConn. The network ends in 4 or 6.
	Control func(network, address string, c syscall.RawConn) error

	// ControlContext is Control with the dial's context. If it is set, Control is not called.
	ControlContext func(ctx context.Context, network, address string, c syscall.RawConn) error
}

// Dial connects to an address, as the function Dial does.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to an address, as the function Dial does, and gives up when the context is done. The connection
// is a *TCPConn, a *UDPConn or an *IPConn.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if ctx == nil {
		panic("nil context")
	}
	if at := d.deadline(ctx, time.Now()); !at.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, at)
		defer cancel()
	}
	dl := dial{Dialer: d, asked: network}
	all, err := dl.begin(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return dl.any(ctx, all)
}

// DialTCP connects to a TCP address; a zero laddr has the stack choose.
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*TCPConn, error) {
	return dialAs[*TCPConn](ctx, d, network, "tcp", laddr, net.TCPAddrFromAddrPort(raddr))
}

// DialUDP connects a UDP socket to an address; a zero laddr has the stack choose.
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*UDPConn, error) {
	return dialAs[*UDPConn](ctx, d, network, "udp", laddr, net.UDPAddrFromAddrPort(raddr))
}

// DialTCP connects to a TCP address; a nil laddr has the stack choose.
func DialTCP(network string, laddr, raddr *net.TCPAddr) (*TCPConn, error) {
	if raddr == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errMissingAddress}
	}
	var local netip.AddrPort
	if laddr != nil {
		local = laddr.AddrPort()
	}
	return dialAs[*TCPConn](context.Background(), new(Dialer), network, "tcp", local, raddr)
}

// DialUDP connects a UDP socket to an address; a nil laddr has the stack choose.
func DialUDP(network string, laddr, raddr *net.UDPAddr) (*UDPConn, error) {
	if raddr == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errMissingAddress}
	}
	var local netip.AddrPort
	if laddr != nil {
		local = laddr.AddrPort()
	}
	return dialAs[*UDPConn](context.Background(), new(Dialer), network, "udp", local, raddr)
}

// dialAs dials an address that is no string, on a network of one protocol.
func dialAs[C net.Conn](ctx context.Context, d *Dialer, network, protocol string, laddr netip.AddrPort, raddr net.Addr) (none C, err error) {
	if !strings.HasPrefix(network, protocol) {
		return none, &net.OpError{Op: "dial", Net: network, Addr: raddr, Err: net.UnknownNetworkError(network)}
	}
	from := *d
	from.LocalAddr = toAddr(network, laddr)
	c, err := from.DialContext(ctx, network, raddr.String())
	if err != nil {
		return none, err
	}
	return c.(C), nil
}

// deadline is the earliest of all limits, zero if there is none.
func (d *Dialer) deadline(ctx context.Context, now time.Time) (at time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if d.Timeout != 0 {
		earlier(now.Add(d.Timeout))
	}
	earlier(d.Deadline)
	if t, ok := ctx.Deadline(); ok {
		earlier(t)
	}
	return at
}

func (d *Dialer) control() controlFunc {
	switch {
	case d.ControlContext != nil:
		return d.ControlContext
	case d.Control != nil:
		return func(_ context.Context, network, address string, c syscall.RawConn) error {
			return d.Control(network, address, c)
		}
	}
	return nil
}
