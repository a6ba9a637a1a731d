package fstack

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// protocols are the numbers of the IP protocols that a network may name, as in ip4:icmp.
var protocols = map[string]int{"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "ipv6-icmp": 58}

// splitNetwork takes "ip4:icmp" apart into "ip4" and 1, and returns other networks as they are.
func splitNetwork(network string) (name string, proto int, err error) {
	name, after, colon := strings.Cut(network, ":")
	switch name {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		if !colon {
			return name, 0, nil
		}
	case "ip", "ip4", "ip6":
		if !colon {
			break
		}
		if n, err := strconv.ParseUint(after, 10, 8); err == nil {
			return name, int(n), nil
		}
		if n, ok := protocols[after]; ok {
			return name, n, nil
		}
		return "", 0, &net.AddrError{Err: "unknown IP protocol specified", Addr: after}
	}
	return "", 0, net.UnknownNetworkError(network)
}

// family is the last letter of tcp4 or tcp6, or 0 for networks of both.
func family(network string) byte {
	if c := network[len(network)-1]; c == '4' || c == '6' {
		return c
	}
	return 0
}

// resolve returns the addresses that a network's address string stands for, at least one. Its Addr is zero for an
// empty host. An empty address is the zero AddrPort.
func (r *Resolver) resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	host, port := address, 0
	if network[0] != 'i' && address != "" {
		var service string
		var err error
		if host, service, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
		if port, err = net.DefaultResolver.LookupPort(ctx, network, service); err != nil {
			return nil, err
		}
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, uint16(port))}, nil
	}
	ips, err := r.addresses(ctx, network, host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		if f := family(network); f == 0 || ip.Is4() == (f == '4') {
			all = append(all, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	if all == nil {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return all, nil
}

// addresses returns those of a host, which may be an address literal.
func (r *Resolver) addresses(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	want := "ip"
	if f := family(network); f != 0 {
		want += string(f)
	}
	ips, err := r.LookupNetIP(ctx, want, host)
	if err != nil {
		return nil, err
	}
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, nil
}

// preferred is the one of several addresses to use where only one can be: IPv4, unless the string says IPv6.
func preferred(network, address string, all []netip.AddrPort) netip.AddrPort {
	want6 := strings.Contains(address, "[")
	if network[0] == 'i' {
		want6 = strings.Contains(address, ":")
	}
	if i := slices.IndexFunc(all, func(a netip.AddrPort) bool { return a.Addr().Is6() == want6 }); i >= 0 {
		return all[i]
	}
	return all[0]
}

// ResolveTCPAddr returns the address of a TCP end point, by the running stack's nameservers if the host is a name.
func ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	a, err := resolveOne(network, address, "tcp")
	if err != nil {
		return nil, err
	}
	return net.TCPAddrFromAddrPort(a), nil
}

// ResolveUDPAddr returns the address of a UDP end point, by the running stack's nameservers if the host is a name.
func ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	a, err := resolveOne(network, address, "udp")
	if err != nil {
		return nil, err
	}
	return net.UDPAddrFromAddrPort(a), nil
}

func resolveOne(network, address, protocol string) (a netip.AddrPort, err error) {
	if network == "" {
		network = protocol
	}
	if strings.TrimRight(network, "46") != protocol || len(network) > len(protocol)+1 {
		return a, net.UnknownNetworkError(network)
	}
	all, err := new(Resolver).resolve(context.Background(), network, address)
	if err != nil {
		return a, err
	}
	return preferred(network, address, all), nil
}

// fromAddr is a net.Addr of that network's type as netip.AddrPort; nil gives the zero AddrPort.
func fromAddr(network string, a net.Addr) (netip.AddrPort, error) {
	var ap netip.AddrPort
	ok := true
	switch x := a.(type) {
	case nil:
		return ap, nil
	case *net.TCPAddr:
		if ok = network[0] == 't'; ok && x != nil {
			ap = x.AddrPort()
		}
	case *net.UDPAddr:
		if ok = network[0] == 'u'; ok && x != nil {
			ap = x.AddrPort()
		}
	case *net.IPAddr:
		if ok = network[0] == 'i'; ok && x != nil {
			ip, _ := netip.AddrFromSlice(x.IP)
			ap = netip.AddrPortFrom(ip.WithZone(x.Zone), 0)
		}
	default:
		ok = false
	}
	if !ok {
		return ap, &net.AddrError{Err: "mismatched local address type", Addr: a.String()}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// asAddr is the net.Addr of that network's type.
func asAddr(network string, a netip.AddrPort) net.Addr {
	switch network[0] {
	case 't':
		return net.TCPAddrFromAddrPort(a)
	case 'u':
		return net.UDPAddrFromAddrPort(a)
	}
	return toIPAddr(a)
}

// toAddr is asAddr that gives nil for the zero AddrPort.
func toAddr(network string, a netip.AddrPort) net.Addr {
	if a == (netip.AddrPort{}) {
		return nil
	}
	return asAddr(network, a)
}

func toIPAddr(a netip.AddrPort) *net.IPAddr {
	return &net.IPAddr{IP: a.Addr().AsSlice(), Zone: a.Addr().Zone()}
}

func isWildcard(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }

// fit converts an address to the family of a socket, as stack.Sockets wants it.
func fit(domain int, a netip.AddrPort) (netip.AddrPort, error) {
	ip := a.Addr()
	switch {
	case domain == unix.AF_INET && !ip.IsValid():
		ip = netip.IPv4Unspecified()
	case domain == unix.AF_INET:
		if ip = ip.Unmap(); !ip.Is4() {
			return a, &net.AddrError{Err: "non-IPv4 address", Addr: ip.String()}
		}
	case isWildcard(ip):
		ip = netip.IPv6Unspecified()
	case ip.Is4():
		ip = netip.AddrFrom16(ip.As16())
	}
	return netip.AddrPortFrom(ip, a.Port()), nil
}

// domains are the address families to try for a socket, and whether it is for IPv6 alone.
func domains(network string, local, remote netip.Addr, listen bool) (try []int, only6 bool) {
	switch family(network) {
	case '4':
		return []int{unix.AF_INET}, false
	case '6':
		return []int{unix.AF_INET6}, true
	}
	if listen && isWildcard(local) {
		if network[0] == 'i' { // raw sockets know no mapped addresses
			if local.Is6() {
				return []int{unix.AF_INET6}, true
			}
			return []int{unix.AF_INET}, false
		}
		return []int{unix.AF_INET6, unix.AF_INET}, false
	}
	if !local.Is6() && !remote.Is6() {
		return []int{unix.AF_INET}, false
	}
	return []int{unix.AF_INET6}, false
}
