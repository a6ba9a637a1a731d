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

const (
	fallbackDelay = 300 * time.Millisecond
	attemptMin    = 2 * time.Second // share of time below which later addresses get nothing
)

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

// dial is one call of DialContext.
type dial struct {
	*Dialer
	stack   *Stack
	asked   string // network as the caller said it
	network string // without protocol
	proto   int
	local   netip.AddrPort
}

// begin finds out what to dial: at least one address.
func (d *dial) begin(ctx context.Context, network, address string) (all []netip.AddrPort, err error) {
	if d.network, d.proto, err = splitNetwork(network); err != nil {
		return nil, err
	}
	if address == "" {
		return nil, errMissingAddress
	}
	if d.stack, err = orDefault(d.Dialer.Stack); err != nil {
		return nil, err
	}
	r := Resolver{Stack: d.stack}
	if d.Resolver != nil {
		if r = *d.Resolver; r.Stack == nil {
			r.Stack = d.stack
		}
	}
	if all, err = r.resolve(ctx, d.network, address); err != nil {
		return nil, contextError(err)
	}
	if d.local, err = fromAddr(d.network, d.LocalAddr); err != nil {
		return nil, err
	}
	if !isWildcard(d.local.Addr()) { // only those that can be reached from it
		var same []netip.AddrPort
		for _, a := range all {
			if a.Addr().Is4() == d.local.Addr().Is4() {
				same = append(same, a)
			}
		}
		if same == nil {
			return nil, &net.AddrError{Err: "no suitable address found", Addr: d.LocalAddr.String()}
		}
		all = same
	}
	return d.stack.reachableFirst(all), nil
}

// any connects to one of several addresses.
func (d *dial) any(ctx context.Context, all []netip.AddrPort) (net.Conn, error) {
	if len(all) > 1 && d.FallbackDelay >= 0 && d.network[0] == 't' {
		if first, second := byFamily(all); len(second) > 0 {
			return d.parallel(ctx, first, second)
		}
	}
	return d.serial(ctx, all)
}

// serial tries the addresses in turn; the error is the first one's.
func (d *dial) serial(ctx context.Context, all []netip.AddrPort) (net.Conn, error) {
	var first error
	for i, a := range all {
		if err := ctx.Err(); err != nil {
			if first == nil {
				first = d.opError(a, contextError(err))
			}
			return nil, first
		}
		c, err := d.attempt(ctx, a, len(all)-i)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = d.opError(a, err)
		}
	}
	return nil, first
}

// attempt tries one address, with its share of the time that is left.
func (d *dial) attempt(ctx context.Context, a netip.AddrPort, remaining int) (net.Conn, error) {
	if at, ok := ctx.Deadline(); ok && remaining > 1 {
		left := time.Until(at)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(left/time.Duration(remaining), min(left, attemptMin)))
		defer cancel()
	}
	switch d.network[0] {
	case 't':
		return d.connectTCP(ctx, a)
	case 'u':
		return d.connectUDP(ctx, a)
	}
	return d.connectIP(ctx, a)
}

func (d *dial) opError(a netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: d.asked, Source: d.LocalAddr, Addr: toAddr(d.network, a), Err: err}
}

// parallel has addresses of one family tried, and after a delay, or after they failed, those of the other beside them
// (RFC 8305 §5). The first connection wins; the error is the first family's.
func (d *dial) parallel(ctx context.Context, first, second []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		c     net.Conn
		err   error
		first bool
	}
	results := make(chan result)
	start := func(all []netip.AddrPort, isFirst bool) {
		go func() {
			c, err := d.serial(ctx, all)
			results <- result{c, err, isFirst}
		}()
	}
	delay := d.FallbackDelay
	if delay == 0 {
		delay = fallbackDelay
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()

	start(first, true)
	running, fallback := 1, false
	var failed error
	for {
		begin := timer.C
		if fallback {
			begin = nil
		}
		select {
		case <-begin:
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				for ; running > 0; running-- { // the other one may have won as well, or soon sees the cancel
					if r := <-results; r.c != nil {
						r.c.Close()
					}
				}
				return r.c, nil
			}
			if r.first || failed == nil {
				failed = r.err
			}
			if fallback {
				if running == 0 {
					cancel()
					return nil, failed
				}
				continue
			}
		}
		fallback = true
		running++
		start(second, false)
	}
}

// byFamily parts addresses by the family of the first.
func byFamily(all []netip.AddrPort) (first, second []netip.AddrPort) {
	for _, a := range all {
		if a.Addr().Is4() == all[0].Addr().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	return first, second
}
