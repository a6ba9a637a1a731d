package netstack

import (
	"bytes"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// ports is a steering that gives out ports in order and notes what it is told.
type ports struct {
	tcp, udp, own []uint16
	asked         []string
	told          []string
}

func (p *ports) ConnectPorts(port int, remote netip.AddrPort, local netip.Addr, low, high uint16, _ uint32) iter.Seq[uint16] {
	p.asked = append(p.asked, fmt.Sprint("tcp ", port, remote, local))
	return slices.Values(p.tcp)
}

func (p *ports) UDPPorts(port int, remote netip.AddrPort, local netip.Addr, low, high uint16, _ uint32) iter.Seq[uint16] {
	p.asked = append(p.asked, fmt.Sprint("udp ", port, remote, local))
	return slices.Values(p.udp)
}

func (p *ports) OwnUDPPorts(low, high uint16, _ uint32) iter.Seq[uint16] {
	p.asked = append(p.asked, "own")
	return slices.Values(p.own)
}

func (p *ports) tell(what string, port uint16, on bool) {
	p.told = append(p.told, fmt.Sprintf("%s %d %t", what, port, on))
}

func (p *ports) Listening(port uint16, on bool)  { p.tell("listening", port, on) }
func (p *ports) Bound(port uint16, on bool)      { p.tell("bound", port, on) }
func (p *ports) Connecting(port uint16, on bool) { p.tell("connecting", port, on) }
func (p *ports) Datagrams(port uint16, on bool)  { p.tell("datagrams", port, on) }

// want checks what the steering was asked and told since the last time.
func (p *ports) want(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := append(p.asked, p.told...); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
	p.asked, p.told = nil, nil
}

func TestPortsOfSockets(t *testing.T) {
	p := &ports{tcp: []uint16{80, 2000, 2001}, udp: []uint16{3000, 3001}, own: []uint16{4000, 4001, 4002, 4003}}
	w := newNetworkWith(t, simnet.Config{}, Config{TCP: true, Steering: p}, Config{TCP: true})
	a := w.a
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	remote4, remote6 := netip.AddrPortFrom(b4, 53), netip.AddrPortFrom(b6, 53)
	local := func(s stack.Handle, want uint16) {
		t.Helper()
		if l, err := a.LocalAddr(s); err != nil || l.Port() != want {
			t.Errorf("port %v, %v, want %d", l, err, want)
		}
	}

	s := a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	a.ok(a.Connect(s, remote4))
	p.want(t, "connect UDP", "udp 0 10.0.0.2:53 10.0.0.1", "datagrams 3000 true")
	local(s, 3000)
	if _, err := a.SendTo(s, []byte("x"), remote4, 0); err != nil {
		t.Error(err)
	}
	p.want(t, "send")
	six := a.open(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	if _, err := a.SendTo(six, []byte("x"), remote6, 0); err != nil {
		t.Error(err)
	}
	p.want(t, "send without a port", "udp 0 [fd00::2]:53 fd00::1", "datagrams 3001 true")
	local(six, 3001)
	mapped := a.open(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	a.ok(a.Bind(mapped, netip.AddrPortFrom(any6, 0)))
	p.want(t, "bind to any port", "own", "datagrams 4000 true")
	a.ok(a.Connect(mapped, netip.AddrPortFrom(netip.AddrFrom16(b4.As16()), 53)))
	p.want(t, "connect what has a port")
	loop := a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	a.ok(a.Connect(loop, netip.MustParseAddrPort("127.0.0.1:99")))
	p.want(t, "connect over loopback", "own", "datagrams 4001 true")
	for _, h := range []stack.Handle{s, six, mapped, loop} {
		a.ok(a.Close(h))
	}
	p.want(t, "close", "datagrams 3000 false", "datagrams 3001 false", "datagrams 4000 false", "datagrams 4001 false")

	var group []stack.Handle
	for range 2 {
		h := a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
		a.ok(a.SetOption(h, unix.SOL_SOCKET, unix.SO_REUSEPORT, []byte{1, 0, 0, 0}))
		a.ok(a.Bind(h, netip.AddrPortFrom(any4, 53)))
		group = append(group, h)
	}
	p.want(t, "a group", "datagrams 53 true")
	a.ok(a.Close(group[0]))
	p.want(t, "one of a group closes")
	a.ok(a.Close(group[1]))
	p.want(t, "the other one, too", "datagrams 53 false")

	l := a.listen(netip.AddrPortFrom(any4, 80))
	p.want(t, "listen", "listening 80 true")
	c := a.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := a.Connect(c, remote4); err != syscall.EINPROGRESS {
		t.Error(err)
	}
	p.want(t, "connect TCP", "tcp 0 10.0.0.2:53 10.0.0.1", "connecting 2000 true")
	local(c, 2000)
	a.ok(a.Close(c))
	p.want(t, "close it", "connecting 2000 false")
	named := a.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	a.ok(a.Bind(named, netip.AddrPortFrom(any4, 5000)))
	if err := a.Connect(named, remote4); err != syscall.EINPROGRESS {
		t.Error(err)
	}
	p.want(t, "connect from a named port", "bound 5000 true")
	a.ok(a.Close(named))
	p.want(t, "close it", "bound 5000 false")

	peer := w.b.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := w.b.Connect(peer, netip.AddrPortFrom(a4, 80)); err != syscall.EINPROGRESS {
		t.Error(err)
	}
	var accepted stack.Handle
	w.until(time.Second, "accept", func() bool {
		var err error
		accepted, _, err = a.Accept(l)
		return err == nil
	})
	from, err := w.b.LocalAddr(peer)
	w.b.ok(err)
	if to := netip.AddrPortFrom(a4, 80); !a.HasTCP(0, to, netip.AddrPortFrom(b4, from.Port())) || a.HasTCP(0, to, netip.AddrPortFrom(b4, from.Port()+1)) {
		t.Error("HasTCP does not tell the connection from the listener")
	}
	a.ok(a.Shutdown(l, unix.SHUT_RD))
	p.want(t, "listen no more", "listening 80 false")
	a.ok(a.Close(l))
	p.want(t, "close what listened")
	a.ok(a.Close(accepted))
	p.want(t, "close what was accepted", "bound 80 false")

	p.udp = nil // nothing to choose from: gVisor does
	h := a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	a.ok(a.Connect(h, remote4))
	if at, err := a.LocalAddr(h); err != nil || at.Port() == 0 {
		t.Errorf("%v, %v", at, err)
	}
}

// others is a steering that takes strays.
type others struct {
	takes bool
	seen  [][]byte
}

func (o *others) Steer(int, []stack.Frame) bool { return false }
func (o *others) Stray(int, []stack.Frame) bool { return false }

func (o *others) StrayDatagram(port int, proto uint8, src, dst netip.Addr, b []byte) bool {
	if port != 0 || proto != unix.IPPROTO_UDP || src.Is4() && (src != b4 || dst != a4) || src.Is6() && (src != b6 || dst != a6) {
		panic(fmt.Sprint("a stray ", port, proto, src, dst))
	}
	o.seen = append(o.seen, bytes.Clone(b))
	return o.takes
}

// TestDatagramsOfOthers: what nobody here has a socket for is asked about, whole, before it is refused. What comes from
// this host is not.
func TestDatagramsOfOthers(t *testing.T) {
	for _, takes := range []bool{true, false} {
		for _, size := range []int{10, 4000} {
			w := newNetwork(t, simnet.Config{})
			o := &others{takes: takes}
			w.a.st.SetSteering(o)
			for _, ip := range []struct{ a, b netip.Addr }{{a4, b4}, {a6, b6}} {
				o.seen = nil
				s := w.b.open(family(ip.b), unix.SOCK_DGRAM, 0)
				w.b.ok(w.b.Connect(s, netip.AddrPortFrom(ip.a, 9)))
				data := random(3, size)
				if _, err := w.b.Send(s, data, 0); err != nil {
					t.Fatal(err)
				}
				w.sim.Sleep(10 * time.Millisecond)
				if len(o.seen) != 1 || !bytes.Equal(o.seen[0][8:], data) {
					t.Errorf("asked about %d datagrams", len(o.seen))
				}
				_, err := w.b.Recv(s, make([]byte, 10), 0)
				if want := map[bool]error{true: syscall.EAGAIN, false: syscall.ECONNREFUSED}[takes]; err != want {
					t.Errorf("taken: %t, the sender has %v, want %v", takes, err, want)
				}
				self := w.a.open(family(ip.a), unix.SOCK_DGRAM, 0)
				w.a.ok(w.a.Connect(self, netip.AddrPortFrom(ip.a, 9)))
				if _, err := w.a.Send(self, data[:10], 0); err != nil {
					t.Fatal(err)
				}
				w.sim.Sleep(10 * time.Millisecond)
				if _, err := w.a.Recv(self, make([]byte, 10), 0); err != syscall.ECONNREFUSED || len(o.seen) != 1 {
					t.Errorf("to this host: %v, asked about %d datagrams", err, len(o.seen))
				}
			}
		}
	}
}

// TestNewsOnlyTeach: a request that another lcore answers is not answered, and bad ones teach nothing.
func TestNewsOnlyTeach(t *testing.T) {
	s := newSolo(t, newFake(64, 4096, 0), Config{})
	s.take() // what it says when it starts
	known := func() (n int) {
		for _, x := range s.Neighbours() {
			if x.MAC == [6]byte{2, 0, 0, 0, 0, 0x55} {
				n++
			}
		}
		return n
	}
	from4, from6, theirs := addr("10.0.0.55"), addr("fd00::55"), []byte{2, 0, 0, 0, 0, 0x55}
	arp := func(from, to netip.Addr) []byte {
		b := append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, theirs...)
		b = append(append(b, from.AsSlice()...), 0, 0, 0, 0, 0, 0)
		return ethernet([6]byte{255, 255, 255, 255, 255, 255}, 0x0806, append(b, to.AsSlice()...))
	}
	ask := func(from, to netip.Addr, hops byte, option ...byte) []byte {
		icmp := append(append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, to.AsSlice()...), option...)
		c := ^sum(from, to, 58, icmp)
		icmp[2], icmp[3] = byte(c>>8), byte(c)
		b := ip(from, to, 58, icmp)
		b[7] = hops
		return ethernet([6]byte(mac), 0x86dd, b)
	}
	mine := append([]byte{1, 1}, theirs...)
	for name, f := range map[string][]byte{
		"ARP for another":            arp(from4, addr("10.0.0.77")),
		"ARP from nobody":            arp(addr("0.0.0.0"), a4),
		"short ARP":                  arp(from4, a4)[:40],
		"solicitation for another":   ask(from6, addr("fd00::77"), 255, mine...),
		"solicitation from nobody":   ask(addr("::"), a6, 255, mine...),
		"solicitation from afar":     ask(from6, a6, 64, mine...),
		"solicitation without MAC":   ask(from6, a6, 255),
		"solicitation, bad option":   ask(from6, a6, 255, 1, 0, 0, 0, 0, 0, 0, 0),
		"solicitation, short":        ask(from6, a6, 255)[:70],
		"solicitation, bad checksum": append(ask(from6, a6, 255, mine...)[:85], 0x56),
		"solicitation, group's MAC":  ask(from6, a6, 255, 1, 1, 3, 0, 0, 0, 0, 0x55),
	} {
		s.dev.receive(stack.RxHanded|stack.RxNews, 4096, f)
		if frames, _ := s.take(); len(frames) != 0 || known() != 0 {
			t.Errorf("%s: %d frames sent, %d neighbours learned", name, len(frames), known())
		}
	}
	for n, f := range [][]byte{arp(from4, a4), ask(from6, a6, 255, mine...)} {
		s.dev.receive(stack.RxHanded|stack.RxNews, 20, f)
		if frames, _ := s.take(); len(frames) != 0 || known() != n+1 {
			t.Errorf("%d frames sent, %d neighbours learned, want %d", len(frames), known(), n+1)
		}
	}
	if c := s.Counters(); c.RxNews != 13 {
		t.Errorf("%d news", c.RxNews)
	}
}
