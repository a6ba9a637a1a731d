package tcp

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// elsewhere is a steering that has all strays be another's, if it is asked to.
type elsewhere struct {
	takes     bool
	frames    int
	datagrams [][]byte
}

func (e *elsewhere) Steer(int, []stack.Frame) bool { return false }

func (e *elsewhere) Stray(port int, frame []stack.Frame) bool {
	e.frames++
	return e.takes
}

func (e *elsewhere) StrayDatagram(port int, proto uint8, src, dst netip.Addr, b []byte) bool {
	if proto == wire.ProtoTCP && src == benchPeer && dst == benchHost {
		e.datagrams = append(e.datagrams, append([]byte(nil), b...))
	}
	return e.takes
}

// TestStraysAreAskedAbout: before a SYN opens a connection and before anything is answered, but not about what belongs
// to a connection of ours.
func TestStraysAreAskedAbout(t *testing.T) {
	b := newBench(t, Config{})
	e := new(elsewhere)
	b.st.SetSteering(e)
	l := b.listen(t, ap(b.ip4, 80))
	c, _ := b.accept(l, 1000, nil)
	if e.frames != 1 { // the SYN
		t.Errorf("asked %d times", e.frames)
	}
	e.takes = true
	b.send(c.pkt(wire.ACK|wire.PSH, "hello"))
	if b.wait(time.Second); e.frames != 1 || len(b.out) != 1 {
		t.Errorf("asked %d times about a connection, sent %v", e.frames, b.out)
	}
	b.out = nil
	strays := []packet{
		{flags: wire.SYN}, {flags: wire.ACK}, {flags: wire.SYN | wire.ACK}, {flags: wire.RST}, {flags: wire.FIN | wire.ACK, payload: []byte("x")}, {flags: wire.RST | wire.ACK}, {},
	}
	for i, k := range strays {
		for _, port := range []uint16{80, 81} {
			k.src, k.dst, k.seq, k.ack = ap(b.peer, 2000), ap(b.ip4, port), 5, 6
			before := e.frames
			b.send(k)
			if b.silent(); e.frames != before+1 {
				t.Errorf("segment %d to port %d: asked %d times", i, port, e.frames-before)
			}
			tcp := k.frame()[wire.EthernetLen+wire.IPv4Len:]
			b.st.Lock()
			b.net.hook(0, b.peer, b.ip4, tcp)
			b.st.Unlock()
			b.turn()
			if b.silent(); len(e.datagrams) != 1 || string(e.datagrams[0]) != string(tcp) || e.frames != before+1 {
				t.Errorf("segment %d to port %d, unwrapped: asked about %x", i, port, e.datagrams)
			}
			e.datagrams = nil
		}
	}
	if counters := b.Counters(); counters.RxSYNs != 1 || counters.DropNoListener+counters.DropNoConnection+counters.DropNoSYN+counters.TxResets != 0 {
		t.Errorf("what was another's was counted here: %+v", counters)
	}
	e.takes = false
	b.send(packet{src: ap(b.peer, 2000), dst: ap(b.ip4, 81), flags: wire.ACK, seq: 5, ack: 6})
	if r := b.next(); r.flags&wire.RST == 0 {
		t.Errorf("what is nobody's is answered with %v", r)
	}
}

// TestCookiesAreOurs: an ACK that proves that we have answered the SYN is not asked about, one that does not is.
func TestCookiesAreOurs(t *testing.T) {
	b := newBench(t, Config{})
	must(t, b.SetSysctl("net.inet.tcp.syncookies_only", "1"))
	e := new(elsewhere)
	b.st.SetSteering(e)
	l := b.listen(t, ap(b.ip4, 80))
	k := packet{src: ap(b.peer, 1000), dst: ap(b.ip4, 80), flags: wire.SYN, seq: 5, wnd: 1000}
	b.send(k)
	cookie := b.next().seq
	e.takes = true
	k.flags, k.seq, k.ack = wire.ACK, 6, cookie+2
	if b.send(k); e.frames != 2 {
		t.Errorf("asked %d times about a SYN and a wrong cookie", e.frames)
	}
	k.ack--
	if b.send(k); e.frames != 2 {
		t.Error("asked about a right cookie")
	}
	if _, _, err := b.Accept(l); err != nil {
		t.Errorf("accept: %v", err)
	}
}

// TestLoopbackIsNobodyElses: no port is chosen by the device for it, and no stray of it asked about.
func TestLoopbackIsNobodyElses(t *testing.T) {
	b := newBench(t, Config{Ports: func(int, netip.AddrPort, netip.Addr, uint16, uint16, uint32) iter.Seq[uint16] {
		return func(func(uint16) bool) {}
	}})
	e := &elsewhere{takes: true}
	b.st.SetSteering(e)
	c := b.open(t, unix.AF_INET)
	if err := b.Connect(c, ap(netip.MustParseAddr("127.0.0.1"), 99)); err != syscall.EINPROGRESS {
		t.Fatalf("connect over loopback: %v", err)
	}
	for range 5 {
		b.turn()
	}
	if ev := b.Events(c); ev&stack.EventErr == 0 || e.frames != 0 {
		t.Errorf("events %#x, asked %d times", ev, e.frames)
	}
	c = b.open(t, unix.AF_INET)
	if err := b.Connect(c, ap(b.peer, 99)); err != syscall.EADDRNOTAVAIL {
		t.Errorf("connect with no port to choose from: %v", err)
	}
}

// TestPortsInUseAreTold follows what the steering is told of local ports.
func TestPortsInUseAreTold(t *testing.T) {
	var told []string
	tell := func(what string) func(uint16, bool) {
		return func(port uint16, on bool) {
			if port >= 10000 {
				port = 1 // chosen
			}
			told = append(told, fmt.Sprintf("%s %d %t", what, port, on))
		}
	}
	b := newBench(t, Config{Listening: tell("listening"), Bound: tell("bound")})
	want := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("%s: told %q, want %q", what, told, want)
		}
		told = nil
	}
	any := netip.IPv4Unspecified()
	reuse := func(h stack.Handle) {
		must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_REUSEPORT, []byte{1, 0, 0, 0}))
	}
	var ls []stack.Handle
	for range 2 {
		h := b.open(t, unix.AF_INET)
		reuse(h)
		must(t, b.Bind(h, ap(any, 80)))
		ls = append(ls, h)
	}
	want("bind")
	for _, h := range ls {
		must(t, b.Listen(h, 10))
	}
	want("listen", "listening 80 true", "listening 80 true")
	var c *conn
	var h stack.Handle
	for from := uint16(1000); h == 0; from++ { // on the second one: the flow's hash picks
		k := packet{src: ap(b.peer, from), dst: ap(b.ip4, 80), flags: wire.SYN, seq: 1000, wnd: 60000}
		b.send(k)
		r := b.next()
		c = &conn{b: b, src: k.src, dst: k.dst, seq: 1001, ack: r.seq + 1}
		b.send(c.pkt(wire.ACK, ""))
		h, _, _ = b.Accept(ls[1])
	}
	must(t, b.Close(ls[0]))
	b.turn()
	want("close one listener")
	must(t, b.Close(ls[1]))
	want("close the other", "listening 80 false")
	b.out = nil
	must(t, b.Close(h))
	b.turn()
	want("close what was accepted")
	b.send(c.pkt(wire.RST|wire.ACK, ""))
	c.seq, c.ack = 1001, c.ack+1
	b.send(c.pkt(wire.RST|wire.ACK, ""))
	b.wait(10 * time.Minute)
	want("when it is over", "bound 80 false")

	named := b.open(t, unix.AF_INET)
	must(t, b.Bind(named, ap(any, 5000)))
	if err := b.Connect(named, ap(b.peer, 99)); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	want("connect from a named port", "bound 5000 true")
	must(t, b.Close(named))
	want("close it", "bound 5000 false")
	chosen := b.open(t, unix.AF_INET)
	if err := b.Connect(chosen, ap(b.peer, 99)); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	want("connect from a chosen port")
	must(t, b.Close(chosen))
	want("close it", "bound 1 false")
}
