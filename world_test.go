package fstack

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is two hosts whose loops run in real time:
//
//	a 10.0.0.1/24, fd00::1/64 ═══ b 10.0.0.2/24, fd00::2/64
type world struct{ a, b *Stack }

var hostAddrs = [2][2]netip.Addr{
	{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
	{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
}

const (
	b4, b6 = "10.0.0.2", "[fd00::2]"
	silent = "10.0.0.77" // an address that never answers
)

// worlds runs a test on the fake tables, and over a simulated wire with gVisor's TCP and with our own.
func worlds(t *testing.T, f func(t *testing.T, w world)) {
	t.Run("fake", func(t *testing.T) { f(t, fakeWorld(t)) })
	wired(t, func(t *testing.T, own bool) { f(t, simWorld(t, own, simnet.Config{}, stack.IdleAdaptive)) })
}

// wired runs a test with gVisor's TCP and with our own.
func wired(t *testing.T, f func(t *testing.T, own bool)) {
	t.Run("netstack", func(t *testing.T) { f(t, false) })
	t.Run("tcp", func(t *testing.T) { f(t, true) })
}

func fakeWorld(t testing.TB) world {
	now := clock()
	n := new(fakeNet)
	var s [2]*Stack
	for i, addrs := range hostAddrs {
		st := stack.New(now)
		h := n.host(st, addrs[:]...)
		s[i] = NewStack(st, h, h)
		turn(t, st, stack.IdleAdaptive)
		t.Cleanup(s[i].Close)
	}
	return world{s[0], s[1]}
}

// newHostWithout6 is a host that knows IPv4 only.
func newHostWithout6(t testing.TB, now func() int64) *Stack {
	st := stack.New(now)
	h := new(fakeNet).host(st, hostAddrs[0][0])
	turn(t, st, stack.IdleAdaptive)
	return NewStack(st, h, h)
}

// simWorld has two stacks on a wire. All but TCP, and that too unless it is our own, is gVisor's.
func simWorld(t testing.TB, own bool, wire simnet.Config, idle stack.Idle) world {
	now := clock()
	w := simnet.New(wire, now)
	var s [2]*Stack
	for i, addrs := range hostAddrs {
		st := stack.New(now)
		t.Cleanup(func() { w.End(i).Close() })
		port := st.AddPort(w.End(i))
		n, err := netstack.New(st, netstack.Config{TCP: !own})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Destroy)
		sockets := stack.Sockets(n)
		if own {
			transport, err := tcp.New(st, n, tcp.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := transport.Destroy(); err != nil {
					t.Error(err)
				}
			})
			st.AddLayer(transport)
			sockets = transport
		}
		st.AddLayer(n)
		prefixes := []netip.Prefix{netip.PrefixFrom(addrs[0], 24), netip.PrefixFrom(addrs[1], 64)}
		if err := n.AddPort(port, netstack.PortConfig{Addrs: prefixes}); err != nil {
			t.Fatal(err)
		}
		s[i] = NewStack(st, sockets, n)
		turn(t, st, idle)
		t.Cleanup(s[i].Close)
	}
	return world{s[0], s[1]}
}

func clock() func() int64 {
	base := time.Now()
	return func() int64 { return int64(time.Since(base)) }
}

// turn runs a stack's loop until the test ends.
func turn(t testing.TB, st *stack.Stack, idle stack.Idle) {
	stop, stopped := make(chan struct{}), make(chan error)
	go func() { stopped <- st.Loop(idle, stop) }()
	t.Cleanup(func() {
		close(stop)
		st.Kick()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// listen announces on b, on a port that it chooses.
func (w world) listen(t testing.TB, network, host string) *TCPListener {
	t.Helper()
	l, err := w.b.Listen(network, host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*TCPListener)
}

// pipe is an established connection from a to b.
func (w world) pipe(t testing.TB) (a, b *TCPConn) {
	t.Helper()
	l := w.listen(t, "tcp", b4)
	c, err := w.a.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l.Close()
	return c.(*TCPConn), s.(*TCPConn)
}

// asDefault makes s the stack of the package's functions for this test.
func asDefault(t testing.TB, s *Stack) {
	setDefault(s)
	t.Cleanup(func() { setDefault(nil) })
}

// port is the port of an address, as a string with its colon.
func port(a net.Addr) string { return a.String()[strings.LastIndex(a.String(), ":"):] }

func within(t testing.TB, limit time.Duration, what string) (done func()) {
	timer := time.AfterFunc(limit, func() {
		os.Stderr.WriteString(t.Name() + ": " + what + ": not within " + limit.String() + "\n")
		panic("test hangs")
	})
	return func() { timer.Stop() }
}
