package netstack

import (
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// ip4Options are those of IPPROTO_IP but multicast's.
var ip4Options = map[optionKey]option{
	{unix.IPPROTO_IP, unix.IP_TOS}: number(tcpip.IPv4TOSOption, func(v []byte) (int, error) {
		if len(v) == 0 {
			return 0, nil
		}
		return toByte(v)
	}, nil, nil),

	{unix.IPPROTO_IP, unix.IP_TTL}: number(tcpip.IPv4TTLOption, toByte, func(x int) (int, error) {
		switch {
		case x == -1:
			return tcpip.UseDefaultIPv4TTL, nil
		case x < 1 || x > 255:
			return 0, syscall.EINVAL
		}
		return x, nil
	}, func(x int) int {
		if x == tcpip.UseDefaultIPv4TTL {
			return ipv4.DefaultTTL
		}
		return x
	}),

	{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER}: number(tcpip.MTUDiscoverOption, toByte, pmtudIn, pmtudOut),
	{unix.IPPROTO_IP, unix.IP_MTU}:          {get: (*socket).pathMTU},

	{unix.IPPROTO_IP, unix.IP_HDRINCL}: {
		set: func(s *socket, v []byte) error {
			x, err := toByte(v)
			if s.typ != unix.SOCK_RAW {
				return syscall.ENOPROTOOPT
			}
			if err == nil {
				s.ep.SocketOptions().SetHeaderIncluded(x != 0)
			}
			return err
		},
		get:    func(s *socket) ([]byte, error) { return fromBool(s.ep.SocketOptions().GetHeaderIncluded()), nil },
		number: true,
	},
}

// ip6Options are those of IPPROTO_IPV6 and IPPROTO_ICMPV6 but multicast's.
var ip6Options = map[optionKey]option{
	{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}: number(tcpip.IPv6TrafficClassOption, toInt, func(x int) (int, error) {
		if x == -1 {
			return 0, nil
		}
		return within(0, 255)(x)
	}, nil),

	{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS}: number(tcpip.IPv6HopLimitOption, toInt, within(-1, 255), func(x int) int {
		if x == tcpip.UseDefaultIPv6HopLimit {
			return ipv6.DefaultTTL
		}
		return x
	}),

	{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER}: number(tcpip.MTUDiscoverOption, toInt, pmtudIn, pmtudOut),
	{unix.IPPROTO_IPV6, unix.IPV6_MTU}:          {get: (*socket).pathMTU},

	{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}: {
		set: func(s *socket, v []byte) error {
			x, err := toInt(v)
			if err != nil {
				return err
			}
			if !s.fresh() {
				return syscall.EINVAL // RFC 3493 §5.3: it may not change once the socket is bound
			}
			s.ep.SocketOptions().SetV6Only(x != 0)
			return nil
		},
		get: func(s *socket) ([]byte, error) { return fromBool(s.ep.SocketOptions().GetV6Only()), nil },
	},

	{unix.IPPROTO_IPV6, unix.IPV6_CHECKSUM}: { // RFC 3542 §3.1
		set: func(s *socket, v []byte) error {
			x, err := toInt(v)
			if s.typ != unix.SOCK_RAW {
				return syscall.ENOPROTOOPT
			}
			if err != nil {
				return err
			}
			return errno(s.ep.SetSockOptInt(tcpip.IPv6Checksum, x))
		},
		get: func(s *socket) ([]byte, error) {
			if s.typ != unix.SOCK_RAW {
				return nil, syscall.ENOPROTOOPT
			}
			x, err := s.ep.GetSockOptInt(tcpip.IPv6Checksum)
			return fromInt(x), errno(err)
		},
	},

	{unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER}: { // struct icmp6_filter: a bit for each type that is blocked
		set: func(s *socket, v []byte) error {
			var f tcpip.ICMPv6Filter
			for i := 0; i < len(f.DenyType) && len(v) >= 4*(i+1); i++ {
				f.DenyType[i] = native.Uint32(v[4*i:])
			}
			return errno(s.ep.SetSockOpt(&f))
		},
		get: func(s *socket) (v []byte, err error) {
			var f tcpip.ICMPv6Filter
			e := s.ep.GetSockOpt(&f)
			for _, x := range f.DenyType {
				v = native.AppendUint32(v, x)
			}
			return v, errno(e)
		},
	},
}

// fresh tells whether the socket is neither bound nor connected.
func (s *socket) fresh() bool {
	if s.typ == unix.SOCK_STREAM {
		return tcp.EndpointState(s.ep.State()) == tcp.StateInitial
	}
	return transport.DatagramEndpointState(s.ep.State()) == transport.DatagramEndpointStateInitial
}

// pathMTU is that of the connected socket's route.
func (s *socket) pathMTU() ([]byte, error) {
	remote, err := s.ep.GetRemoteAddress()
	if err != nil {
		return nil, errno(err)
	}
	local, err := s.ep.GetLocalAddress()
	if err != nil {
		return nil, errno(err)
	}
	r, e := s.n.Route(fromAddress(local.Addr), fromAddress(remote.Addr))
	return fromInt(r.MTU), e
}

// Linux's and gVisor's numbers for the ways to discover a path's MTU.
var pmtud = map[int]tcpip.PMTUDStrategy{
	unix.IP_PMTUDISC_DONT:  tcpip.PMTUDiscoveryDont,
	unix.IP_PMTUDISC_WANT:  tcpip.PMTUDiscoveryWant,
	unix.IP_PMTUDISC_DO:    tcpip.PMTUDiscoveryDo,
	unix.IP_PMTUDISC_PROBE: tcpip.PMTUDiscoveryProbe,
}

func pmtudIn(x int) (int, error) {
	how, ok := pmtud[x]
	if !ok {
		return 0, syscall.EINVAL
	}
	return int(how), nil
}

func pmtudOut(x int) int {
	for linux, how := range pmtud {
		if how == tcpip.PMTUDStrategy(x) {
			return linux
		}
	}
	return unix.IP_PMTUDISC_WANT
}
