package tcp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// staticNet is a network layer of one port in one net, whose neighbours are known: 10.0.0.x and fd00::x have the link
// address 02:00:00:00:00:0x.
type staticNet struct {
	local   []netip.Addr
	mtu     int
	changes uint64
	pending bool // neighbours do not answer
	dead    bool // neighbours are unreachable
	gone    bool // there is no route
	asked   int
	hook    func(port int, src, dst netip.Addr, segment []byte)
}

func (n *staticNet) IsLocal(a netip.Addr) bool {
	for _, l := range n.local {
		if l == a {
			return true
		}
	}
	return a.IsLoopback()
}

func (n *staticNet) Route(local, remote netip.Addr) (stack.Route, error) {
	if n.gone {
		return stack.Route{}, syscall.ENETUNREACH
	}
	r := stack.Route{NextHop: remote, MTU: n.mtu, Local: local, Loopback: n.IsLocal(remote)}
	if local.IsValid() && !n.IsLocal(local) {
		return r, syscall.EADDRNOTAVAIL
	}
	if !local.IsValid() {
		if r.Loopback {
			r.Local = remote
			return r, nil
		}
		for _, l := range n.local {
			if l.Is4() == remote.Is4() && l.IsLinkLocalUnicast() == remote.IsLinkLocalUnicast() {
				r.Local = l
				break
			}
		}
	}
	return r, nil
}

func (n *staticNet) Resolve(r *stack.Route) (mac [6]byte, state stack.Resolution) {
	n.asked++
	b := r.NextHop.As16()
	switch {
	case n.dead:
		return mac, stack.Unresolved
	case n.pending:
		return mac, stack.Resolving
	}
	return [6]byte{2, 0, 0, 0, 0, b[15]}, stack.Resolved
}

func (n *staticNet) Confirm(*stack.Route) {}
func (n *staticNet) Changes() uint64      { return n.changes }
func (n *staticNet) SetSegments(f func(int, netip.Addr, netip.Addr, []byte)) {
	n.hook = f
}

// pair is two stacks with a wire between them.
type pair struct {
	t    testing.TB
	sim  *simnet.Sim
	wire *simnet.Wire
	host [2]*host
}

// host is one end: addresses 10.0.0.1 and fd00::1, or …2.
type host struct {
	*TCP
	st  *stack.Stack
	net *staticNet
	ip4 netip.Addr
	ip6 netip.Addr
}

func newPair(t testing.TB, cfg simnet.Config) *pair {
	t.Helper()
	p := &pair{t: t, sim: new(simnet.Sim)}
	p.sim.Sleep(time.Hour) // no time is zero
	p.wire = simnet.New(cfg, p.sim.Now)
	for i := range p.host {
		p.host[i] = newHost(t, p.sim.Now, p.wire.End(i), byte(i+1), Config{Connections: 1 << 16, Memory: 64 << 20, Secret: [32]byte{byte(i), 7}})
		p.sim.Stacks = append(p.sim.Stacks, p.host[i].st)
	}
	p.sim.Wires = []*simnet.Wire{p.wire}
	return p
}

func newHost(t testing.TB, now func() int64, dev stack.Device, n byte, cfg Config) *host {
	t.Helper()
	h := &host{st: stack.New(now), ip4: netip.AddrFrom4([4]byte{10, 0, 0, n}), ip6: netip.AddrFrom16([16]byte{0xfd, 15: n})}
	ll := netip.AddrFrom16([16]byte{0xfe, 0x80, 15: n}).WithZone(dev.Info().Name)
	h.net = &staticNet{local: []netip.Addr{h.ip4, h.ip6, ll}, mtu: dev.Info().MTU}
	h.st.AddPort(dev)
	var err error
	if h.TCP, err = New(h.st, h.net, cfg); err != nil {
		t.Fatal(err)
	}
	h.st.AddLayer(h.TCP)
	t.Cleanup(func() { h.TCP.Destroy() })
	return h
}

// empty fails the test unless everything was given back but n PCBs.
func (h *host) empty(t testing.TB, sockets int) {
	t.Helper()
	u := h.Usage()
	if u.PCBs != sockets || u.Chunks != 0 || u.OutOfOrder != 0 || u.Ranges != 0 || u.Records != 0 || u.Flights != 0 ||
		u.Extras != 0 || u.HalfOpen != 0 || u.TimeWaits != 0 || u.Orphans != 0 || u.Entries > sockets || u.Timers > sockets {
		t.Errorf("in use at the end: %+v, want %d PCBs and nothing else", u, sockets)
	}
	if sockets == 0 && (u.Bindings != 0 || u.Options != 0 || u.Listeners != 0) {
		t.Errorf("in use at the end: %+v, want nothing", u)
	}
}

func ap(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func domainOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func (h *host) open(t testing.TB, domain int) stack.Handle {
	t.Helper()
	s, err := h.Open(domain, unix.SOCK_STREAM, 0)
	must(t, err)
	return s
}

// listen makes a listening socket.
func (h *host) listen(t testing.TB, a netip.AddrPort) stack.Handle {
	t.Helper()
	s := h.open(t, domainOf(a.Addr()))
	must(t, h.Bind(s, a))
	must(t, h.Listen(s, 128))
	return s
}

// dial connects from host 0 to a listener on host 1 and returns both ends.
func (p *pair) dial(l stack.Handle, to netip.AddrPort) (client, server stack.Handle) {
	p.t.Helper()
	client = p.host[0].open(p.t, domainOf(to.Addr()))
	return client, p.dialWith(client, l, to)
}

func (p *pair) dialWith(client, l stack.Handle, to netip.AddrPort) (server stack.Handle) {
	p.t.Helper()
	if err := p.host[0].Connect(client, to); err != syscall.EINPROGRESS {
		p.t.Fatalf("connect: %v, want EINPROGRESS", err)
	}
	if !p.sim.Run(2*time.Minute, func() bool {
		s, _, err := p.host[1].Accept(l)
		if err == nil {
			server = s
		}
		return err == nil
	}) {
		p.t.Fatalf("not accepted: client %v, counters %+v", p.host[0].pcbs.at(uint32(client)).state, p.host[1].Counters())
	}
	if !p.sim.Run(time.Minute, func() bool { return p.host[0].Events(client)&stack.EventOut != 0 }) {
		p.t.Fatal("connect does not finish")
	}
	return server
}

// stream writes data into one socket and reads from another until all came, checking every byte.
type stream struct {
	from, to   *host
	w, r       stack.Handle
	data       []byte
	sent, read int
	chunk      int // most bytes for one read or write
	fin        bool
	eof        bool
	buf        []byte
}

// step does what can be done now and returns whether the end of the stream was read.
func (s *stream) step(t testing.TB) bool {
	for s.sent < len(s.data) {
		n, err := s.from.Send(s.w, s.data[s.sent:min(len(s.data), s.sent+s.chunk)], 0)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil {
			t.Fatalf("send after %d bytes: %v", s.sent, err)
		}
		s.sent += n
	}
	if s.sent == len(s.data) && s.fin {
		s.fin = false
		must(t, s.from.Shutdown(s.w, unix.SHUT_WR))
	}
	if s.buf == nil {
		s.buf = make([]byte, s.chunk)
	}
	for !s.eof {
		n, err := s.to.Recv(s.r, s.buf, 0)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil {
			t.Fatalf("recv after %d bytes: %v", s.read, err)
		}
		if n == 0 {
			s.eof = true
			break
		}
		if s.read+n > len(s.data) || !bytes.Equal(s.buf[:n], s.data[s.read:s.read+n]) {
			t.Fatalf("wrong bytes at %d", s.read)
		}
		s.read += n
	}
	return s.eof
}

func randomBytes(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// transfer sends so many bytes each way and closes, and returns the simulated time that it took.
func (p *pair) transfer(client, server stack.Handle, n int, limit time.Duration) time.Duration {
	p.t.Helper()
	up := &stream{from: p.host[0], to: p.host[1], w: client, r: server, data: randomBytes(n, 1), chunk: 20_000, fin: true}
	down := &stream{from: p.host[1], to: p.host[0], w: server, r: client, data: randomBytes(n/2, 2), chunk: 7_001, fin: true}
	start := p.sim.Now()
	if !p.sim.Run(limit, func() bool { a, b := up.step(p.t), down.step(p.t); return a && b }) {
		p.t.Fatalf("stalled: up %d/%d/%d down %d/%d/%d\nclient %+v\nserver %+v", up.sent, up.read, len(up.data), down.sent, down.read, len(down.data),
			p.host[0].Counters(), p.host[1].Counters())
	}
	return time.Duration(p.sim.Now() - start)
}

func TestMain(m *testing.M) { os.Exit(m.Run()) }
