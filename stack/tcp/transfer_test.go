package tcp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

func TestTransferBothFamilies(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprint("ipv6=", v6), func(t *testing.T) {
			p := newPair(t, simnet.Config{Latency: time.Millisecond})
			to := ap(p.host[1].ip4, 80)
			if v6 {
				to = ap(p.host[1].ip6, 80)
			}
			l := p.host[1].listen(t, to)
			c, s := p.dial(l, to)
			p.transfer(c, s, 1<<20, time.Minute)
			p.closeAll(c, s, l)
		})
	}
}

// closeAll closes everything, waits until it is over and looks for leaks.
func (p *pair) closeAll(client, server stack.Handle, listeners ...stack.Handle) {
	p.t.Helper()
	must(p.t, p.host[0].Close(client))
	must(p.t, p.host[1].Close(server))
	for _, l := range listeners {
		must(p.t, p.host[1].Close(l))
	}
	p.sim.Sleep(3 * time.Minute)
	p.host[0].empty(p.t, 0)
	p.host[1].empty(p.t, 0)
}

func TestTransferOverBadWire(t *testing.T) {
	for seed := range uint64(6) {
		for _, c := range []struct {
			name string
			cfg  simnet.Config
		}{
			{"loss", simnet.Config{Loss: 0.03}},
			{"reorder", simnet.Config{Reorder: 0.1}},
			{"duplicate", simnet.Config{Dup: 0.1}},
			{"corrupt", simnet.Config{Corrupt: 0.03}},
			{"all", simnet.Config{Loss: 0.02, Reorder: 0.05, Dup: 0.05, Corrupt: 0.02, Jitter: 3 * time.Millisecond}},
		} {
			t.Run(fmt.Sprint(c.name, seed), func(t *testing.T) {
				c.cfg.Seed, c.cfg.Latency = seed, 5*time.Millisecond
				p := newPair(t, c.cfg)
				to := ap(p.host[1].ip4, 80)
				l := p.host[1].listen(t, to)
				a, s := p.dial(l, to)
				p.transfer(a, s, 300_000, 10*time.Minute)
				p.closeAll(a, s, l)
			})
		}
	}
}

func TestLoopback(t *testing.T) {
	p := newPair(t, simnet.Config{})
	h := p.host[0]
	for _, a := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(), h.ip4, h.ip6, h.net.local[2]} {
		to := ap(a, 7)
		l := h.listen(t, to)
		c := h.open(t, domainOf(a))
		h.Connect(c, to)
		var s stack.Handle
		if !p.sim.Run(time.Second, func() bool { var err error; s, _, err = h.Accept(l); return err == nil }) {
			t.Fatalf("%v: not accepted", a)
		}
		up := &stream{from: h, to: h, w: c, r: s, data: randomBytes(1<<20, 3), chunk: 1 << 16, fin: true}
		if !p.sim.Run(time.Second, func() bool { return up.step(t) }) {
			t.Fatalf("%v: stalled after %d", a, up.read)
		}
		must(t, h.Close(c))
		must(t, h.Close(s))
		must(t, h.Close(l))
	}
	p.sim.Sleep(2 * time.Minute)
	h.empty(t, 0)
	_ = unix.AF_INET
}
