package fstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// dialNameserver connects to the nameserver whose turn it is. address is one of /etc/resolv.conf: it counts only if the
// stack has no Nameservers.
func (s *Stack) dialNameserver(ctx context.Context, network, address string) (net.Conn, error) {
	if len(s.Nameservers) == 0 {
		if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().IsLoopback() {
			return nil, fmt.Errorf("fstack: nameserver %s of /etc/resolv.conf is the kernel's own host, which the stack is not: "+
				"set [stack] nameserver in the config, or Stack.Nameservers", address)
		}
		return s.DialContext(ctx, network, address)
	}
	turn := s.nameserver.Load()
	c, err := s.DialContext(ctx, network, s.Nameservers[turn%uint32(len(s.Nameservers))].String())
	if err != nil {
		s.nameserver.CompareAndSwap(turn, turn+1)
		return nil, err
	}
	if u, ok := c.(*UDPConn); ok {
		return &nameserverConn{u, s, turn}, nil
	}
	return c, nil
}

// nameserverConn passes the turn on to the next nameserver when one does not answer.
type nameserverConn struct {
	*UDPConn
	stack *Stack
	turn  uint32
}

func (c *nameserverConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if err != nil {
		c.stack.nameserver.CompareAndSwap(c.turn, c.turn+1)
	}
	return n, err
}

// reachableFirst moves addresses to which the stack has no route behind the others. The standard library's resolver
// has sorted them, but by the kernel's routes.
func (s *Stack) reachableFirst(all []netip.AddrPort) []netip.AddrPort {
	if len(all) < 2 {
		return all
	}
	var far []netip.AddrPort
	near := slices.DeleteFunc(slices.Clone(all), func(a netip.AddrPort) bool {
		unreachable := !s.reachable(a)
		if unreachable {
			far = append(far, a)
		}
		return unreachable
	})
	return append(near, far...)
}

// reachable tells whether there is a route: connecting a UDP socket looks it up and sends nothing.
func (s *Stack) reachable(a netip.AddrPort) bool {
	domain := unix.AF_INET
	if a.Addr().Is6() {
		domain = unix.AF_INET6
	}
	if a.Port() == 0 {
		a = netip.AddrPortFrom(a.Addr(), 9)
	}
	return nil == s.use(func() error {
		h, err := s.other.Open(domain, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer s.other.Close(h)
		return s.other.Connect(h, a)
	})
}
