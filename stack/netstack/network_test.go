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

// resolve asks until the answer is final and returns how often Changes moved.
func (w *network) resolve(r *stack.Route, limit time.Duration) (mac [6]byte, state stack.Resolution, changes int) {
	w.Helper()
	mac, state = w.a.Resolve(r)
	seen := w.a.Changes()
	w.until(limit, "resolution", func() bool {
		if now := w.a.Changes(); now != seen {
			seen = now
			changes++
			mac, state = w.a.Resolve(r)
		}
		return state != stack.Resolving
	})
	return mac, state, changes
}

func TestResolve(t *testing.T) {
	for _, to := range []struct{ there, gone netip.Addr }{{b4, addr("10.0.0.77")}, {b6, addr("fd00::77")}} {
		w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
		w.sim.Sleep(time.Second)
		r, err := w.a.Route(netip.Addr{}, to.there)
		w.a.ok(err)
		if mac, state := w.a.Resolve(&r); state != stack.Resolving {
			t.Fatalf("a first Resolve of %v: %v, %v", to.there, mac, state)
		}
		mac, state, changes := w.resolve(&r, time.Second)
		if mac != [6]byte{2, 0, 0, 0, 0, 2} || state != stack.Resolved || changes == 0 {
			t.Errorf("%v: %v, state %d after %d changes", to.there, mac, state, changes)
		}

		// It stays so for as long as the neighbour is reachable, and asking costs nothing that moves Changes.
		before := w.a.Changes()
		for range 3 {
			if m, s := w.a.Resolve(&r); m != mac || s != stack.Resolved {
				t.Errorf("asked again: %v, %v", m, s)
			}
		}
		if w.a.Changes() != before {
			t.Error("asking moved Changes")
		}

		r, err = w.a.Route(netip.Addr{}, to.gone)
		w.a.ok(err)
		if _, state, _ := w.resolve(&r, 10*time.Second); state != stack.Unresolved {
			t.Errorf("%v: state %d, want unresolved", to.gone, state)
		}
		w.sim.Sleep(2 * time.Second)
		if _, state := w.a.Resolve(&r); state != stack.Resolving {
			t.Errorf("%v: state %d when asked later, want that it is asked again", to.gone, state)
		}
	}
}

// TestStaleNeighbourIsProbed has a neighbour fall silent: the cached address must be given up, and kept while Confirm
// tells that it is reached (RFC 4861 §7.3).
func TestStaleNeighbourIsProbed(t *testing.T) {
	for _, confirmed := range []bool{false, true} {
		silent := false
		w := newNetwork(t, simnet.Config{Latency: time.Millisecond, Drop: func(end int, _ []byte) bool { return silent && end == 1 }})
		r, err := w.a.Route(netip.Addr{}, b4)
		w.a.ok(err)
		_, state, _ := w.resolve(&r, time.Second)
		silent = true
		seen := w.a.Changes()
		for range 100 { // 100 s: reachable for up to 45 s, then stale, delay 5 s, probe 3 s
			w.sim.Sleep(time.Second)
			if confirmed {
				w.a.Confirm(&r)
			}
			if now := w.a.Changes(); now != seen {
				seen = now
				_, state = w.a.Resolve(&r)
			}
			if state != stack.Resolved {
				break
			}
		}
		if lost := state != stack.Resolved; lost == confirmed {
			t.Errorf("confirmed %v: neighbour given up: %v", confirmed, lost)
		}
		silent = false // it comes back, with the same address
		w.sim.Sleep(2 * time.Second)
		if _, state, _ := w.resolve(&r, 5*time.Second); state != stack.Resolved {
			t.Errorf("confirmed %v: state %d of a neighbour that came back", confirmed, state)
		}
	}
}

// TestNeighbourChangesItsAddress sends gratuitous ARP, in both forms that hosts use (RFC 5227 §3).
func TestNeighbourChangesItsAddress(t *testing.T) {
	for _, op := range []header.ARPOp{header.ARPRequest, header.ARPReply} {
		w := newNetwork(t, simnet.Config{})
		r, err := w.a.Route(netip.Addr{}, b4)
		w.a.ok(err)
		w.resolve(&r, time.Second)
		before := w.a.Changes()
		packet := make([]byte, header.ARPSize)
		arp := header.ARP(packet)
		arp.SetIPv4OverEthernet()
		arp.SetOp(op)
		moved := [6]byte{2, 0, 0, 0, 0, 0x55}
		copy(arp.HardwareAddressSender(), moved[:])
		copy(arp.ProtocolAddressSender(), b4.AsSlice())
		copy(arp.ProtocolAddressTarget(), b4.AsSlice())
		frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, moved[:]...)
		w.wire.Inject(0, append(append(frame, 8, 6), packet...))
		stranger := append([]byte(nil), packet...)
		header.ARP(stranger).ProtocolAddressSender()[3] = 99
		w.wire.Inject(0, append(append(frame, 8, 6), stranger...))
		w.sim.Sleep(time.Millisecond)
		if w.a.Changes() == before {
			t.Error("Changes did not move")
		}
		if m, s := w.a.Resolve(&r); m != moved || s != stack.Resolved {
			t.Errorf("resolved to %v, %v", m, s)
		}
		for _, n := range w.a.Neighbours() {
			if n.Addr == addr("10.0.0.99") {
				t.Errorf("a stranger was taken in: %+v", n)
			}
		}
	}
}

// TestStrangersAreNoNews floods a host with ARP and NDP from addresses that it never asked for.
func TestStrangersAreNoNews(t *testing.T) {
	s := newSolo(t, newFake(1024, 1514, 0), Config{})
	s.now += int64(time.Minute)
	s.take()
	r, err := s.Route(netip.Addr{}, b4)
	s.ok(err)
	if _, state := s.Resolve(&r); state != stack.Resolved {
		t.Fatalf("state %d", state)
	}
	before := s.Changes()
	for i := range 2000 {
		packet := make([]byte, header.ARPSize)
		arp := header.ARP(packet)
		arp.SetIPv4OverEthernet()
		arp.SetOp(header.ARPRequest)
		copy(arp.HardwareAddressSender(), []byte{2, 1, 0, 0, byte(i >> 8), byte(i)})
		copy(arp.ProtocolAddressSender(), []byte{10, 0, byte(i >> 8), byte(i)})
		copy(arp.ProtocolAddressTarget(), a4.AsSlice())
		s.dev.receive(0, 4096, ethernet([6]byte(mac), 0x0806, packet))
	}
	frames, _ := s.take()
	if len(frames) != 2000 {
		t.Errorf("%d answers", len(frames))
	}
	if now := s.Changes(); now != before {
		t.Errorf("Changes moved by %d", now-before)
	}
	if n := len(s.Neighbours()); n < 500 || n > 600 {
		t.Errorf("%d neighbours are kept, want gVisor's 512 and the static ones", n)
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

func TestNeighbourTable(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	ping(w, a4, b4, true)
	find := func(a netip.Addr) (found Neighbour) {
		for _, n := range w.a.Neighbours() {
			if n.Addr == a {
				found = n
			}
		}
		return found
	}
	if n := find(b4); n.MAC != [6]byte{2, 0, 0, 0, 0, 2} || n.State != "Reachable" || n.Port != 0 {
		t.Errorf("neighbour %+v", n)
	}
	w.a.ok(w.a.RemoveNeighbour(0, b4))
	if n := find(b4); n.State != "" {
		t.Errorf("it stays: %+v", n)
	}
	if err := w.a.RemoveNeighbour(0, b4); !isErrno(err, syscall.ENOENT) {
		t.Errorf("removed again: %v, want ENOENT", err)
	}
	w.a.ok(w.a.AddNeighbour(0, b4, [6]byte{2, 0, 0, 0, 0, 0x44}))
	if n := find(b4); n.State != "Static" || n.MAC[5] != 0x44 {
		t.Errorf("neighbour %+v", n)
	}
	ping(w, a4, b4, false) // it goes to the wrong place now
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
