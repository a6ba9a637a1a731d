package fstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// FuzzAddress has any two strings as network and address: none may panic, and what has no name to look up must give what
// package net makes of it.
func FuzzAddress(f *testing.F) {
	for _, c := range [][2]string{
		{"tcp", "10.0.0.1:80"}, {"tcp4", "[::1]:80"}, {"udp6", "[fe80::1%eth0]:53"}, {"tcp", ":http"}, {"udp", ""}, {"ip4:icmp", "10.0.0.1"},
		{"ip6:58", "::1"}, {"ip:256", "1"}, {"", ":"}, {"tcp", "[::ffff:1.2.3.4]:1"}, {"tcp6", "[::ffff:1.2.3.4]:1"}, {"udp4", "0.0.0.0:0"}, {"tcp", "[::]:65536"},
	} {
		f.Add(c[0], c[1])
	}
	offline := &Resolver{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no look-ups here") }}
	f.Fuzz(func(t *testing.T, network, address string) {
		name, _, err := splitNetwork(network)
		if err != nil {
			return
		}
		host := address
		if name[0] != 'i' && address != "" {
			if host, _, err = net.SplitHostPort(address); err != nil {
				if _, got := offline.resolve(t.Context(), name, address); got == nil || got.Error() != err.Error() {
					t.Errorf("resolve(%q, %q): %v, want %v", name, address, got, err)
				}
				return
			}
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "" {
			return // a name
		}
		all, err := offline.resolve(t.Context(), name, address)
		var got net.Addr
		if err == nil {
			got = asAddr(name, preferred(name, address, all))
		}
		want, wantErr := netResolve(name, address)
		if (err == nil) != (wantErr == nil) || err == nil && got.String() != want.String() {
			t.Errorf("resolve(%q, %q): %v, %v; package net: %v, %v", name, address, got, err, want, wantErr)
		}
	})
}

func netResolve(network, address string) (net.Addr, error) {
	switch network[0] {
	case 't':
		return net.ResolveTCPAddr(network, address)
	case 'u':
		return net.ResolveUDPAddr(network, address)
	}
	return net.ResolveIPAddr(network, address)
}
