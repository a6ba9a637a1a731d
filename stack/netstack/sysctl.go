package netstack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// sysctl is a setting of the whole netstack, under FreeBSD's name and with its units.
type sysctl struct {
	get func(n *Netstack) string
	set func(n *Netstack, value string) error // nil: read only
	tcp bool                                  // only with gVisor's TCP
}

var sysctls = map[string]sysctl{
	"net.inet.ip.ttl":    integer(1, 255, ttlGet(ipv4.ProtocolNumber), ttlSet(ipv4.ProtocolNumber)),
	"net.inet6.ip6.hlim": integer(1, 255, ttlGet(ipv6.ProtocolNumber), ttlSet(ipv6.ProtocolNumber)),

	"net.inet.icmp.icmplim": integer(0, 1<<20, // ICMP errors per second
		func(n *Netstack) int { return int(n.g.ICMPLimit()) },
		func(n *Netstack, x int) error { n.g.SetICMPLimit(rate.Limit(x)); return nil }),

	"net.inet.ip.portrange.first": integer(1, 65535,
		func(n *Netstack) int { low, _ := n.g.PortRange(); return int(low) },
		func(n *Netstack, x int) error {
			_, high := n.g.PortRange()
			return errno(n.g.SetPortRange(uint16(x), high))
		}),
	"net.inet.ip.portrange.last": integer(1, 65535,
		func(n *Netstack) int { _, high := n.g.PortRange(); return int(high) },
		func(n *Netstack, x int) error {
			low, _ := n.g.PortRange()
			return errno(n.g.SetPortRange(low, uint16(x)))
		}),

	"net.inet.udp.recvspace": integer(bufMin, bufMax,
		func(n *Netstack) int { var o tcpip.ReceiveBufferSizeOption; n.g.Option(&o); return o.Default },
		func(n *Netstack, x int) error {
			return errno(n.g.SetOption(tcpip.ReceiveBufferSizeOption{Min: bufMin, Default: x, Max: bufMax}))
		}),
	"net.inet.udp.sendspace": integer(bufMin, bufMax,
		func(n *Netstack) int { var o tcpip.SendBufferSizeOption; n.g.Option(&o); return o.Default },
		func(n *Netstack, x int) error {
			return errno(n.g.SetOption(tcpip.SendBufferSizeOption{Min: bufMin, Default: x, Max: bufMax}))
		}),

	"net.inet.tcp.sack.enable":      tcpFlag[tcpip.TCPSACKEnabled](),
	"net.inet.tcp.recvbuf_auto":     tcpFlag[tcpip.TCPModerateReceiveBufferOption](),
	"net.inet.tcp.syncookies_only":  tcpFlag[tcpip.TCPAlwaysUseSynCookies](),
	"net.inet.tcp.finwait2_timeout": tcpTime[tcpip.TCPLingerTimeoutOption](1),
	"net.inet.tcp.msl":              tcpTime[tcpip.TCPTimeWaitTimeoutOption](2), // TIME-WAIT is twice that
	"net.inet.tcp.rexmit_min":       tcpTime[tcpip.TCPMinRTOOption](1),

	"net.inet.tcp.sendspace":   tcpBuffer(sendRange, defaultOf),
	"net.inet.tcp.sendbuf_max": tcpBuffer(sendRange, maxOf),
	"net.inet.tcp.recvspace":   tcpBuffer(recvRange, defaultOf),
	"net.inet.tcp.recvbuf_max": tcpBuffer(recvRange, maxOf),

	"net.inet.tcp.cc.algorithm": {tcp: true,
		get: func(n *Netstack) string {
			var cc tcpip.CongestionControlOption
			n.g.TransportProtocolOption(tcp.ProtocolNumber, &cc)
			return bsdName(string(cc))
		},
		set: func(n *Netstack, v string) error {
			cc := tcpip.CongestionControlOption(strings.TrimPrefix(v, "new"))
			return errno(n.g.SetTransportProtocolOption(tcp.ProtocolNumber, &cc))
		}},
	"net.inet.tcp.cc.available": {tcp: true, get: func(n *Netstack) string {
		var all tcpip.TCPAvailableCongestionControlOption
		n.g.TransportProtocolOption(tcp.ProtocolNumber, &all)
		names := strings.Fields(string(all))
		for i := range names {
			names[i] = bsdName(names[i])
		}
		return strings.Join(names, " ")
	}},
}

// bsdName is FreeBSD's name of a congestion control algorithm.
func bsdName(cc string) string {
	if cc == "reno" {
		return "newreno"
	}
	return cc
}

// Sysctls are the names that Sysctl knows, sorted.
func (n *Netstack) Sysctls() (names []string) {
	for name, s := range sysctls {
		if !s.tcp || n.cfg.TCP {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Sysctl returns a setting's value, or ENOENT.
func (n *Netstack) Sysctl(name string) (string, error) {
	s, ok := sysctls[name]
	if !ok || s.tcp && !n.cfg.TCP {
		return "", fmt.Errorf("sysctl %s: %w", name, syscall.ENOENT)
	}
	return s.get(n), nil
}

// SetSysctl changes a setting, for sockets that are opened later. Errors: ENOENT, EPERM if it is read only, or one that
// says what the value must be.
func (n *Netstack) SetSysctl(name, value string) error {
	s, ok := sysctls[name]
	switch {
	case !ok || s.tcp && !n.cfg.TCP:
		return fmt.Errorf("sysctl %s: %w", name, syscall.ENOENT)
	case s.set == nil:
		return fmt.Errorf("sysctl %s: %w", name, syscall.EPERM)
	}
	if err := s.set(n, value); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
	}
	return nil
}

func integer(low, high int, get func(*Netstack) int, set func(*Netstack, int) error) sysctl {
	return sysctl{
		get: func(n *Netstack) string { return strconv.Itoa(get(n)) },
		set: func(n *Netstack, v string) error {
			x, err := strconv.Atoi(v)
			if err != nil || x < low || x > high {
				return fmt.Errorf("must be a number from %d to %d", low, high)
			}
			return set(n, x)
		},
	}
}

func ttlGet(proto tcpip.NetworkProtocolNumber) func(*Netstack) int {
	return func(n *Netstack) int {
		var o tcpip.DefaultTTLOption
		n.g.NetworkProtocolOption(proto, &o)
		return int(o)
	}
}

func ttlSet(proto tcpip.NetworkProtocolNumber) func(*Netstack, int) error {
	return func(n *Netstack, x int) error {
		o := tcpip.DefaultTTLOption(x)
		return errno(n.g.SetNetworkProtocolOption(proto, &o))
	}
}

// tcpOption is a pointer to an option of gVisor's TCP protocol.
type tcpOption[T any] interface {
	*T
	tcpip.SettableTransportProtocolOption
	tcpip.GettableTransportProtocolOption
}

func tcpFlag[T ~bool, P tcpOption[T]]() sysctl {
	s := integer(0, 1, func(n *Netstack) int {
		var o T
		n.g.TransportProtocolOption(tcp.ProtocolNumber, P(&o))
		if o {
			return 1
		}
		return 0
	}, func(n *Netstack, x int) error {
		o := T(x != 0)
		return errno(n.g.SetTransportProtocolOption(tcp.ProtocolNumber, P(&o)))
	})
	s.tcp = true
	return s
}

// tcpTime is a time in milliseconds; gVisor's is times that.
func tcpTime[T ~int64, P tcpOption[T]](times int) sysctl {
	unit := time.Duration(times) * time.Millisecond
	s := integer(1, 3600_000, func(n *Netstack) int {
		var o T
		n.g.TransportProtocolOption(tcp.ProtocolNumber, P(&o))
		return int(time.Duration(o) / unit)
	}, func(n *Netstack, x int) error {
		o := T(time.Duration(x) * unit)
		return errno(n.g.SetTransportProtocolOption(tcp.ProtocolNumber, P(&o)))
	})
	s.tcp = true
	return s
}

// bufRange are the sizes of TCP's send or receive buffers.
type bufRange = tcpip.TCPSendBufferSizeRangeOption

// sendRange and recvRange apply change to a range and set it, or only return it if there is no change.
func sendRange(n *Netstack, change func(*bufRange)) (r bufRange, err error) {
	n.g.TransportProtocolOption(tcp.ProtocolNumber, &r)
	if change != nil {
		change(&r)
		err = errno(n.g.SetTransportProtocolOption(tcp.ProtocolNumber, &r))
	}
	return r, err
}

func recvRange(n *Netstack, change func(*bufRange)) (bufRange, error) {
	var o tcpip.TCPReceiveBufferSizeRangeOption
	n.g.TransportProtocolOption(tcp.ProtocolNumber, &o)
	r, err := bufRange(o), error(nil)
	if change != nil {
		change(&r)
		o = tcpip.TCPReceiveBufferSizeRangeOption(r)
		err = errno(n.g.SetTransportProtocolOption(tcp.ProtocolNumber, &o))
	}
	return r, err
}

// defaultOf and maxOf set one field of a range, if x is not 0, and return it.
func defaultOf(r *bufRange, x int) int {
	if x != 0 {
		r.Default, r.Max = x, max(r.Max, x)
	}
	return r.Default
}

func maxOf(r *bufRange, x int) int {
	if x != 0 {
		r.Max, r.Default = x, min(r.Default, x)
	}
	return r.Max
}

func tcpBuffer(of func(*Netstack, func(*bufRange)) (bufRange, error), field func(*bufRange, int) int) sysctl {
	s := integer(bufMin, 1<<30, func(n *Netstack) int {
		r, _ := of(n, nil)
		return field(&r, 0)
	}, func(n *Netstack, x int) error {
		_, err := of(n, func(r *bufRange) { field(r, x) })
		return err
	})
	s.tcp = true
	return s
}
