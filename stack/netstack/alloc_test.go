//go:build !race

package netstack

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// TestAllocations keeps what a packet costs on the heap from growing unseen. What is left is gVisor's.
func TestAllocations(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{})
	r := s.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s.ok(s.Bind(r, netip.AddrPortFrom(a4, 7)))
	s.ok(s.Connect(r, netip.AddrPortFrom(b4, 9)))
	frame := ethernet([6]byte(mac), 0x0800, ip(b4, a4, 17, datagram(netip.AddrPortFrom(b4, 9), netip.AddrPortFrom(a4, 7), make([]byte, 100))))
	in := []stack.Frame{stack.MakeFrame(frame, 0)}
	other := append([]byte(nil), frame...)
	other[5] ^= 0xff
	foreign := []stack.Frame{stack.MakeFrame(other, 0)}
	buf := make([]byte, 200)
	route, err := s.Route(netip.Addr{}, b4)
	s.ok(err)
	q := s.dev.Queue()
	for _, c := range []struct {
		what string
		most float64
		f    func()
	}{
		{"a frame for another host", 0, func() { s.Deliver(0, foreign) }},
		{"a datagram received", 5, func() { s.Deliver(0, in); s.Recv(r, buf, 0) }},
		{"a datagram sent", 4, func() { s.Send(r, buf[:100], 0); s.Exhale(0); q.Sent(len(q.Taken())) }},
		{"an empty turn", 0, func() { s.Advance(0); s.Exhale(0); s.Pending(); s.Next() }},
		{"resolving", 0, func() { s.Resolve(&route) }},
		{"confirming", 0, func() { s.Confirm(&route) }},
		{"Changes", 0, func() { s.Changes() }},
		{"Events", 0, func() { s.Events(r) }},
	} {
		if got := testing.AllocsPerRun(200, c.f); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.what, got, c.most)
		} else {
			t.Logf("%s: %v allocations", c.what, got)
		}
	}
}
