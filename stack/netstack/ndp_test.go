package netstack

import (
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

// advertisement is a router advertisement with one prefix, for on-link use and for addresses (RFC 4861 §4.2, §4.6.2).
func advertisement(router netip.Addr, prefix netip.Prefix, lifetime uint16) []byte {
	b := []byte{134, 0, 0, 0, 64, 0, byte(lifetime >> 8), byte(lifetime), 0, 0, 0, 0, 0, 0, 0, 0}
	l := uint32(lifetime)
	b = append(b, 3, 4, byte(prefix.Bits()), 0xc0)
	for range 2 {
		b = append(b, byte(l>>24), byte(l>>16), byte(l>>8), byte(l))
	}
	b = append(b, 0, 0, 0, 0)
	b = append(b, prefix.Addr().AsSlice()...)
	all := addr("ff02::1")
	header.ICMPv6(b).SetChecksum(^sum(router, all, 58, b))
	return ethernet([6]byte{0x33, 0x33, 0, 0, 0, 1}, 0x86dd, ip(router, all, 58, b))
}

func TestAddressesFromRouters(t *testing.T) {
	router, prefix := addr("fe80::99"), netip.MustParsePrefix("2001:db8:1::/64")
	for _, slaac := range []bool{false, true} {
		var sim simnet.Sim
		wire := simnet.New(simnet.Config{}, sim.Now)
		st := stack.New(sim.Now)
		st.AddPort(wire.End(0))
		n, err := New(st, Config{})
		if err != nil {
			t.Fatal(err)
		}
		st.AddLayer(n)
		t.Cleanup(n.Destroy)
		h := &host{n, t, st}
		h.ok(n.AddPort(0, PortConfig{SLAAC: slaac}))
		nobody := stack.New(sim.Now) // takes the frames off the other end
		nobody.AddPort(wire.End(1))
		sim.Stacks, sim.Wires = []*stack.Stack{st, nobody}, []*simnet.Wire{wire}
		sim.Sleep(time.Second)
		before := n.Changes()
		wire.Inject(0, advertisement(router, prefix, 600))
		sim.Sleep(time.Second)

		own := slices.ContainsFunc(n.Addrs(0), func(p netip.Prefix) bool { return prefix.Contains(p.Addr()) })
		_, offErr := n.Route(netip.Addr{}, addr("2001:db8:2::1"))
		r, onErr := n.Route(netip.Addr{}, addr("2001:db8:1::5"))
		if !slaac {
			if own || offErr != syscall.ENETUNREACH || onErr != syscall.ENETUNREACH {
				t.Errorf("taken although off: %v, %v, %v", own, offErr, onErr)
			}
			continue
		}
		if !own || offErr != nil || onErr != nil || r.NextHop != addr("2001:db8:1::5") || n.Changes() == before {
			t.Errorf("address: %v, routes: %v, %+v, %v", own, offErr, r, onErr)
		}
		if r, _ := n.Route(netip.Addr{}, addr("2001:db8:2::1")); r.NextHop != router || !prefix.Contains(r.Local) {
			t.Errorf("route %+v", r)
		}
		routes := len(n.Routes())
		again := advertisement(router, prefix, 500)
		again[14+40+5] = 0x08 // now with high preference: RFC 4191 §2.2
		fixChecksums(again)
		wire.Inject(0, again)
		sim.Sleep(time.Second)
		if len(n.Routes()) != routes {
			t.Errorf("%d routes, and %d after the same news", routes, len(n.Routes()))
		}
		sim.Sleep(20 * time.Minute) // the router is gone
		if _, err := n.Route(netip.Addr{}, addr("2001:db8:2::1")); err != syscall.ENETUNREACH {
			t.Errorf("route through a router that is gone: %v, want ENETUNREACH", err)
		}
	}
}

func TestDuplicateAddressIsNotUsed(t *testing.T) {
	for _, dad := range []bool{false, true} {
		var sim simnet.Sim
		wire := simnet.New(simnet.Config{Latency: time.Millisecond}, sim.Now)
		sim.Wires = []*simnet.Wire{wire}
		var hosts []*host
		for i := range 2 {
			st := stack.New(sim.Now)
			st.AddPort(wire.End(i))
			n, err := New(st, Config{})
			if err != nil {
				t.Fatal(err)
			}
			st.AddLayer(n)
			t.Cleanup(n.Destroy)
			hosts = append(hosts, &host{n, t, st})
			sim.Stacks = append(sim.Stacks, st)
		}
		hosts[0].ok(hosts[0].AddPort(0, PortConfig{DAD: dad, Addrs: []netip.Prefix{netip.PrefixFrom(a6, 64)}}))
		sim.Sleep(5 * time.Second)
		if !hosts[0].IsLocal(a6) {
			t.Errorf("DAD %v: the first host does not have its address after 5 s", dad)
		}
		hosts[1].ok(hosts[1].AddPort(0, PortConfig{DAD: dad, Addrs: []netip.Prefix{netip.PrefixFrom(a6, 64)}}))
		sim.Sleep(5 * time.Second)
		if got := hosts[1].IsLocal(a6); got == dad {
			t.Errorf("DAD %v: the second host has the address: %v", dad, got)
		}
		if got := hosts[1].Counters().DuplicateAddresses; (got != 0) != dad {
			t.Errorf("DAD %v: %d duplicates counted", dad, got)
		}
	}
}

func TestLinkLocal(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	w.sim.Sleep(time.Second)
	var ll netip.Addr
	for _, p := range w.b.Addrs(0) {
		if p.Addr().IsLinkLocalUnicast() {
			ll = p.Addr()
		}
	}
	if ll != addr("fe80::ff:fe00:2") { // RFC 4291 appendix A, of 02:00:00:00:00:02
		t.Fatalf("link-local address %v", ll)
	}
	l := w.b.listen(netip.AddrPortFrom(netip.IPv6Unspecified(), 80))
	c := w.a.open(unix.AF_INET6, unix.SOCK_STREAM, 0)
	_ = w.a.Connect(c, netip.AddrPortFrom(ll.WithZone("sim0"), 80))
	w.until(time.Second, "connection", func() bool { return w.a.Events(c)&stack.EventOut != 0 })
	peer, err := w.a.PeerAddr(c)
	if err != nil || peer.Addr().WithZone("") != ll {
		t.Errorf("peer %v, %v", peer, err)
	}
	var from netip.AddrPort
	w.until(time.Second, "accept", func() bool { _, from, err = w.b.Accept(l); return err == nil })
	if from.Addr().Zone() != "sim1" || !from.Addr().IsLinkLocalUnicast() {
		t.Errorf("accepted from %v, want zone sim1", from)
	}
	if err := w.a.Connect(w.a.open(unix.AF_INET6, unix.SOCK_STREAM, 0), netip.AddrPortFrom(ll.WithZone("nonesuch"), 80)); err != syscall.ENODEV {
		t.Errorf("unknown zone: %v, want ENODEV", err)
	}
}
