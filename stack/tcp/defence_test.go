package tcp

import (
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/wire"
)

func TestSYNFloodLeavesEstablishedServedRFC4987(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, synOptions)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 20_000 {
		src := netip.AddrFrom4([4]byte{10, 9, byte(r.Uint32()), byte(r.Uint32())})
		b.deliver(packet{src: ap(src, uint16(1024+r.IntN(60000))), dst: ap(b.ip4, 80), flags: wire.SYN, seq: r.Uint32(), wnd: 1000, opts: synOptions}.frame())
		if i%50 == 0 {
			b.turn()
		}
	}
	b.turn()
	b.out = nil
	n := b.Counters()
	if u := b.Usage(); u.HalfOpen > 130 || n.CookiesSent < 19_000 {
		t.Errorf("%d half open, %d cookies sent", u.HalfOpen, n.CookiesSent)
	}
	// The established connection is served.
	b.send(c.pkt(wire.ACK|wire.PSH, "hello"))
	buf := make([]byte, 10)
	if k, err := b.Recv(h, buf, 0); k != 5 || err != nil {
		t.Fatalf("recv: %d, %v", k, err)
	}
	must2(t)(b.Send(h, []byte("world"), 0))
	b.turn()
	if r := b.next(); string(r.payload) != "world" || r.ack != c.seq+5 {
		t.Errorf("answer: %v", r)
	}
	// And a newcomer gets in by its cookie, with its options.
	src := ap(b.peer, 6000)
	b.send(packet{src: src, dst: ap(b.ip4, 80), flags: wire.SYN, seq: 77, wnd: 60000, opts: synOptions})
	cookie := b.next()
	if b.Counters().CookiesSent == n.CookiesSent || cookie.flags != wire.SYN|wire.ACK {
		t.Fatalf("no cookie: %v", cookie)
	}
	d := &conn{b: b, src: src, dst: ap(b.ip4, 80), seq: 78, ack: cookie.seq + 1, stamp: true, tsVal: 5, tsEcr: cookie.opts.tsVal}
	bad := d.pkt(wire.ACK, "")
	bad.ack ^= 1 << 12
	b.send(bad)
	if r := b.next(); r.flags != wire.RST || r.seq != bad.ack {
		t.Errorf("answer to a wrong cookie: %v", r)
	}
	b.send(d.pkt(wire.ACK, "data with the ACK"))
	h2, from, err := b.Accept(l)
	if err != nil || from != src {
		t.Fatalf("accept: %v, %v", from, err)
	}
	if k, _ := b.Recv(h2, buf, 0); string(buf[:k]) != "data with " {
		t.Errorf("received %q", buf[:k])
	}
	p := b.pcbs.at(uint32(h2))
	if !p.has(flagSACK) || !p.has(flagStamp) || !p.has(flagScale) || p.sndScale != 7 || p.mss != 1460-stampRoom {
		t.Errorf("options were lost: SACK %v stamp %v scale %v %d mss %d", p.has(flagSACK), p.has(flagStamp), p.has(flagScale), p.sndScale, p.mss)
	}
	// A cookie grows old.
	b.send(packet{src: ap(b.peer, 6001), dst: ap(b.ip4, 80), flags: wire.SYN, seq: 77, wnd: 60000, opts: synOptions})
	b.out = nil
	old := cookie
	b.wait(90 * time.Second)
	b.out = nil
	b.send(packet{src: ap(b.peer, 6001), dst: ap(b.ip4, 80), flags: wire.ACK, seq: 78, ack: old.seq + 1, wnd: 60000})
	if r := b.next(); r.flags != wire.RST {
		t.Errorf("answer to an old cookie: %v", r)
	}
}

// must2 drops a count and checks the error beside it.
func must2(t testing.TB) func(int, error) {
	return func(_ int, err error) {
		t.Helper()
		must(t, err)
	}
}

func TestBlindSegmentsRFC5961(t *testing.T) {
	for _, c := range []struct {
		name  string
		pkt   func(c *conn) packet
		reset bool
		reply bool
	}{
		{"RST at the edge", func(c *conn) packet { return c.pkt(wire.RST, "") }, true, false},
		{"RST in the window", func(c *conn) packet { k := c.pkt(wire.RST, ""); k.seq += 100; return k }, false, true},
		{"RST outside", func(c *conn) packet { k := c.pkt(wire.RST, ""); k.seq += 1 << 24; return k }, false, false},
		{"RST before", func(c *conn) packet { k := c.pkt(wire.RST, ""); k.seq--; return k }, false, false},
		{"SYN in the window", func(c *conn) packet { k := c.pkt(wire.SYN, ""); k.seq += 5; return k }, false, true},
		{"SYN outside", func(c *conn) packet { k := c.pkt(wire.SYN, ""); k.seq -= 1 << 24; return k }, false, true},
		{"SYN-ACK", func(c *conn) packet { return c.pkt(wire.SYN|wire.ACK, "") }, false, true},
		{"data with an ACK of the future", func(c *conn) packet { c.tsVal += 1000; k := c.pkt(wire.ACK, "evil"); k.ack += 10; return k }, false, true},
		{"data with an ACK of the past", func(c *conn) packet { c.tsVal += 1000; k := c.pkt(wire.ACK, "evil"); k.ack -= 1 << 24; return k }, false, true},
		{"data without ACK", func(c *conn) packet { return c.pkt(0, "evil") }, false, false},
		{"data beyond the window", func(c *conn) packet { k := c.pkt(wire.ACK, "evil"); k.seq += 1 << 24; return k }, false, true},
		{"data with an old timestamp", func(c *conn) packet { c.tsVal = 0; return c.pkt(wire.ACK, "evil") }, false, true},
		{"data without timestamp", func(c *conn) packet { k := c.pkt(wire.ACK, "evil"); k.opts = nil; return k }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{})
			l := b.listen(t, ap(b.ip4, 80))
			peer, h := b.accept(l, 5000, synOptions)
			b.send(c.pkt(peer))
			_, err := b.Recv(h, make([]byte, 10), 0)
			if want := syscall.EAGAIN; c.reset {
				want = syscall.ECONNRESET
				if err != want {
					t.Errorf("recv: %v, want %v", err, want)
				}
			} else if err != want {
				t.Errorf("recv: %v, want %v", err, want)
			}
			if c.reply {
				if r := b.next(); r.flags != wire.ACK || r.seq != peer.ack || r.ack != peer.seq {
					t.Errorf("challenge: %v", r)
				}
			}
			b.silent()
			if c.reset {
				return
			}
			// The real peer goes on, with the timestamps that it had: a blind one must not have set ours (RFC 7323 §4.3).
			peer.tsVal = 3
			b.send(peer.pkt(wire.ACK, "good"))
			buf := make([]byte, 10)
			if n, err := b.Recv(h, buf, 0); err != nil || string(buf[:n]) != "good" {
				t.Errorf("the peer's own data: %q, %v", buf[:n], err)
			}
		})
	}
}

func TestChallengesAreLimitedRFC5961(t *testing.T) {
	b := newBench(t, Config{})
	must(t, b.SetSysctl("net.inet.tcp.ack_war_cnt", "3"))
	l := b.listen(t, ap(b.ip4, 80))
	c, _ := b.accept(l, 5000, nil)
	for range 10 {
		k := c.pkt(wire.RST, "")
		k.seq += 100
		b.send(k)
	}
	if len(b.out) != 3 || b.Counters().ChallengesWithheld != 7 {
		t.Errorf("%d challenges, %d withheld", len(b.out), b.Counters().ChallengesWithheld)
	}
}

func TestInitialSequenceNumbersRFC6528(t *testing.T) {
	b := newBench(t, Config{})
	k := key{rlo: mappedPrefix | 1, llo: mappedPrefix | 2, ports: makePorts(80, 1000)}
	b.turn()
	b.tick()
	first := b.isn(&k)
	b.wait(time.Second)
	b.tick()
	if d := b.isn(&k) - first; d != 250_000 {
		t.Errorf("the number grows by %d in a second, want one each 4 µs", d)
	}
	other := k
	other.ports++
	if d := b.isn(&k) - b.isn(&other); d < 1<<16 || -d < 1<<16 {
		t.Errorf("numbers of two connections lie %d apart", int32(d))
	}
	c := newBench(t, Config{Secret: [32]byte{9}})
	c.wait(time.Duration(b.now - c.now))
	c.tick()
	if c.isn(&k) == b.isn(&k) {
		t.Error("two secrets give the same number")
	}
}

func TestOnePortServesManyPeersRFC6056(t *testing.T) {
	p := newPair(t, simnet.Config{})
	h := p.host[0]
	must(t, h.SetSysctl("net.inet.ip.portrange.last", "50001"))
	must(t, h.SetSysctl("net.inet.ip.portrange.first", "50000"))
	connect := func(port uint16) (stack.Handle, error) {
		s := h.open(t, unix.AF_INET)
		return s, h.Connect(s, ap(p.host[1].ip4, port))
	}
	used := map[netip.AddrPort]int{}
	for port := range uint16(3) {
		for range 2 {
			s, err := connect(8000 + port)
			if err != syscall.EINPROGRESS {
				t.Fatalf("connect: %v", err)
			}
			a, _ := h.LocalAddr(s)
			used[a]++
		}
		if _, err := connect(8000 + port); err != syscall.EADDRNOTAVAIL {
			t.Errorf("third connect to port %d: %v, want EADDRNOTAVAIL", 8000+port, err)
		}
	}
	if len(used) != 2 || used[ap(h.ip4, 50000)] != 3 || used[ap(h.ip4, 50001)] != 3 {
		t.Errorf("ports in use: %v", used)
	}
	if n := h.Counters().PortsExhausted; n != 3 {
		t.Errorf("counted %d connects without port", n)
	}
	s := h.open(t, unix.AF_INET)
	if err := h.Bind(s, ap(netip.IPv4Unspecified(), 0)); err != syscall.EADDRINUSE {
		t.Errorf("bind to any port: %v, want EADDRINUSE: connections have them", err)
	}
}

func TestTimeWaitLimit(t *testing.T) {
	p := newPair(t, simnet.Config{})
	must(t, p.host[0].SetSysctl("net.inet.tcp.maxtcptw", "2"))
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	for range 5 {
		c, s := p.dial(l, to)
		must(t, p.host[0].Close(c))
		p.sim.Sleep(time.Millisecond)
		must(t, p.host[1].Close(s))
		p.sim.Sleep(time.Millisecond)
	}
	if u, n := p.host[0].Usage(), p.host[0].Counters(); u.TimeWaits != 2 || n.TimeWaitOverflow != 3 {
		t.Errorf("%d in TIME-WAIT, %d ended without", u.TimeWaits, n.TimeWaitOverflow)
	}
	if u := p.host[1].Usage(); u.PCBs != 1 {
		t.Errorf("the peer has %d PCBs, want the listener: a last ACK is missing", u.PCBs)
	}
	p.sim.Sleep(61 * time.Second)
	p.host[0].empty(t, 0)
}

func TestOrphanLimit(t *testing.T) {
	p := newPair(t, simnet.Config{})
	must(t, p.host[0].SetSysctl("net.inet.tcp.maxorphans", "1"))
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	a, as := p.dial(l, to)
	b, bs := p.dial(l, to)
	must(t, p.host[0].Close(a))
	must(t, p.host[0].Close(b))
	p.sim.Sleep(time.Second)
	if n := p.host[0].Counters().ResetTooManyOrphans; n != 1 {
		t.Errorf("%d reset, want 1", n)
	}
	if n, err := p.host[1].Recv(as, make([]byte, 1), 0); n != 0 || err != nil {
		t.Errorf("the first sees %d, %v, want the end of the stream", n, err)
	}
	if _, err := p.host[1].Recv(bs, make([]byte, 1), 0); err != syscall.ECONNRESET {
		t.Errorf("the second sees %v, want ECONNRESET", err)
	}
	p.sim.Sleep(61 * time.Second) // FIN-WAIT-2 does not last
	if u := p.host[0].Usage(); u.PCBs != 0 || u.Orphans != 0 {
		t.Errorf("in use: %+v", u)
	}
}

func TestHalfOpenLimitWithoutCookies(t *testing.T) {
	b := newBench(t, Config{})
	must(t, b.SetSysctl("net.inet.tcp.syncookies", "0"))
	s := b.open(t, unix.AF_INET)
	must(t, b.Bind(s, ap(b.ip4, 80)))
	must(t, b.Listen(s, 3))
	for i := range uint16(10) {
		b.send(packet{src: ap(b.peer, 1000+i), dst: ap(b.ip4, 80), flags: wire.SYN, wnd: 100})
	}
	if u, n := b.Usage(), b.Counters(); u.HalfOpen != 4 || n.DropTooManyHalfOpen != 6 || len(b.out) != 4 {
		t.Errorf("%d half open, %d dropped, %d answered", u.HalfOpen, n.DropTooManyHalfOpen, len(b.out))
	}
	b.wait(2 * time.Minute) // the peers never answer
	if u := b.Usage(); u.HalfOpen != 0 || u.PCBs != 1 {
		t.Errorf("in use: %+v", u)
	}
	must(t, b.Close(s))
	b.empty(t, 0)
}

func TestSocketsAndMemoryRunOut(t *testing.T) {
	p := &pair{t: t, sim: new(simnet.Sim)}
	p.sim.Sleep(time.Hour)
	p.wire = simnet.New(simnet.Config{Latency: time.Millisecond}, p.sim.Now)
	for i := range p.host {
		p.host[i] = newHost(t, p.sim.Now, p.wire.End(i), byte(i+1), Config{Connections: 40, Memory: 256 << 10})
		p.sim.Stacks = append(p.sim.Stacks, p.host[i].st)
	}
	p.sim.Wires = []*simnet.Wire{p.wire}
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	var open []stack.Handle
	for {
		s, err := p.host[0].Open(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			if err != syscall.ENOBUFS {
				t.Errorf("open: %v, want ENOBUFS", err)
			}
			break
		}
		open = append(open, s)
	}
	if len(open) != 40 {
		t.Errorf("%d sockets were opened, want 40", len(open))
	}
	for _, s := range open {
		must(t, p.host[0].Close(s))
	}
	// Ten connections whose readers are slow, on a sender and a receiver with 128 chunks each.
	var flows []*stream
	for i := range 10 {
		c, s := p.dial(l, to)
		flows = append(flows, &stream{from: p.host[0], to: p.host[1], w: c, r: s, data: randomBytes(100_000, uint64(i)), chunk: 30_000, fin: true})
	}
	turn := 0
	if !p.sim.Run(10*time.Minute, func() bool {
		done := true
		turn++
		for i, f := range flows {
			if turn > 200 || i == 0 { // at first only one reads
				done = f.step(t) && done
			} else {
				done = false
				for f.sent < len(f.data) {
					n, err := f.from.Send(f.w, f.data[f.sent:], 0)
					if err != nil {
						break
					}
					f.sent += n
				}
			}
		}
		return done
	}) {
		t.Fatalf("stalled: %+v\n%+v", p.host[0].Usage(), p.host[1].Usage())
	}
	if p.host[0].Counters().SendNoMemory == 0 {
		t.Error("memory did not run out")
	}
	for _, f := range flows {
		must(t, p.host[0].Close(f.w))
		must(t, p.host[1].Close(f.r))
	}
	must(t, p.host[1].Close(l))
	p.sim.Sleep(3 * time.Minute)
	p.host[0].empty(t, 0)
	p.host[1].empty(t, 0)
}
