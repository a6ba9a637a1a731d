package netstack

import (
	"bytes"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestIsLocal(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{})
	for a, want := range map[string]bool{
		"10.0.0.1": true, "10.0.0.2": false, "10.0.0.255": false, "127.0.0.1": true, "127.1.2.3": true, "::1": true,
		"fd00::1": true, "fd00::2": false, "::ffff:10.0.0.1": true, "0.0.0.0": false, "::": false, "224.0.0.1": false,
	} {
		if got := s.IsLocal(addr(a)); got != want {
			t.Errorf("IsLocal(%s) = %v", a, got)
		}
	}
	if s.IsLocal(netip.Addr{}) {
		t.Error("the zero Addr is local")
	}
}

func TestRoute(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{})
	s.ok(s.AddRoute(Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: addr("10.0.0.254")}))
	s.ok(s.AddRoute(Route{Dst: netip.MustParsePrefix("192.0.2.0/24"), Gateway: addr("10.0.0.253")}))
	none := netip.Addr{}
	for _, c := range []struct {
		local, remote netip.Addr
		want          stack.Route
		err           error
	}{
		{none, b4, stack.Route{Local: a4, NextHop: b4, MTU: 1500}, nil},
		{a4, b4, stack.Route{Local: a4, NextHop: b4, MTU: 1500}, nil},
		{addr("0.0.0.0"), b4, stack.Route{Local: a4, NextHop: b4, MTU: 1500}, nil},
		{none, b6, stack.Route{Local: a6, NextHop: b6, MTU: 1500}, nil},
		{none, addr("::ffff:10.0.0.2"), stack.Route{Local: a4, NextHop: b4, MTU: 1500}, nil},
		{none, addr("203.0.113.1"), stack.Route{Local: a4, NextHop: addr("10.0.0.254"), MTU: 1500}, nil},
		{none, addr("192.0.2.1"), stack.Route{Local: a4, NextHop: addr("10.0.0.253"), MTU: 1500}, nil},
		{none, a4, stack.Route{Port: Loopback, Local: a4, NextHop: a4, MTU: 65535, Loopback: true}, nil},
		{none, addr("127.0.0.1"), stack.Route{Port: Loopback, Local: addr("127.0.0.1"), NextHop: addr("127.0.0.1"), MTU: 65535, Loopback: true}, nil},
		{none, addr("::1"), stack.Route{Port: Loopback, Local: addr("::1"), NextHop: addr("::1"), MTU: 65536, Loopback: true}, nil},
		{a4, addr("127.0.0.1"), stack.Route{Port: Loopback, Local: a4, NextHop: addr("127.0.0.1"), MTU: 65535, Loopback: true}, nil},
		{none, addr("2001:db8::1"), stack.Route{}, syscall.ENETUNREACH},
		{addr("10.0.0.9"), b4, stack.Route{}, syscall.EADDRNOTAVAIL},
		{a6, b4, stack.Route{}, syscall.EAFNOSUPPORT},
		{none, none, stack.Route{}, syscall.EAFNOSUPPORT},
		{none, addr("fe80::1%nonesuch"), stack.Route{}, syscall.ENODEV},
	} {
		got, err := s.Route(c.local, c.remote)
		if got != c.want || err != c.err {
			t.Errorf("Route(%v, %v) = %+v, %v, want %+v, %v", c.local, c.remote, got, err, c.want, c.err)
		}
	}
	r, err := s.Route(none, addr("fe80::1%fake"))
	if err != nil || !r.Local.IsLinkLocalUnicast() || r.Port != 0 {
		t.Errorf("link-local route: %+v, %v", r, err)
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	extra := netip.MustParsePrefix("10.0.9.1/24")
	before := w.b.Changes()
	w.b.ok(w.b.AddAddr(0, extra))
	if w.b.Changes() == before || !w.b.IsLocal(extra.Addr()) || !slices.Contains(w.b.Addrs(0), extra) {
		t.Errorf("after the address came: addresses %v", w.b.Addrs(0))
	}
	if err := w.b.AddAddr(0, extra); !isErrno(err, syscall.EEXIST) {
		t.Errorf("the same address again: %v, want EEXIST", err)
	}
	w.a.ok(w.a.AddRoute(Route{Dst: extra.Masked()}))
	ping(w, a4, extra.Addr(), true)

	before = w.b.Changes()
	w.b.ok(w.b.RemoveAddr(0, extra))
	if w.b.Changes() == before || w.b.IsLocal(extra.Addr()) || slices.Contains(w.b.Addrs(0), extra) {
		t.Errorf("after the address went: addresses %v", w.b.Addrs(0))
	}
	for _, r := range w.b.Routes() {
		if r.Dst == extra.Masked() {
			t.Errorf("its route stays: %+v", r)
		}
	}
	ping(w, a4, extra.Addr(), false)

	if err := w.b.RemoveAddr(0, extra); !isErrno(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("the address removed again: %v, want EADDRNOTAVAIL", err)
	}
	if err := w.b.AddAddr(5, extra); !isErrno(err, syscall.ENODEV) {
		t.Errorf("an address for a port that is not there: %v, want ENODEV", err)
	}
	if err := w.b.RemoveRoute(Route{Dst: extra}); !isErrno(err, syscall.ESRCH) {
		t.Errorf("a route that is not there removed: %v, want ESRCH", err)
	}
}

func TestOneOfTwoAddressesGoes(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{})
	s.ok(s.AddAddr(0, netip.MustParsePrefix("10.0.0.5/24")))
	s.ok(s.RemoveAddr(0, netip.PrefixFrom(a4, 24)))
	if r, err := s.Route(netip.Addr{}, b4); err != nil || r.Local != addr("10.0.0.5") {
		t.Errorf("route from the address that stays: %+v, %v", r, err)
	}
	s.ok(s.RemoveAddr(0, netip.MustParsePrefix("10.0.0.5/24")))
	if _, err := s.Route(netip.Addr{}, b4); err != syscall.ENETUNREACH {
		t.Errorf("route without an address: %v, want ENETUNREACH", err)
	}
}

func isErrno(err error, want syscall.Errno) bool {
	for err != nil {
		if err == want {
			return true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return false
		}
		err = u.Unwrap()
	}
	return false
}

// ping sends an echo request from a and checks whether the answer comes.
func ping(w *network, from, to netip.Addr, want bool) {
	w.Helper()
	proto := unix.IPPROTO_ICMP
	kind := byte(header.ICMPv4Echo)
	if to.Is6() {
		proto, kind = unix.IPPROTO_ICMPV6, byte(header.ICMPv6EchoRequest)
	}
	h := w.a.open(family(to), unix.SOCK_DGRAM, proto)
	defer w.a.Close(h)
	w.a.ok(w.a.Bind(h, netip.AddrPortFrom(from, 0)))
	data := random(7, 3000)
	request := append([]byte{kind, 0, 0, 0, 0, 0, 0, 1}, data...)
	if _, err := w.a.SendTo(h, request, netip.AddrPortFrom(to, 0), 0); err != nil {
		w.Fatalf("echo to %v: %v", to, err)
	}
	buf := make([]byte, 4000)
	got := w.sim.Run(2*time.Second, func() bool {
		n, peer, err := w.a.RecvFrom(h, buf, 0)
		if err != nil {
			return false
		}
		if peer.Addr() != to || !bytes.Equal(buf[8:n], data) {
			w.Errorf("echo from %v with %d bytes", peer, n)
		}
		return true
	})
	if got != want {
		w.Errorf("echo to %v answered: %v", to, got)
	}
}

func TestPing(t *testing.T) {
	w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
	ping(w, a4, b4, true)
	ping(w, a6, b6, true)
	ping(w, a4, a4, true)
	ping(w, a4, addr("127.0.0.1"), true)
	ping(w, a6, addr("::1"), true)
}
