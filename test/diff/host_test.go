package diff

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fstack-go/fstack/posix"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp"
)

// host is one side of the wire: a stack with one of the TCPs, and descriptors over it.
type host struct {
	index int
	kind  string // of TCP: "tcp", "gvisor"
	st    *stack.Stack
	net   *netstack.Netstack
	own   *tcp.TCP // nil: gVisor's
	table calls
	addrs [2]netip.Addr // IPv4, IPv6
}

// calls are what an end does, of a stack's descriptors or of Linux's.
type calls interface {
	Socket(domain, typ, proto int) (int, error)
	Bind(fd int, sa posix.Sockaddr) error
	Listen(fd, n int) error
	Accept4(fd, flags int) (int, posix.Sockaddr, error)
	Connect(fd int, sa posix.Sockaddr) error
	Shutdown(fd, how int) error
	Close(fd int) error
	Getsockname(fd int) (posix.Sockaddr, error)
	Read(fd int, p []byte) (int, error)
	Write(fd int, p []byte) (int, error)
	SetsockoptInt(fd, level, opt, value int) error
	SetsockoptLinger(fd, level, opt int, l *posix.Linger) error
	GetsockoptInt(fd, level, opt int) (int, error)
	EpollCreate1(flag int) (int, error)
	EpollCtl(epfd, op, fd int, event *posix.EpollEvent) error
	EpollWait(epfd int, events []posix.EpollEvent, msec int) (int, error)
	Poll(fds []posix.PollFd, timeout int) (int, error)
}

// pair is two hosts and the wire between them.
type pair struct {
	t     testing.TB
	now   func() int64
	run   func(limit time.Duration, done func() bool) bool // turns all until done, or returns false
	wire  *simnet.Wire
	hosts [2]*host
	apps  [2]*app
	seen  observer

	patience time.Duration // how long an end waits for a peer that may have gone without a word
	slack    time.Duration // how late the machine may be
}

var (
	addrs = [2][2]netip.Addr{
		{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
		{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
	}
	macs = [2][6]byte{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}
)

// limits of our TCP, small enough for a test to reach.
var limits = tcp.Config{Connections: 1 << 12, Memory: 64 << 20, Secret: [32]byte{1}}

// newPair is two stacks on a simulated clock.
func newPair(t testing.TB, kinds [2]string, wire simnet.Config, limits tcp.Config) *pair {
	t.Helper()
	sim := new(simnet.Sim)
	sim.Sleep(time.Hour) // no time is zero
	p := &pair{t: t, now: sim.Now, run: sim.Run, patience: 2 * time.Minute}
	p.makeWire(wire)
	for i := range p.hosts {
		p.hosts[i] = p.newHost(i, kinds[i], limits)
		sim.Stacks = append(sim.Stacks, p.hosts[i].st)
	}
	sim.Wires = []*simnet.Wire{p.wire}
	sim.Settle = func() {
		for _, h := range p.hosts {
			if h.own == nil {
				h.net.Settle()
			}
		}
	}
	return p
}

func (p *pair) makeWire(cfg simnet.Config) {
	p.seen.now = p.now
	cfg.Drop, p.seen.fail = p.seen.frame, p.t.Errorf
	p.wire = simnet.New(cfg, p.now)
}

func (p *pair) newHost(i int, kind string, limits tcp.Config) *host {
	h := &host{index: i, kind: kind, st: stack.New(p.now), addrs: addrs[i]}
	h.st.AddPort(p.wire.End(i))
	var err error
	if h.net, err = netstack.New(h.st, netstack.Config{TCP: kind == "gvisor"}); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(h.net.Destroy)
	if kind == "tcp" {
		if h.own, err = tcp.New(h.st, h.net, limits); err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { h.own.Destroy() })
		h.st.AddLayer(h.own)
	}
	h.st.AddLayer(h.net)
	if err := h.net.AddPort(0, netstack.PortConfig{Addrs: []netip.Prefix{
		netip.PrefixFrom(h.addrs[0], 24), netip.PrefixFrom(h.addrs[1], 64),
	}}); err != nil {
		p.t.Fatal(err)
	}
	for _, a := range addrs[1-i] { // a corrupted answer to ARP would be believed: Ethernet's own check is missing here
		if err := h.net.AddNeighbour(0, a, macs[1-i]); err != nil {
			p.t.Fatal(err)
		}
	}
	if h.own != nil {
		h.table = posix.New(h.st, h.own)
	} else {
		h.table = posix.New(h.st, h.net)
	}
	return h
}

// leftovers tells what our TCP has in use when it should have nothing.
func (h *host) leftovers() (tcp.Usage, bool) {
	if h.own == nil {
		return tcp.Usage{}, false
	}
	u := h.own.Usage()
	return u, u != tcp.Usage{}
}
