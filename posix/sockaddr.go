package posix

import (
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// fromSockaddr is the address for a socket of st's family. Linux looks at the length first: EINVAL for an
// address that is too short for the family, EAFNOSUPPORT for another family's; EFAULT for none.
func fromSockaddr(st state, sa Sockaddr) (netip.AddrPort, error) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		if sa == nil {
			break
		}
		if st&inet6 != 0 || sa.Port < 0 || sa.Port > 0xffff {
			return netip.AddrPort{}, syscall.EINVAL
		}
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		if sa == nil {
			break
		}
		if sa.Port < 0 || sa.Port > 0xffff {
			return netip.AddrPort{}, syscall.EINVAL
		}
		if st&inet6 == 0 {
			return netip.AddrPort{}, syscall.EAFNOSUPPORT
		}
		a := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			a = a.WithZone(strconv.FormatUint(uint64(sa.ZoneId), 10))
		}
		return netip.AddrPortFrom(a, uint16(sa.Port)), nil
	case nil:
	default:
		return netip.AddrPort{}, syscall.EAFNOSUPPORT
	}
	return netip.AddrPort{}, syscall.EFAULT
}

// Addresses are made a few at a time, so that a server that accepts and forgets them costs the collector little.
const sockaddrs = 32

type spareSockaddrs struct {
	in4 []unix.SockaddrInet4
	in6 []unix.SockaddrInet6
}

func (t *Table) sockaddr(st state, a netip.AddrPort) Sockaddr {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addrs.make(st, a)
}

// make is the address as a socket of st's family tells it.
func (s *spareSockaddrs) make(st state, a netip.AddrPort) Sockaddr {
	if st&inet6 == 0 {
		if len(s.in4) == 0 {
			s.in4 = make([]unix.SockaddrInet4, sockaddrs)
		}
		sa := &s.in4[0]
		s.in4 = s.in4[1:]
		if sa.Port = int(a.Port()); a.Addr().Unmap().Is4() {
			sa.Addr = a.Addr().Unmap().As4()
		}
		return sa
	}
	if len(s.in6) == 0 {
		s.in6 = make([]unix.SockaddrInet6, sockaddrs)
	}
	sa := &s.in6[0]
	s.in6 = s.in6[1:]
	if sa.Port = int(a.Port()); a.IsValid() {
		sa.Addr = a.Addr().As16()
	}
	if zone := a.Addr().Zone(); zone != "" {
		id, _ := strconv.ParseUint(zone, 10, 32)
		sa.ZoneId = uint32(id)
	}
	return sa
}
