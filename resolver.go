package fstack

import (
	"context"
	"net"
	"net/netip"
)

// Resolver looks up names and numbers. It is the Go resolver of package net, with /etc/hosts and the search rules of
// /etc/resolv.conf, whose questions go through the stack to its nameservers. A nil *Resolver is a zero Resolver.
type Resolver struct {
	// Stack is the stack to ask through, nil: the one that Run has started.
	Stack *Stack

	// PreferGo is what a stack always does, as it has no other resolver; it is here so that a net.Resolver's literal fits.
	PreferGo bool

	// StrictErrors has a temporary error of one question end a look-up of several.
	StrictErrors bool

	// Dial, if set, is called to reach a nameserver, whose address it is given as of /etc/resolv.conf.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// DefaultResolver is the resolver of the look-up functions of this package.
var DefaultResolver = &Resolver{}

// net returns the standard library's resolver that asks through the stack.
func (r *Resolver) net() *net.Resolver {
	if r == nil {
		r = new(Resolver)
	}
	n := &net.Resolver{PreferGo: true, StrictErrors: r.StrictErrors, Dial: r.Dial}
	if n.Dial == nil {
		n.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			st, err := orDefault(r.Stack)
			if err != nil {
				return nil, err
			}
			return st.dialNameserver(ctx, network, address)
		}
	}
	return n
}

// LookupHost looks up a host's addresses.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	return r.net().LookupHost(ctx, host)
}

// LookupIP looks up a host's addresses for the network ip, ip4 or ip6.
func (r *Resolver) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	return r.net().LookupIP(ctx, network, host)
}

// LookupIPAddr looks up a host's addresses, with zones.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return r.net().LookupIPAddr(ctx, host)
}

// LookupNetIP looks up a host's addresses for the network ip, ip4 or ip6.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return r.net().LookupNetIP(ctx, network, host)
}

// LookupPort looks up the port of a network's service.
func (r *Resolver) LookupPort(ctx context.Context, network, service string) (int, error) {
	return r.net().LookupPort(ctx, network, service)
}

// LookupAddr looks up the names of an address.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return r.net().LookupAddr(ctx, addr)
}

// LookupCNAME looks up the canonical name of a host.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	return r.net().LookupCNAME(ctx, host)
}

// LookupMX looks up the mail servers of a domain.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return r.net().LookupMX(ctx, name)
}

// LookupNS looks up the nameservers of a domain.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	return r.net().LookupNS(ctx, name)
}

// LookupSRV looks up the servers of a service, proto and domain.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return r.net().LookupSRV(ctx, service, proto, name)
}

// LookupTXT looks up the texts of a domain.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return r.net().LookupTXT(ctx, name)
}

// LookupHost looks up a host's addresses with the DefaultResolver.
func LookupHost(host string) ([]string, error) {
	return DefaultResolver.LookupHost(context.Background(), host)
}

// LookupIP looks up a host's addresses with the DefaultResolver.
func LookupIP(host string) ([]net.IP, error) {
	return DefaultResolver.LookupIP(context.Background(), "ip", host)
}

// LookupAddr looks up the names of an address with the DefaultResolver.
func LookupAddr(addr string) ([]string, error) {
	return DefaultResolver.LookupAddr(context.Background(), addr)
}

// LookupCNAME looks up the canonical name of a host with the DefaultResolver.
func LookupCNAME(host string) (string, error) {
	return DefaultResolver.LookupCNAME(context.Background(), host)
}

// LookupMX looks up the mail servers of a domain with the DefaultResolver.
func LookupMX(name string) ([]*net.MX, error) {
	return DefaultResolver.LookupMX(context.Background(), name)
}

// LookupNS looks up the nameservers of a domain with the DefaultResolver.
func LookupNS(name string) ([]*net.NS, error) {
	return DefaultResolver.LookupNS(context.Background(), name)
}

// LookupSRV looks up the servers of a service, proto and domain with the DefaultResolver.
func LookupSRV(service, proto, name string) (string, []*net.SRV, error) {
	return DefaultResolver.LookupSRV(context.Background(), service, proto, name)
}

// LookupTXT looks up the texts of a domain with the DefaultResolver.
func LookupTXT(name string) ([]string, error) {
	return DefaultResolver.LookupTXT(context.Background(), name)
}

// LookupPort looks up the port of a network's service.
func LookupPort(network, service string) (int, error) {
	return DefaultResolver.LookupPort(context.Background(), network, service)
}
