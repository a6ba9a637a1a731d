package netstack

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// Two hosts on one wire:
//
//	a 10.0.0.1/24, fd00::1/64 ═══ b 10.0.0.2/24, fd00::2/64
var (
	a4, b4 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
)

// network is the two hosts on a clock that is turned by hand.
type network struct {
	testing.TB
	sim  simnet.Sim
	wire *simnet.Wire
	a, b *host
}

type host struct {
	*Netstack
	t  testing.TB
	st *stack.Stack
}

func newNetwork(t testing.TB, wire simnet.Config) *network {
	return newNetworkWith(t, wire, Config{TCP: true}, Config{TCP: true})
}

func newNetworkWith(t testing.TB, wire simnet.Config, a, b Config) *network {
	t.Helper()
	w := &network{TB: t}
	w.wire = simnet.New(wire, w.sim.Now)
	w.sim.Wires = []*simnet.Wire{w.wire}
	w.a = newHost(t, w.sim.Now, w.wire.End(0), a, a4, a6)
	w.b = newHost(t, w.sim.Now, w.wire.End(1), b, b4, b6)
	w.sim.Stacks = []*stack.Stack{w.a.st, w.b.st}
	w.sim.Settle = func() { w.a.Settle(); w.b.Settle() }
	return w
}

func newHost(t testing.TB, now func() int64, end *simnet.End, cfg Config, ip4, ip6 netip.Addr) *host {
	t.Helper()
	st := stack.New(now)
	port := st.AddPort(end)
	n, err := New(st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	st.AddLayer(n)
	t.Cleanup(n.Destroy)
	if err := n.AddPort(port, PortConfig{Addrs: []netip.Prefix{netip.PrefixFrom(ip4, 24), netip.PrefixFrom(ip6, 64)}}); err != nil {
		t.Fatal(err)
	}
	return &host{n, t, st}
}

// until turns the clock until done or fails the test.
func (w *network) until(limit time.Duration, what string, done func() bool) {
	w.Helper()
	if !w.sim.Run(limit, done) {
		w.Fatalf("%s: not within %v", what, limit)
	}
}

func (h *host) open(domain, typ, proto int) stack.Handle {
	h.t.Helper()
	s, err := h.Open(domain, typ, proto)
	h.ok(err)
	return s
}

func (h *host) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) listen(a netip.AddrPort) stack.Handle {
	h.t.Helper()
	s := h.open(family(a.Addr()), unix.SOCK_STREAM, 0)
	h.ok(h.Bind(s, a))
	h.ok(h.Listen(s, 128)) // gVisor resets some of the connections that do not fit
	return s
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// connect establishes a connection from a to a listener of b's and returns both ends.
func (w *network) connect(to netip.AddrPort) (ca, cb stack.Handle) {
	w.Helper()
	l := w.b.listen(to)
	ca = w.a.open(family(to.Addr()), unix.SOCK_STREAM, 0)
	if err := w.a.Connect(ca, to); err != syscall.EINPROGRESS {
		w.Fatalf("connect: %v, want EINPROGRESS", err)
	}
	w.until(10*time.Second, "connect and accept", func() bool {
		var err error
		if w.a.Events(ca)&stack.EventOut == 0 {
			return false
		}
		cb, _, err = w.b.Accept(l)
		if err != nil && err != syscall.EAGAIN {
			w.Fatal(err)
		}
		return err == nil
	})
	w.b.ok(w.b.Close(l))
	return ca, cb
}
