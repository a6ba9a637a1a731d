package tcp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/wire"
)

func TestOpenTakesOnlyTCP(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range [][3]int{
		{unix.AF_INET, unix.SOCK_DGRAM, 0}, {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, {unix.AF_UNIX, unix.SOCK_STREAM, 0},
		{unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_TCP}, {-1, -1, -1},
	} {
		if _, err := b.Open(c[0], c[1], c[2]); err != syscall.EPROTONOSUPPORT {
			t.Errorf("open %v: %v, want EPROTONOSUPPORT", c, err)
		}
	}
}

func TestCallsInTheWrongState(t *testing.T) {
	b := newBench(t, Config{})
	fresh := b.open(t, unix.AF_INET)
	l := b.listen(t, ap(b.ip4, 80))
	_, conn := b.accept(l, 5000, nil)
	gone := b.open(t, unix.AF_INET)
	must(t, b.Close(gone))
	any4 := ap(netip.IPv4Unspecified(), 1234)
	buf := make([]byte, 1)
	call := map[string]func(stack.Handle) error{
		"bind":     func(h stack.Handle) error { return b.Bind(h, any4) },
		"listen":   func(h stack.Handle) error { return b.Listen(h, 1) },
		"accept":   func(h stack.Handle) error { _, _, err := b.Accept(h); return err },
		"connect":  func(h stack.Handle) error { return b.Connect(h, ap(b.peer, 1)) },
		"recv":     func(h stack.Handle) error { _, err := b.Recv(h, buf, 0); return err },
		"send":     func(h stack.Handle) error { _, err := b.Send(h, buf, 0); return err },
		"shutdown": func(h stack.Handle) error { return b.Shutdown(h, unix.SHUT_WR) },
		"howto":    func(h stack.Handle) error { return b.Shutdown(h, 7) },
		"peer":     func(h stack.Handle) error { _, err := b.PeerAddr(h); return err },
	}
	for _, c := range []struct {
		what string
		h    stack.Handle
		want syscall.Errno
	}{
		{"accept", fresh, syscall.EINVAL}, {"recv", fresh, syscall.ENOTCONN}, {"send", fresh, syscall.EPIPE},
		{"shutdown", fresh, syscall.ENOTCONN}, {"peer", fresh, syscall.ENOTCONN},
		{"bind", l, syscall.EINVAL}, {"connect", l, syscall.EISCONN}, {"recv", l, syscall.ENOTCONN}, {"send", l, syscall.EPIPE},
		{"accept", l, syscall.EAGAIN}, {"peer", l, syscall.ENOTCONN},
		{"bind", conn, syscall.EINVAL}, {"listen", conn, syscall.EINVAL}, {"accept", conn, syscall.EINVAL}, {"connect", conn, syscall.EISCONN},
		{"recv", conn, syscall.EAGAIN}, {"howto", conn, syscall.EINVAL},
		{"bind", gone, syscall.EBADF}, {"listen", gone, syscall.EBADF}, {"accept", gone, syscall.EBADF}, {"connect", gone, syscall.EBADF},
		{"recv", gone, syscall.EBADF}, {"send", gone, syscall.EBADF}, {"shutdown", gone, syscall.EBADF}, {"peer", gone, syscall.EBADF},
		{"recv", 0, syscall.EBADF}, {"recv", 1 << 31, syscall.EBADF},
	} {
		if err := call[c.what](c.h); err != c.want {
			t.Errorf("%s(%d): %v, want %v", c.what, c.h, err, c.want)
		}
	}
	if err := b.Close(gone); err != syscall.EBADF {
		t.Errorf("second close: %v, want EBADF", err)
	}
}

// TestWhoMayShareAPort is Linux's table: two sockets bind, then perhaps both listen.
func TestWhoMayShareAPort(t *testing.T) {
	const reuse, group, v6only = 1, 2, 4
	type sock struct {
		addr  string
		flags int
	}
	for _, c := range []struct {
		a, b                sock
		bind, listen        syscall.Errno
		firstListensAlready bool
	}{
		{sock{"0.0.0.0", 0}, sock{"0.0.0.0", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"10.0.0.1", 0}, sock{"10.0.0.1", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"10.0.0.1", 0}, sock{"127.0.0.1", 0}, 0, 0, false},
		{sock{"0.0.0.0", 0}, sock{"10.0.0.1", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"0.0.0.0", reuse}, sock{"10.0.0.1", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"0.0.0.0", reuse}, sock{"10.0.0.1", reuse}, 0, syscall.EADDRINUSE, false},
		{sock{"0.0.0.0", reuse}, sock{"0.0.0.0", reuse}, syscall.EADDRINUSE, 0, true},
		{sock{"0.0.0.0", group}, sock{"0.0.0.0", group}, 0, 0, true},
		{sock{"0.0.0.0", group}, sock{"0.0.0.0", reuse}, syscall.EADDRINUSE, 0, false},
		{sock{"0.0.0.0", group | reuse}, sock{"10.0.0.1", group}, 0, 0, false},
		{sock{"::", 0}, sock{"0.0.0.0", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"::", v6only}, sock{"0.0.0.0", 0}, 0, 0, false},
		{sock{"0.0.0.0", 0}, sock{"::", v6only}, 0, 0, false},
		{sock{"::", 0}, sock{"fd00::1", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"::", v6only}, sock{"fd00::1", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"fd00::1", 0}, sock{"10.0.0.1", 0}, 0, 0, false},
		{sock{"::ffff:10.0.0.1", 0}, sock{"10.0.0.1", 0}, syscall.EADDRINUSE, 0, false},
		{sock{"::", 0}, sock{"10.0.0.1", 0}, syscall.EADDRINUSE, 0, false},
	} {
		b := newBench(t, Config{})
		open := func(s sock) (stack.Handle, netip.Addr) {
			a := netip.MustParseAddr(s.addr)
			h := b.open(t, domainOf(a))
			on := []byte{1, 0, 0, 0}
			if s.flags&reuse != 0 {
				must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_REUSEADDR, on))
			}
			if s.flags&group != 0 {
				must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_REUSEPORT, on))
			}
			if s.flags&v6only != 0 {
				must(t, b.SetOption(h, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, on))
			}
			return h, a
		}
		h1, a1 := open(c.a)
		must(t, b.Bind(h1, ap(a1, 80)))
		if c.firstListensAlready {
			must(t, b.Listen(h1, 1))
		}
		h2, a2 := open(c.b)
		errno := func(err error) syscall.Errno {
			e, _ := err.(syscall.Errno)
			return e
		}
		if got := errno(b.Bind(h2, ap(a2, 80))); got != c.bind {
			t.Errorf("%v then %v: bind gives %v, want %v", c.a, c.b, got, c.bind)
			continue
		} else if got != 0 {
			continue
		}
		must(t, b.Listen(h1, 1))
		if got := errno(b.Listen(h2, 1)); got != c.listen {
			t.Errorf("%v then %v: the second listen gives %v, want %v", c.a, c.b, got, c.listen)
		}
		must(t, b.Close(h1))
		must(t, b.Close(h2))
		b.empty(t, 0)
	}
}

func TestBindWhereConnectionsAre(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	must(t, b.Close(l))
	again := b.open(t, unix.AF_INET)
	if err := b.Bind(again, ap(b.ip4, 80)); err != syscall.EADDRINUSE {
		t.Errorf("bind without SO_REUSEADDR beside a connection: %v, want EADDRINUSE", err)
	}
	must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0}))
	must(t, b.SetOption(again, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0}))
	must(t, b.Bind(again, ap(b.ip4, 80)))
	must(t, b.Close(h))
	b.turn()
	b.out = nil
	b.send(c.pkt(wire.RST, ""))
	must(t, b.Close(again))
	b.empty(t, 0)
}

func TestBadAddresses(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct {
		domain  int
		addr    string
		bind    syscall.Errno
		connect syscall.Errno
	}{
		{unix.AF_INET, "10.0.0.77", syscall.EADDRNOTAVAIL, syscall.EINPROGRESS},
		{unix.AF_INET, "fd00::1", syscall.EAFNOSUPPORT, syscall.EAFNOSUPPORT},
		{unix.AF_INET, "::ffff:10.0.0.1", syscall.EAFNOSUPPORT, syscall.EAFNOSUPPORT},
		{unix.AF_INET6, "10.0.0.1", syscall.EAFNOSUPPORT, syscall.EAFNOSUPPORT},
		{unix.AF_INET, "224.0.0.1", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH},
		{unix.AF_INET, "255.255.255.255", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH},
		{unix.AF_INET6, "ff02::1", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH},
		{unix.AF_INET6, "fe80::1", syscall.EINVAL, syscall.EINVAL},
		{unix.AF_INET6, "fe80::1%nosuch", syscall.ENODEV, syscall.ENODEV},
		{unix.AF_INET6, "fe80::1%hand", 0, syscall.EINPROGRESS},
		{unix.AF_INET6, "fe80::9%1", syscall.EADDRNOTAVAIL, syscall.EINPROGRESS},
	} {
		a := netip.MustParseAddr(c.addr)
		h := b.open(t, c.domain)
		if err := b.Connect(h, ap(a, 9)); err != c.connect {
			t.Errorf("connect to %v: %v, want %v", a, err, c.connect)
		}
		h = b.open(t, c.domain)
		if err := b.Bind(h, ap(a, 9)); err != c.bind && !(err == nil && c.bind == 0) {
			t.Errorf("bind to %v: %v, want %v", a, err, c.bind)
		}
	}
	h := b.open(t, unix.AF_INET)
	if err := b.Connect(h, netip.AddrPort{}); err != syscall.EAFNOSUPPORT {
		t.Errorf("connect to no address: %v", err)
	}
	b.net.gone = true
	if err := b.Connect(h, ap(b.peer, 9)); err != syscall.ENETUNREACH {
		t.Errorf("connect without route: %v", err)
	}
}

func TestIPv6ListenerTakesIPv4(t *testing.T) {
	for _, only := range []bool{false, true} {
		p := newPair(t, simnet.Config{})
		h := p.host[1]
		l := h.open(t, unix.AF_INET6)
		if only {
			must(t, h.SetOption(l, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, []byte{1, 0, 0, 0}))
		}
		must(t, h.Bind(l, ap(netip.IPv6Unspecified(), 80)))
		must(t, h.Listen(l, 5))
		c := p.host[0].open(t, unix.AF_INET)
		p.host[0].Connect(c, ap(h.ip4, 80))
		if only {
			p.sim.Sleep(time.Second)
			if err := p.host[0].Connect(c, ap(h.ip4, 80)); err != syscall.ECONNREFUSED {
				t.Errorf("connect by IPv4 to an IPv6-only listener: %v, want ECONNREFUSED", err)
			}
			continue
		}
		p.sim.Sleep(time.Second)
		s, from, err := h.Accept(l)
		must(t, err)
		local, _ := h.LocalAddr(s)
		if want := "::ffff:10.0.0.1"; from.Addr().String() != want || local.String() != "[::ffff:10.0.0.2]:80" {
			t.Errorf("accepted from %v at %v, want %v", from, local, want)
		}
		d := p.host[0].open(t, unix.AF_INET6) // and the other way: an IPv6 socket connects to IPv4
		if err := p.host[0].Connect(d, ap(netip.AddrFrom16(h.ip4.As16()), 80)); err != syscall.EINPROGRESS {
			t.Errorf("connect to a mapped address: %v", err)
		}
		p.sim.Sleep(time.Second)
		peer, err := p.host[0].PeerAddr(d)
		if err != nil || peer.String() != "[::ffff:10.0.0.2]:80" {
			t.Errorf("peer of a mapped connect: %v, %v", peer, err)
		}
	}
}

func TestReusePortGroupShares(t *testing.T) {
	b := newBench(t, Config{})
	const n = 4
	var group [n]stack.Handle
	for i := range group {
		group[i] = b.open(t, unix.AF_INET)
		must(t, b.SetOption(group[i], unix.SOL_SOCKET, unix.SO_REUSEPORT, []byte{1, 0, 0, 0}))
		must(t, b.Bind(group[i], ap(netip.IPv4Unspecified(), 80)))
		must(t, b.Listen(group[i], 1000))
	}
	specific := b.listenGroup(t, ap(b.ip4, 80))
	accepted := func(h stack.Handle) (k int) {
		for {
			if _, _, err := b.Accept(h); err != nil {
				return k
			}
			k++
		}
	}
	connect := func(to netip.Addr, from uint16) {
		c := &conn{b: b, src: ap(b.peer, from), dst: ap(to, 80), seq: 1}
		b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, wnd: 100})
		r := b.next()
		c.ack = r.seq + 1
		b.send(c.pkt(wire.ACK, ""))
	}
	b.net.local = append(b.net.local, netip.MustParseAddr("10.0.0.5"))
	for i := range uint16(400) {
		connect(netip.MustParseAddr("10.0.0.5"), 2000+i)
	}
	for _, h := range group {
		if k := accepted(h); k < 60 || k > 140 {
			t.Errorf("one of four listeners has %d of 400 connections", k)
		}
	}
	connect(b.ip4, 9000)
	if k := accepted(specific); k != 1 {
		t.Errorf("the listener at the address has %d connections, want 1: it goes before the wildcard's", k)
	}
	must(t, b.Close(group[1]))
	for i := range uint16(100) {
		connect(netip.MustParseAddr("10.0.0.5"), 3000+i)
	}
	if k := accepted(group[0]) + accepted(group[2]) + accepted(group[3]); k != 100 {
		t.Errorf("the three left have %d of 100 connections", k)
	}
}

func (h *host) listenGroup(t testing.TB, a netip.AddrPort) stack.Handle {
	s := h.open(t, domainOf(a.Addr()))
	must(t, h.SetOption(s, unix.SOL_SOCKET, unix.SO_REUSEPORT, []byte{1, 0, 0, 0}))
	must(t, h.Bind(s, a))
	must(t, h.Listen(s, 100))
	return s
}

func TestConnectOutcomes(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: time.Millisecond})
	h := p.host[0]
	to := ap(p.host[1].ip4, 80)
	// Refused; then the same socket connects again.
	s := h.open(t, unix.AF_INET)
	if err := h.Connect(s, to); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	if err := h.Connect(s, to); err != syscall.EALREADY {
		t.Errorf("connect while connecting: %v, want EALREADY", err)
	}
	if _, err := h.Send(s, []byte{1}, 0); err != syscall.EAGAIN {
		t.Errorf("send while connecting: %v, want EAGAIN", err)
	}
	if _, err := h.Recv(s, make([]byte, 1), 0); err != syscall.EAGAIN {
		t.Errorf("recv while connecting: %v, want EAGAIN", err)
	}
	if ev := h.Events(s); ev != 0 {
		t.Errorf("events while connecting: %#x", ev)
	}
	p.sim.Sleep(10 * time.Millisecond)
	if ev := h.Events(s); ev&(stack.EventErr|stack.EventHup|stack.EventIn|stack.EventOut) != stack.EventErr|stack.EventHup|stack.EventIn|stack.EventOut {
		t.Errorf("events after refusal: %#x", ev)
	}
	var e [4]byte
	h.Option(s, unix.SOL_SOCKET, unix.SO_ERROR, e[:])
	if syscall.Errno(binary.NativeEndian.Uint32(e[:])) != syscall.ECONNREFUSED {
		t.Errorf("SO_ERROR is %d, want ECONNREFUSED", e[0])
	}
	h.Option(s, unix.SOL_SOCKET, unix.SO_ERROR, e[:])
	if e != ([4]byte{}) {
		t.Error("SO_ERROR is not cleared by reading")
	}
	if err := h.Connect(s, to); err != syscall.ECONNABORTED {
		t.Errorf("connect after the error was read: %v, want ECONNABORTED", err)
	}
	l := p.host[1].listen(t, to)
	if err := h.Connect(s, to); err != syscall.EINPROGRESS {
		t.Fatalf("connect again: %v", err)
	}
	p.sim.Sleep(10 * time.Millisecond)
	if err := h.Connect(s, to); err != nil {
		t.Errorf("second call after success: %v, want nil", err)
	}
	if err := h.Connect(s, to); err != syscall.EISCONN {
		t.Errorf("third call: %v, want EISCONN", err)
	}
	_ = l
	// Nobody answers.
	s = h.open(t, unix.AF_INET)
	h.Connect(s, ap(netip.MustParseAddr("10.0.0.250"), 80))
	if !p.sim.Run(5*time.Minute, func() bool { return h.Events(s)&stack.EventErr != 0 }) {
		t.Fatal("a connect to nobody does not end")
	}
	if _, err := h.Recv(s, make([]byte, 1), 0); err != syscall.ETIMEDOUT {
		t.Errorf("recv: %v, want ETIMEDOUT", err)
	}
	if n, err := h.Recv(s, make([]byte, 1), 0); n != 0 || err != nil {
		t.Errorf("recv after the error: %d, %v, want the end of the stream", n, err)
	}
	if _, err := h.Send(s, make([]byte, 1), 0); err != syscall.EPIPE {
		t.Errorf("send after the error: %v, want EPIPE", err)
	}
}

// news collects what a sink is told.
type news struct{ list []stack.Events }

func (n *news) Notify(tag uint32, ev stack.Events) { n.list = append(n.list, ev) }

func (n *news) take() (all stack.Events, count int) {
	for _, ev := range n.list {
		all |= ev
	}
	count = len(n.list)
	n.list = nil
	return all, count
}

func TestWatchTellsEachChange(t *testing.T) {
	b := newBench(t, Config{})
	var k news
	sink := b.st.AddSink(&k)
	l := b.listen(t, ap(b.ip4, 80))
	b.Watch(l, sink, 1)
	c, h := b.accept(l, 5000, nil)
	if ev, n := k.take(); ev != stack.EventIn || n != 1 {
		t.Errorf("listener: %#x in %d notes", ev, n)
	}
	b.Watch(h, sink, 2)
	for range 2 { // also if it was readable before
		b.send(c.pkt(wire.ACK, "x"))
		c.seq++
		if ev, n := k.take(); ev != stack.EventIn || n != 1 {
			t.Errorf("data: %#x in %d notes", ev, n)
		}
	}
	// Fill the send queue: news of room come only then.
	b.out = nil
	sent := 0
	for {
		n, err := b.Send(h, make([]byte, 10_000), 0)
		if err == syscall.EAGAIN {
			break
		}
		sent += n
	}
	if ev := b.Events(h); ev&stack.EventOut != 0 {
		t.Error("writable with a full queue")
	}
	b.turn()
	k.take()
	for range 100 {
		for len(b.out) > 0 {
			r := b.next()
			c.ack = max(c.ack, r.seq+uint32(len(r.payload)))
		}
		b.send(c.pkt(wire.ACK, ""))
		if ev, _ := k.take(); ev == stack.EventOut {
			if b.Events(h)&stack.EventOut == 0 {
				t.Error("told to be writable but is not")
			}
			sent = 0
			break
		}
	}
	if sent != 0 {
		t.Error("no news of room")
	}
	b.send(c.pkt(wire.FIN|wire.ACK, ""))
	if ev, _ := k.take(); ev&(stack.EventIn|stack.EventRdHup) != stack.EventIn|stack.EventRdHup {
		t.Errorf("FIN: %#x", ev)
	}
	c.seq++
	b.send(c.pkt(wire.RST, ""))
	if ev, _ := k.take(); ev&(stack.EventErr|stack.EventHup) != stack.EventErr|stack.EventHup {
		t.Errorf("RST: %#x", ev)
	}
	b.Watch(h, stack.SinkNone, 0)
	must(t, b.Close(h))
	if _, n := k.take(); n != 0 {
		t.Errorf("%d notes after the watch has ended", n)
	}
}

func TestReceiveFlags(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	b.send(c.pkt(wire.ACK, "abcdef"))
	buf := make([]byte, 4)
	if n, _ := b.Recv(h, buf, unix.MSG_PEEK); n != 4 || string(buf) != "abcd" {
		t.Errorf("peek: %q", buf[:n])
	}
	if n, _ := b.Recv(h, buf[:2], unix.MSG_TRUNC); n != 2 || string(buf) != "abcd" {
		t.Errorf("trunc: %d %q", n, buf)
	}
	if n, from, _ := b.RecvFrom(h, buf, 0); n != 4 || string(buf) != "cdef" || from.IsValid() {
		t.Errorf("recv: %q from %v", buf[:n], from)
	}
	if _, err := b.Recv(h, buf, unix.MSG_OOB); err != syscall.EINVAL {
		t.Errorf("recv of no urgent data: %v, want EINVAL", err)
	}
	if n, err := b.SendTo(h, []byte("xy"), ap(b.peer, 1), 0); n != 2 || err != nil {
		t.Errorf("sendto on a connection: %d, %v", n, err)
	}
}

func TestDeferAccept(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	must(t, b.SetOption(l, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, []byte{3, 0, 0, 0}))
	open := func(from uint16) *conn {
		c := &conn{b: b, src: ap(b.peer, from), dst: ap(b.ip4, 80), seq: 0}
		b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, wnd: 1000})
		c.ack = b.next().seq + 1
		c.seq++
		b.send(c.pkt(wire.ACK, ""))
		return c
	}
	a := open(1)
	open(2)
	if _, _, err := b.Accept(l); err != syscall.EAGAIN {
		t.Fatalf("accepted without data: %v", err)
	}
	b.send(a.pkt(wire.ACK, "GET"))
	_, from, err := b.Accept(l)
	if err != nil || from.Port() != 1 {
		t.Errorf("accept with data: %v, %v", from, err)
	}
	b.wait(4 * time.Second)
	if _, from, err := b.Accept(l); err != nil || from.Port() != 2 {
		t.Errorf("accept after the time: %v, %v", from, err)
	}
}

func TestClosingAListenerResetsTheUnaccepted(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	for i := range uint16(3) {
		c := &conn{b: b, src: ap(b.peer, 10+i), dst: ap(b.ip4, 80)}
		b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, wnd: 1000})
		c.ack = b.next().seq + 1
		c.seq++
		if i < 2 {
			b.send(c.pkt(wire.ACK, ""))
		}
	}
	must(t, b.Close(l))
	b.turn()
	var ports []uint16
	for _, r := range b.out {
		if r.flags&wire.RST == 0 {
			t.Errorf("sent %v", r)
		}
		ports = append(ports, r.dst.Port())
	}
	slices.Sort(ports)
	if !slices.Equal(ports, []uint16{10, 11}) {
		t.Errorf("reset: %v, want the two that were established", ports)
	}
	b.empty(t, 0)
}
