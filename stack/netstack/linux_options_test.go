package netstack

import (
	"testing"

	"golang.org/x/sys/unix"
)

func cint(x int) []byte { return native.AppendUint32(nil, uint32(int32(x))) }

// TestOptionsAsOnLinux sets and asks each option with good, bad and short values.
func TestOptionsAsOnLinux(t *testing.T) {
	type kind struct{ domain, typ int }
	tcp4, tcp6 := kind{unix.AF_INET, unix.SOCK_STREAM}, kind{unix.AF_INET6, unix.SOCK_STREAM}
	udp4, udp6 := kind{unix.AF_INET, unix.SOCK_DGRAM}, kind{unix.AF_INET6, unix.SOCK_DGRAM}
	all := []kind{tcp4, tcp6, udp4, udp6}
	tcp, v6 := []kind{tcp4, tcp6}, []kind{tcp6, udp6}
	udp := []kind{udp4, udp6}
	flags := [][]byte{cint(1), cint(0), cint(7), {1}, {}}
	for _, c := range []struct {
		name       string
		kinds      []kind
		level, opt int
		values     [][]byte
	}{
		{"SO_REUSEADDR", all, unix.SOL_SOCKET, unix.SO_REUSEADDR, flags},
		{"SO_REUSEPORT", all, unix.SOL_SOCKET, unix.SO_REUSEPORT, flags},
		{"SO_KEEPALIVE", all, unix.SOL_SOCKET, unix.SO_KEEPALIVE, flags},
		{"SO_BROADCAST", all, unix.SOL_SOCKET, unix.SO_BROADCAST, flags},
		{"SO_NO_CHECK", udp, unix.SOL_SOCKET, unix.SO_NO_CHECK, flags},
		{"SO_TYPE", all, unix.SOL_SOCKET, unix.SO_TYPE, flags[:1]},
		{"SO_DOMAIN", all, unix.SOL_SOCKET, unix.SO_DOMAIN, flags[:1]},
		{"SO_PROTOCOL", all, unix.SOL_SOCKET, unix.SO_PROTOCOL, flags[:1]},
		{"SO_ACCEPTCONN", all, unix.SOL_SOCKET, unix.SO_ACCEPTCONN, flags[:1]},
		{"SO_ERROR", all, unix.SOL_SOCKET, unix.SO_ERROR, flags[:1]},
		{"SO_LINGER", all, unix.SOL_SOCKET, unix.SO_LINGER, [][]byte{append(cint(1), cint(5)...), append(cint(0), cint(9)...), cint(1)}},
		{"SO_SNDBUF", all, unix.SOL_SOCKET, unix.SO_SNDBUF, [][]byte{cint(65536), cint(100000), {1}}},
		{"SO_RCVBUF", all, unix.SOL_SOCKET, unix.SO_RCVBUF, [][]byte{cint(65536), cint(100000), {1}}},
		{"an unknown socket option", all, unix.SOL_SOCKET, 9999, flags[:1]},
		{"an unknown level", all, 9999, 1, flags[:1]},

		{"TCP_NODELAY", tcp, unix.IPPROTO_TCP, unix.TCP_NODELAY, flags},
		{"TCP_CORK", tcp, unix.IPPROTO_TCP, unix.TCP_CORK, flags},
		{"TCP_QUICKACK", tcp, unix.IPPROTO_TCP, unix.TCP_QUICKACK, [][]byte{cint(0), cint(1), {1}}},
		{"TCP_KEEPIDLE", tcp, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, [][]byte{cint(60), cint(0), cint(32767), cint(32768), cint(-1), {1}}},
		{"TCP_KEEPINTVL", tcp, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, [][]byte{cint(60), cint(0), cint(32767), cint(32768)}},
		{"TCP_KEEPCNT", tcp, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, [][]byte{cint(3), cint(0), cint(127), cint(128)}},
		{"TCP_SYNCNT", tcp, unix.IPPROTO_TCP, unix.TCP_SYNCNT, [][]byte{cint(3), cint(0), cint(127), cint(128)}},
		{"TCP_USER_TIMEOUT", tcp, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, [][]byte{cint(5000), cint(0), cint(-1)}},
		{"TCP_CONGESTION", tcp, unix.IPPROTO_TCP, unix.TCP_CONGESTION, [][]byte{[]byte("reno"), []byte("nonesuch"), []byte("cubic\x00")}},
		{"TCP_MAXSEG", tcp, unix.IPPROTO_TCP, unix.TCP_MAXSEG, [][]byte{cint(1000), cint(10), cint(70000)}},
		{"an unknown TCP option", tcp, unix.IPPROTO_TCP, 9999, flags[:1]},
		{"a TCP option of UDP", udp, unix.IPPROTO_TCP, unix.TCP_NODELAY, flags[:1]},

		{"IP_TOS", all, unix.IPPROTO_IP, unix.IP_TOS, [][]byte{cint(0x10), cint(0x20), {0x40}, {}}},
		{"IP_TTL", all, unix.IPPROTO_IP, unix.IP_TTL, [][]byte{cint(10), cint(0), cint(256), cint(-1), {7}, {}}},
		{"IP_MTU_DISCOVER", all, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, [][]byte{cint(0), cint(1), cint(2), cint(3), cint(9)}},
		{"IP_MTU", all, unix.IPPROTO_IP, unix.IP_MTU, nil},
		{"IP_HDRINCL", all, unix.IPPROTO_IP, unix.IP_HDRINCL, flags[:1]},
		{"IP_MULTICAST_TTL", []kind{udp4}, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, [][]byte{cint(5), cint(-1), cint(256), {9}, {}}},
		{"IP_MULTICAST_LOOP", []kind{udp4}, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, [][]byte{cint(0), cint(1), {0}, {}}},
		{"an unknown IP option", all, unix.IPPROTO_IP, 9999, flags[:1]},

		{"IPV6_V6ONLY", v6, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, flags},
		{"IPV6_TCLASS", v6, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, [][]byte{cint(0x20), cint(-1), cint(256), {1}}},
		{"IPV6_UNICAST_HOPS", v6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, [][]byte{cint(10), cint(-1), cint(256), cint(-2), {1}}},
		{"IPV6_MULTICAST_HOPS", []kind{udp6}, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, [][]byte{cint(5), cint(-1), cint(256), {1}}},
		{"IPV6_MULTICAST_LOOP", []kind{udp6}, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, [][]byte{cint(0), cint(1), {1}}},
		{"IPV6_MULTICAST_IF", []kind{udp6}, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, [][]byte{cint(1), cint(0), cint(9999), {1}}},
		{"IPV6_MTU_DISCOVER", v6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, [][]byte{cint(0), cint(1), cint(2), cint(3), cint(9)}},
		{"an IPv6 option of IPv4", []kind{tcp4, udp4}, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, flags[:1]},
	} {
		t.Run(c.name, func(t *testing.T) {
			asLinux(t, func(s *script) {
				for _, k := range c.kinds {
					h := s.socket(k.domain, k.typ, 0)
					for _, v := range c.values {
						s.set(c.name, h, c.level, c.opt, v...)
						s.option(c.name, h, c.level, c.opt, 4)
					}
					s.option(c.name+", long", h, c.level, c.opt, 40)
					s.option(c.name+", short", h, c.level, c.opt, 2)
				}
			})
		})
	}
}
