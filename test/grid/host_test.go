package grid

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp"
)

// network is a network layer for one port whose neighbours are known: 10.0.0.n is at 02:00:00:00:00:0n.
type network struct{ local netip.Addr }

func (n *network) IsLocal(a netip.Addr) bool { return a == n.local || a.IsLoopback() }

func (n *network) Route(local, remote netip.Addr) (stack.Route, error) {
	if local.IsValid() && !n.IsLocal(local) {
		return stack.Route{}, syscall.EADDRNOTAVAIL
	}
	return stack.Route{Local: n.local, NextHop: remote, MTU: 1500, Loopback: n.IsLocal(remote)}, nil
}

func (n *network) Resolve(r *stack.Route) ([6]byte, stack.Resolution) {
	return [6]byte{2, 0, 0, 0, 0, r.NextHop.As4()[3]}, stack.Resolved
}

func (n *network) Confirm(*stack.Route)                                  {}
func (n *network) Changes() uint64                                       { return 1 }
func (n *network) SetSegments(func(int, netip.Addr, netip.Addr, []byte)) {}

// pair is two hosts with a wire between them.
type pair struct {
	t    testing.TB
	sim  *simnet.Sim
	wire *simnet.Wire
	host [2]*tcp.TCP
}

func newPair(t testing.TB, wire simnet.Config) *pair {
	t.Helper()
	p := &pair{t: t, sim: new(simnet.Sim)}
	p.sim.Sleep(time.Hour) // no time is zero
	p.wire = simnet.New(wire, p.sim.Now)
	for i := range p.host {
		st := stack.New(p.sim.Now)
		st.AddPort(p.wire.End(i))
		var err error
		p.host[i], err = tcp.New(st, &network{addr(i)}, tcp.Config{Connections: 64, Memory: 64 << 20, Records: 1 << 14, Secret: [32]byte{byte(i + 1)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.host[i].Destroy() })
		st.AddLayer(p.host[i])
		p.sim.Stacks = append(p.sim.Stacks, st)
	}
	p.sim.Wires = []*simnet.Wire{p.wire}
	return p
}

func addr(host int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(host + 1)}) }

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// flow is a connection from host 0 to host 1 that sends as fast as it may, and the bytes that have arrived.
type flow struct {
	*pair
	w, r stack.Handle
	sent uint64
	got  uint64
}

// dial makes a connection. window is the receiver's buffer in bytes, 0: it tunes itself.
func (p *pair) dial(algorithm string, port uint16, window int) *flow {
	p.t.Helper()
	f := &flow{pair: p}
	to := netip.AddrPortFrom(addr(1), port)
	l, err := p.host[1].Open(unix.AF_INET, unix.SOCK_STREAM, 0)
	p.must(err)
	if window != 0 {
		p.must(p.host[1].SetOption(l, unix.SOL_SOCKET, unix.SO_RCVBUF, number(window)))
	}
	p.must(p.host[1].Bind(l, to))
	p.must(p.host[1].Listen(l, 1))
	f.w, err = p.host[0].Open(unix.AF_INET, unix.SOCK_STREAM, 0)
	p.must(err)
	p.must(p.host[0].SetOption(f.w, unix.SOL_SOCKET, unix.SO_SNDBUF, number(4<<20)))
	p.must(p.host[0].SetOption(f.w, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte(algorithm)))
	if err := p.host[0].Connect(f.w, to); err != syscall.EINPROGRESS {
		p.must(err)
	}
	if !p.sim.Run(5*time.Minute, func() bool { f.r, _, err = p.host[1].Accept(l); return err != syscall.EAGAIN }) {
		p.t.Fatal("no connection")
	}
	p.must(err)
	p.must(p.host[1].Close(l))
	return f
}

func number(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} }

// step writes and reads as much as goes. Each byte tells its place in the stream.
func (f *flow) step() {
	f.t.Helper()
	for {
		n, err := f.host[0].Send(f.w, stream(f.sent, chunk), 0)
		if err == syscall.EAGAIN {
			break
		}
		f.must(err)
		f.sent += uint64(n)
	}
	var b [chunk]byte
	for {
		n, err := f.host[1].Recv(f.r, b[:], 0)
		if err == syscall.EAGAIN {
			return
		}
		f.must(err)
		if !bytes.Equal(b[:n], stream(f.got, n)) {
			f.t.Fatalf("the stream is wrong between bytes %d and %d", f.got, f.got+uint64(n))
		}
		f.got += uint64(n)
	}
}

const (
	chunk  = 64 << 10
	period = 65521 // of the stream, a prime: no segment size divides it
)

var pattern = func() []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, period+chunk)
	r.Read(b[:period])
	copy(b[period:], b)
	return b
}()

// stream is n bytes of the stream from byte at on.
func stream(at uint64, n int) []byte { return pattern[at%period:][:n] }

// run lets flows send for a time and returns how many bytes of each arrived in it.
func (p *pair) run(d time.Duration, flows ...*flow) []uint64 {
	before := make([]uint64, len(flows))
	for i, f := range flows {
		before[i] = f.got
	}
	p.sim.Run(d, func() bool {
		for _, f := range flows {
			f.step()
		}
		return false
	})
	for i, f := range flows {
		before[i] = f.got - before[i]
	}
	return before
}

// close resets the flow.
func (f *flow) close() {
	f.must(f.host[0].SetOption(f.w, unix.SOL_SOCKET, unix.SO_LINGER, append(number(1), number(0)...)))
	f.must(f.host[0].Close(f.w))
	f.must(f.host[1].Close(f.r))
}
