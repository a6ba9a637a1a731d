package steer_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/steer"
	"github.com/fstack-go/fstack/stack/tcp"
)

// A server of several workers behind one card, and a client:
//
//	worker 0 ─ queue 0 ┐
//	worker 1 ─ queue 1 ┼─ card 10.0.0.1, fd00::1 ═══ client 10.0.0.2, fd00::2
//	worker 2 ─ queue 2 ┘
var (
	server4, client4 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	server6, client6 = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
)

// mode is how frames come to the workers.
type mode struct {
	name     string
	hardware bool // the card hashes as we do, by the map's table
	tap      bool // it learns from what is sent
	poller   bool // only queue 0 receives
	gvisor   bool // gVisor's TCP
	dad      bool // IPv6 addresses are asked for before they are used
}

var modes = []mode{
	{name: "RSS", hardware: true},
	{name: "TAP", tap: true},
	{name: "one poller", poller: true},
}

type world struct {
	testing.TB
	mode
	sim     simnet.Sim
	wire    *simnet.Wire
	nic     *nic
	m       *steer.Map
	reta    []uint16
	workers []*host // by slot
	client  *host
	buckets int
}

// host is a stack with its sockets: a worker, the client or the supervisor.
type host struct {
	*app
	st    *stack.Stack
	net   *netstack.Netstack
	tcp   *tcp.TCP // nil: gVisor's
	steer *steer.Steerer
	slot  int
	close func()
}

func newWorld(t testing.TB, md mode, lcores int, cfg simnet.Config) *world {
	t.Helper()
	w := &world{TB: t, mode: md, buckets: 128}
	w.sim.Sleep(time.Hour)
	w.wire = simnet.New(cfg, w.sim.Now)
	w.sim.Wires = []*simnet.Wire{w.wire}
	size, err := steer.Size(lcores, w.buckets)
	w.ok(err)
	w.m, err = steer.Make(make([]byte, max(size, 1<<16)), lcores, w.buckets)
	w.ok(err)
	queues := lcores
	if md.poller {
		queues = 1
	}
	w.nic = newNIC(w.wire.End(0), queues, w.m.Slots())
	switch {
	case md.hardware:
		w.nic.pick = rss(steer.MicrosoftKey, &w.reta)
	case md.tap:
		w.nic.pick = w.nic.tap(uint64(lcores))
	default:
		w.nic.pick = func([]byte) int { return 0 }
	}
	w.workers = make([]*host, w.m.Slots())
	w.sim.Settle = func() {
		for _, h := range append(slices.Clone(w.workers), w.client) {
			if h != nil && h.net != nil {
				h.net.Settle()
			}
		}
	}
	w.client = w.host("client", w.wire.End(1), netstack.Config{}, tcp.Config{}, client4, client6)
	for s := range lcores {
		w.start(s, true)
	}
	all := make([]int, lcores)
	for s := range all {
		all[s] = s
	}
	w.join(all...)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// host makes a stack over a device.
func (w *world) host(name string, dev stack.Device, nc netstack.Config, tc tcp.Config, ip4, ip6 netip.Addr) *host {
	w.Helper()
	h := &host{st: stack.New(w.sim.Now)}
	port := h.st.AddPort(dev)
	nc.TCP = w.gvisor
	var err error
	h.net, err = netstack.New(h.st, nc)
	w.ok(err)
	w.ok(h.net.AddPort(port, netstack.PortConfig{Addrs: []netip.Prefix{netip.PrefixFrom(ip4, 24), netip.PrefixFrom(ip6, 64)}, DAD: w.dad && name != "client"}))
	var streams stack.Sockets = h.net
	if !w.gvisor {
		tc.Connections, tc.Memory = 1<<16, 64<<20
		h.tcp, err = tcp.New(h.st, h.net, tc)
		w.ok(err)
		h.st.AddLayer(h.tcp)
		streams = h.tcp
	}
	h.st.AddLayer(h.net)
	h.app = newApp(w, name, h.st, streams, h.net)
	w.sim.Stacks = append(w.sim.Stacks, h.st)
	h.close = sync.OnceFunc(func() {
		w.sim.Stacks = slices.DeleteFunc(w.sim.Stacks, func(s *stack.Stack) bool { return s == h.st })
		h.net.Destroy()
		if h.tcp != nil {
			h.tcp.Destroy()
		}
	})
	w.Cleanup(h.close)
	return h
}

// start runs a worker in a slot; with polls it receives from its queue by itself.
func (w *world) start(slot int, polls bool) *host {
	w.Helper()
	queue := w.m.Index(slot)
	if w.poller {
		polls, queue = polls && queue == 0, 0
	}
	dev := w.nic.open(slot, queue, polls)
	x, err := steer.NewSteerer(w.m, slot, []steer.Port{{Hander: dev, MAC: [6]byte(serverMAC), Hardware: w.hardware}})
	w.ok(err)
	h := w.host(fmt.Sprint(slot), dev, netstack.Config{Steering: x},
		tcp.Config{Ports: x.TCPPorts, Listening: x.Listening, Bound: x.Bound, Secret: [32]byte{byte(slot), 1}}, server4, server6)
	if w.gvisor {
		x.HasTCP = h.net.HasTCP
	}
	h.steer, h.slot = x, slot
	h.st.SetSteering(x)
	w.workers[slot] = h
	return h
}

func (w *world) join(slots ...int) {
	w.m.Join(slots...)
	w.setRETA()
}

func (w *world) setRETA() {
	reta, err := w.m.RETA(w.buckets)
	w.ok(err)
	w.reta = reta
}

// kill ends a worker without leave.
func (w *world) kill(slot int) {
	h := w.workers[slot]
	w.workers[slot] = nil
	w.nic.pairs[slot] = nil
	h.close()
}

// leave is what the supervisor does when a worker has ended: it minds its queue if the card goes on filling it.
func (w *world) leave(slot int, state steer.State) {
	w.Helper()
	w.m.Leave(slot, state)
	w.setRETA()
}

// mind has the supervisor poll a queue, as a stack that keeps nothing, until the function is called.
func (w *world) mind(queue int) (end func()) {
	w.Helper()
	slot := w.m.Supervisor()
	dev := w.nic.open(slot, queue, true)
	x, err := steer.NewSteerer(w.m, slot, []steer.Port{{Hander: dev, MAC: [6]byte(serverMAC), Hardware: w.hardware}})
	w.ok(err)
	st := stack.New(w.sim.Now)
	st.AddPort(dev)
	st.AddLayer(nothing{w})
	st.SetSteering(x)
	w.sim.Stacks = append(w.sim.Stacks, st)
	return func() {
		w.nic.pairs[slot] = nil
		w.sim.Stacks = slices.DeleteFunc(w.sim.Stacks, func(s *stack.Stack) bool { return s == st })
	}
}

// nothing is a layer that must not be given anything.
type nothing struct{ testing.TB }

func (n nothing) Deliver(int, []stack.Frame) bool {
	n.Error("a frame stayed at the supervisor")
	return true
}
func (nothing) Advance(int64)    {}
func (nothing) Exhale(int64) int { return 0 }
func (nothing) Next() int64      { return stack.Never }
func (nothing) Pending() bool    { return false }

// until turns the clock, and the applications with it, until done or fails the test.
func (w *world) until(limit time.Duration, what string, done func() bool) {
	w.Helper()
	if !w.sim.Run(limit, func() bool {
		for _, h := range w.workers {
			if h != nil && h.app != nil {
				h.turn()
			}
		}
		w.client.turn()
		return done()
	}) {
		w.Fatalf("%s: not within %v", what, limit)
	}
}

func (w *world) sleep(d time.Duration) { w.sim.Run(d, func() bool { w.turnApps(); return false }) }

func (w *world) turnApps() {
	for _, h := range w.workers {
		if h != nil {
			h.turn()
		}
	}
	w.client.turn()
}

// living are the workers that are there.
func (w *world) living() (all []*host) {
	for _, h := range w.workers {
		if h != nil {
			all = append(all, h)
		}
	}
	return all
}

// app is an application on a stack: a server's connections answer what they get with its name.
type app struct {
	world    *world
	name     string
	streams  stack.Sockets
	packets  stack.Sockets
	sink     stack.SinkID
	conns    []*conn // by tag
	accepted []*conn
	served   int // requests

	mu    sync.Mutex
	ready []uint32
}

// conn is a socket of an app's.
type conn struct {
	app      *app
	h        stack.Handle
	listens  bool
	accepted bool
	up       bool
	peer     netip.AddrPort
	got      string
	err      error
	ended    bool
}

func newApp(w *world, name string, st *stack.Stack, streams, packets stack.Sockets) *app {
	a := &app{world: w, name: name, streams: streams, packets: packets}
	a.sink = st.AddSink(a)
	return a
}

func (a *app) Notify(tag uint32, _ stack.Events) {
	a.mu.Lock()
	a.ready = append(a.ready, tag)
	a.mu.Unlock()
}

func (a *app) add(h stack.Handle) *conn {
	c := &conn{app: a, h: h}
	a.conns = append(a.conns, c)
	tag := uint32(len(a.conns) - 1)
	a.streams.Watch(h, a.sink, tag)
	a.Notify(tag, 0)
	return c
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// listen serves all addresses at a port.
func (a *app) listen(port uint16) *conn {
	a.world.Helper()
	h, err := a.streams.Open(unix.AF_INET6, unix.SOCK_STREAM, 0)
	a.world.ok(err)
	a.world.ok(a.streams.Bind(h, netip.AddrPortFrom(netip.IPv6Unspecified(), port)))
	a.world.ok(a.streams.Listen(h, 4096))
	c := a.add(h)
	c.listens = true
	return c
}

// connect begins a connection, from a port if it is not zero.
func (a *app) connect(to netip.AddrPort, from uint16) *conn {
	a.world.Helper()
	h, err := a.streams.Open(family(to.Addr()), unix.SOCK_STREAM, 0)
	a.world.ok(err)
	if from != 0 {
		any := netip.IPv4Unspecified()
		if to.Addr().Is6() {
			any = netip.IPv6Unspecified()
		}
		a.world.ok(a.streams.Bind(h, netip.AddrPortFrom(any, from)))
	}
	if err := a.streams.Connect(h, to); err != syscall.EINPROGRESS {
		a.world.Fatalf("%s connects to %v: %v", a.name, to, err)
	}
	return a.add(h)
}

// turn does what sockets are ready for.
func (a *app) turn() {
	a.mu.Lock()
	ready := a.ready
	a.ready = nil
	a.mu.Unlock()
	for _, tag := range ready {
		a.conns[tag].turn()
	}
}

func (c *conn) turn() {
	a := c.app
	if c.listens {
		for {
			h, peer, err := a.streams.Accept(c.h)
			if err != nil {
				return
			}
			n := a.add(h)
			n.accepted, n.up, n.peer = true, true, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
			a.accepted = append(a.accepted, n)
		}
	}
	var buf [256]byte
	for !c.ended {
		if !c.up {
			ev := a.streams.Events(c.h)
			c.up = ev&stack.EventOut != 0 && ev&stack.EventErr == 0
		}
		n, err := a.streams.Recv(c.h, buf[:], 0)
		switch {
		case err == syscall.EAGAIN || err == syscall.ENOTCONN && !c.up:
			return
		case n == 0:
			c.ended, c.err = true, err
			return
		}
		c.got += string(buf[:n])
		if c.accepted {
			a.served++
			a.streams.Send(c.h, []byte(a.name), 0)
		}
	}
}

func (c *conn) send(data string) {
	c.app.world.Helper()
	if n, err := c.app.streams.Send(c.h, []byte(data), 0); n != len(data) || err != nil {
		c.app.world.Fatalf("%s sends: %d, %v", c.app.name, n, err)
	}
}

func (c *conn) close() { c.app.world.ok(c.app.streams.Close(c.h)) }

// all waits until each of the connections is ok.
func (w *world) all(what string, conns []*conn, ok func(*conn) bool) {
	w.Helper()
	left := slices.Clone(conns)
	if !w.sim.Run(20*time.Second, func() bool {
		w.turnApps()
		left = slices.DeleteFunc(left, ok)
		return len(left) == 0
	}) {
		w.Fatalf("%s: %d of %d connections are not: got %q, up %t, error %v", what, len(left), len(conns), left[0].got, left[0].up, left[0].err)
	}
}

// exchange has the client send on each connection and waits for the servers' names, which it returns.
func (w *world) exchange(what string, conns []*conn) map[string]int {
	w.Helper()
	for _, c := range conns {
		c.got = ""
		c.send("x")
	}
	w.all(what, conns, func(c *conn) bool { return c.got != "" })
	names := map[string]int{}
	for _, c := range conns {
		names[c.got]++
	}
	return names
}

// open has the client open n connections to the servers, of both families in turns.
func (w *world) open(n int, port uint16) (conns []*conn) {
	w.Helper()
	for i := range n {
		ip := server4
		if i%2 == 1 {
			ip = server6
		}
		conns = append(conns, w.client.connect(netip.AddrPortFrom(ip, port), 0))
	}
	w.all("connect", conns, func(c *conn) bool { return c.up })
	w.sleep(time.Millisecond) // until they are accepted
	return conns
}

// datagram opens a UDP socket, bound if the port is not zero and connected if the remote is valid.
func (a *app) datagram(ip netip.Addr, port uint16, remote netip.AddrPort) stack.Handle {
	a.world.Helper()
	h, err := a.packets.Open(family(ip), unix.SOCK_DGRAM, 0)
	a.world.ok(err)
	if port != 0 {
		a.world.ok(a.packets.Bind(h, netip.AddrPortFrom(ip, port)))
	}
	if remote.IsValid() {
		a.world.ok(a.packets.Connect(h, remote))
	}
	return h
}

// reflect answers datagrams that a socket has got with the app's name and what they hold, and returns how many.
func (a *app) reflect(h stack.Handle) (n int) {
	buf := make([]byte, 65536)
	for {
		k, from, err := a.packets.RecvFrom(h, buf, 0)
		if err != nil {
			return n
		}
		n++
		if _, err := a.packets.SendTo(h, append([]byte(a.name+" "), buf[:k]...), from, 0); err != nil {
			a.world.Errorf("%s answers %v: %v", a.name, from, err)
		}
	}
}
