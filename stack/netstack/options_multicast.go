package netstack

import (
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

var (
	mcast4Loop = optionKey{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP}
	mcast6Loop = optionKey{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP}
)

// multicastOptions are those of datagram and raw sockets. An interface's index is 1 for loopback, then a port's number
// plus 2.
var multicastOptions = map[optionKey]option{
	mcast4Loop: multicastLoop(toByte),
	mcast6Loop: multicastLoop(toInt),

	{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL}:      number(tcpip.MulticastTTLOption, toByte, multicastTTL, nil),
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS}: number(tcpip.MulticastTTLOption, toInt, multicastTTL, nil),

	{unix.IPPROTO_IP, unix.IP_MULTICAST_IF}: {
		set: func(s *socket, v []byte) error {
			var o tcpip.MulticastInterfaceOption
			switch {
			case len(v) >= 12: // struct ip_mreqn
				o.NIC, o.InterfaceAddr = tcpip.NICID(native.Uint32(v[8:])), tcpip.AddrFrom4Slice(v[4:8])
			case len(v) >= 8: // struct ip_mreq
				o.InterfaceAddr = tcpip.AddrFrom4Slice(v[4:8])
			case len(v) >= 4: // struct in_addr
				o.InterfaceAddr = tcpip.AddrFrom4Slice(v[:4])
			default:
				return syscall.EINVAL
			}
			if o.InterfaceAddr.Unspecified() {
				o.InterfaceAddr = tcpip.Address{}
			}
			return errno(s.ep.SetSockOpt(&o))
		},
		get: func(s *socket) ([]byte, error) {
			var o tcpip.MulticastInterfaceOption
			if err := s.ep.GetSockOpt(&o); err != nil {
				return nil, errno(err)
			}
			if o.InterfaceAddr.Len() != 4 {
				return make([]byte, 4), nil
			}
			return o.InterfaceAddr.AsSlice(), nil
		},
	},
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF}: number(tcpip.IPv6MulticastInterfaceOption, toInt, nil, nil),

	{unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP}: {set: func(s *socket, v []byte) error {
		m, err := membership4(v)
		if err != nil {
			return err
		}
		return errno(s.ep.SetSockOpt((*tcpip.AddMembershipOption)(&m)))
	}},
	{unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP}: {set: func(s *socket, v []byte) error {
		m, err := membership4(v)
		if err != nil {
			return err
		}
		return errno(s.ep.SetSockOpt((*tcpip.RemoveMembershipOption)(&m)))
	}},
	{unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP}: {set: func(s *socket, v []byte) error {
		m, err := membership6(v)
		if err != nil {
			return err
		}
		return errno(s.ep.SetSockOpt((*tcpip.AddMembershipOption)(&m)))
	}},
	{unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP}: {set: func(s *socket, v []byte) error {
		m, err := membership6(v)
		if err != nil {
			return err
		}
		return errno(s.ep.SetSockOpt((*tcpip.RemoveMembershipOption)(&m)))
	}},
}

func multicastLoop(read func([]byte) (int, error)) option {
	return option{
		set: func(s *socket, v []byte) error {
			x, err := read(v)
			if err == nil {
				s.ep.SocketOptions().SetMulticastLoop(x != 0)
			}
			return err
		},
		get:    func(s *socket) ([]byte, error) { return fromBool(s.ep.SocketOptions().GetMulticastLoop()), nil },
		number: true,
	}
}

func multicastTTL(x int) (int, error) {
	if x == -1 {
		return 1, nil // RFC 1112 §6.1, RFC 3493 §5.2
	}
	return within(0, 255)(x)
}

// membership4 reads a struct ip_mreq (group, interface's address) or ip_mreqn (and interface's index).
func membership4(v []byte) (m tcpip.MembershipOption, err error) {
	if len(v) < 8 {
		return m, syscall.EINVAL
	}
	m.MulticastAddr, m.InterfaceAddr = tcpip.AddrFrom4Slice(v[:4]), tcpip.AddrFrom4Slice(v[4:8])
	if len(v) >= 12 {
		m.NIC = tcpip.NICID(native.Uint32(v[8:]))
	}
	return m, nil
}

// membership6 reads a struct ipv6_mreq: group and interface's index.
func membership6(v []byte) (m tcpip.MembershipOption, err error) {
	if len(v) < 20 {
		return m, syscall.EINVAL
	}
	m.MulticastAddr, m.NIC = tcpip.AddrFrom16Slice(v[:16]), tcpip.NICID(native.Uint32(v[16:]))
	return m, nil
}
