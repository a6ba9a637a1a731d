package fstack

import (
	"context"
	"net"
	"net/netip"
	"time"
)

const (
	fallbackDelay = 300 * time.Millisecond
	attemptMin    = 2 * time.Second // share of time below which later addresses get nothing
)

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
