package netstack

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

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
