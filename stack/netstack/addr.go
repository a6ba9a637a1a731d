package netstack

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

func toAddress(a netip.Addr) tcpip.Address {
	switch {
	case !a.IsValid():
		return tcpip.Address{}
	case a.Is4():
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}

func fromAddress(a tcpip.Address) netip.Addr {
	switch a.Len() {
	case 4:
		return netip.AddrFrom4(a.As4())
	case 16:
		return netip.AddrFrom16(a.As16())
	}
	return netip.Addr{}
}

// subnet is the net of a prefix.
func subnet(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: toAddress(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}

// last is the last address of a prefix's net: its broadcast address.
func last(p netip.Prefix) netip.Addr {
	s := subnet(p)
	return fromAddress(s.Broadcast())
}

// unspecified is the all-zero address of a's family.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// full is a's form for gVisor. A link-local address's zone names the interface.
func (s *socket) full(a netip.AddrPort) (tcpip.FullAddress, error) {
	ip := a.Addr()
	if ip.Is4() != (s.domain == unix.AF_INET) || !ip.IsValid() {
		return tcpip.FullAddress{}, syscall.EAFNOSUPPORT
	}
	to := tcpip.FullAddress{Addr: toAddress(ip), Port: a.Port()}
	if z := ip.Zone(); z != "" {
		if to.NIC = s.n.nicNamed(z); to.NIC == 0 {
			return tcpip.FullAddress{}, syscall.ENODEV
		}
	}
	return to, nil
}

// destination is full for an address to send to.
func (s *socket) destination(a netip.AddrPort) (tcpip.FullAddress, error) {
	if s.v6only(a.Addr()) {
		return tcpip.FullAddress{}, syscall.ENETUNREACH
	}
	return s.full(a)
}

// v6only tells whether a is an IPv4 address that the socket must not have.
func (s *socket) v6only(a netip.Addr) bool {
	return s.domain == unix.AF_INET6 && a.Is4In6() && s.ep.SocketOptions().GetV6Only()
}

// addrPort is gVisor's address in the socket's family.
func (s *socket) addrPort(a tcpip.FullAddress) netip.AddrPort {
	ip := fromAddress(a.Addr)
	if s.domain == unix.AF_INET6 && ip.Is4() {
		ip = netip.AddrFrom16(ip.As16())
	}
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
		if s.domain == unix.AF_INET6 {
			ip = netip.IPv6Unspecified()
		}
	}
	if a.NIC != 0 && ip.Is6() && (ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()) {
		ip = ip.WithZone(s.n.g.FindNICNameFromID(a.NIC))
	}
	return netip.AddrPortFrom(ip, a.Port)
}

func (n *Netstack) nicNamed(name string) tcpip.NICID {
	for id, info := range n.g.NICInfo() {
		if info.Name == name {
			return id
		}
	}
	return 0
}
