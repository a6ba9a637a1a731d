package tcp

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/wire"
)

func TestSegmentsWaitForTheNeighbour(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: time.Millisecond})
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	p.host[0].net.pending = true
	c := p.host[0].open(t, unix.AF_INET)
	p.host[0].Connect(c, to)
	p.sim.Sleep(500 * time.Millisecond)
	if p.host[0].st.Next() != stack.Never || p.host[0].net.asked != 1 {
		t.Errorf("the loop does not rest while a neighbour is asked: asked %d times", p.host[0].net.asked)
	}
	p.host[0].net.pending = false
	p.host[0].net.changes++
	var s stack.Handle
	if !p.sim.Run(100*time.Millisecond, func() bool { var err error; s, _, err = p.host[1].Accept(l); return err == nil }) {
		t.Fatal("the SYN was lost")
	}
	// The same in the middle of a connection; the data waits.
	p.host[0].net.pending = true
	p.host[0].net.changes++
	must2(t)(p.host[0].Send(c, []byte("hello"), 0))
	p.sim.Sleep(50 * time.Millisecond)
	buf := make([]byte, 10)
	if _, err := p.host[1].Recv(s, buf, 0); err != syscall.EAGAIN {
		t.Errorf("recv before the neighbour is known: %v", err)
	}
	p.host[0].net.pending = false
	p.host[0].net.changes++
	p.sim.Sleep(10 * time.Millisecond)
	if n, _ := p.host[1].Recv(s, buf, 0); string(buf[:n]) != "hello" {
		t.Errorf("received %q", buf[:n])
	}
	p.closeAll(c, s, l)
}

func TestNeighbourThatDoesNotAnswer(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: time.Millisecond})
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	h := p.host[0]
	h.net.dead = true
	c := h.open(t, unix.AF_INET)
	h.Connect(c, to)
	p.sim.Sleep(time.Millisecond)
	if _, err := h.Recv(c, make([]byte, 1), 0); err != syscall.EHOSTUNREACH {
		t.Errorf("connect: %v, want EHOSTUNREACH", err)
	}
	must(t, h.Close(c))
	h.net.dead = false
	c, s := p.dial(l, to)
	// An established connection outlives it, and a lost route too.
	for _, lose := range []*bool{&h.net.dead, &h.net.gone} {
		*lose = true
		h.net.changes++
		must2(t)(h.Send(c, []byte("hello"), 0))
		p.sim.Sleep(3 * time.Second)
		*lose = false
		h.net.changes++
		buf := make([]byte, 10)
		if !p.sim.Run(10*time.Second, func() bool { n, _ := p.host[1].Recv(s, buf, 0); return n == 5 }) {
			t.Fatal("the data did not come after the way was back")
		}
	}
	// One that lasts ends the connection, with its reason.
	must(t, h.SetOption(c, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, le32(5000)))
	h.net.gone = true
	h.net.changes++
	must2(t)(h.Send(c, []byte("hello"), 0))
	if !p.sim.Run(time.Minute, func() bool { return h.Events(c)&stack.EventErr != 0 }) {
		t.Fatal("the connection does not end")
	}
	if _, err := h.Recv(c, make([]byte, 1), 0); err != syscall.ENETUNREACH {
		t.Errorf("recv: %v, want ENETUNREACH", err)
	}
	h.net.gone = false
	must(t, p.host[1].Close(s))
	must(t, h.Close(c))
}

func TestPathMTUIsRememberedRFC1191(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, synOptions)
	must2(t)(b.Send(h, make([]byte, 4000), 0))
	b.turn()
	r := b.next()
	if len(r.payload) != 1448 {
		t.Fatalf("first segment of %d bytes", len(r.payload))
	}
	b.out = nil
	// RFC 5927 §7.2: quotes of what is not in flight do not count.
	stray := r
	stray.seq += 1 << 20
	b.deliver(icmpTooBig(stray, 1000))
	b.turn()
	b.silent()
	if b.deliver(icmpTooBig(r, 1000)) {
		t.Error("the ICMP message was kept from netstack")
	}
	b.turn()
	total := 0
	for _, r := range b.out {
		if len(r.payload) > 1000-52 {
			t.Errorf("segment of %d bytes on a path of MTU 1000", len(r.payload))
		}
		total += len(r.payload)
	}
	if total != 4000 {
		t.Errorf("%d bytes were sent again at once, want 4000", total)
	}
	b.out = nil
	// Another connection to that host begins with it; after ten minutes a longer one is tried.
	c2, h2 := b.accept(l, 5001, synOptions)
	if p := b.pcbs.at(uint32(h2)); p.mss != 948 {
		t.Errorf("MSS of the next connection is %d, want 948", p.mss)
	}
	b.wait(11 * time.Minute)
	b.out = nil
	must2(t)(b.Send(h2, []byte("x"), 0))
	b.turn()
	b.out = nil
	c2.ack++
	b.send(c2.pkt(wire.ACK, ""))
	if p := b.pcbs.at(uint32(h2)); p.mss != 1448 {
		t.Errorf("MSS after ten minutes is %d, want 1448", p.mss)
	}
	_ = c
}

func TestTinyPathMTULeavesDFOff(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	_, h := b.accept(l, 5000, synOptions)
	must2(t)(b.Send(h, make([]byte, 1000), 0))
	b.turn()
	r := b.next()
	b.deliver(icmpTooBig(r, 100))
	b.turn()
	if p := b.pcbs.at(uint32(h)); p.pmtu != pmtuMinV4 || !p.has(flagFragment) {
		t.Errorf("path MTU %d, fragments %v", p.pmtu, p.has(flagFragment))
	}
	must(t, b.SetSysctl("net.inet.tcp.path_mtu_discovery", "0"))
	b.deliver(icmpTooBig(r, 90))
	if n := b.Counters().PathMTUsReduced; n != 1 {
		t.Errorf("%d reductions", n)
	}
}

func TestCongestionNotificationRFC3168(t *testing.T) {
	marks := 0
	p := newPair(t, simnet.Config{Latency: 5 * time.Millisecond, Drop: func(end int, f []byte) bool {
		ip := wire.IPv4At(f[wire.EthernetLen:])
		if end == 0 && ip.TotalLen() > 1000 && ip.TOS()&ecnMask == ecnECT0 {
			if marks++; marks == 30 { // one router is congested once
				f[wire.EthernetLen+1] |= ecnCE
				ip.SetChecksum()
			}
		}
		return false
	}})
	must(t, p.host[0].SetSysctl("net.inet.tcp.ecn.enable", "1"))
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	if !p.host[0].pcbs.at(uint32(c)).has(flagECN) || !p.host[1].pcbs.at(uint32(s)).has(flagECN) {
		t.Fatal("ECN was not negotiated")
	}
	p.transfer(c, s, 500_000, time.Minute)
	a, b := p.host[0].Counters(), p.host[1].Counters()
	if b.RxCongestion != 1 || a.RxCongestionEchoes != 1 || a.TxRetransmitted != 0 {
		t.Errorf("%d marks received, %d reductions, %d sent again", b.RxCongestion, a.RxCongestionEchoes, a.TxRetransmitted)
	}
	if p.host[1].pcbs.at(uint32(s)).has(flagEchoCE) {
		t.Error("the mark is echoed after CWR")
	}
	p.closeAll(c, s, l)
	// Without the sysctl nobody asks; the default answers.
	d, e := newPair(t, simnet.Config{}), newPair(t, simnet.Config{})
	must(t, e.host[0].SetSysctl("net.inet.tcp.ecn.enable", "1"))
	must(t, e.host[1].SetSysctl("net.inet.tcp.ecn.enable", "0"))
	for _, q := range []*pair{d, e} {
		l := q.host[1].listen(t, to)
		c, s := q.dial(l, to)
		if q.host[0].pcbs.at(uint32(c)).has(flagECN) || q.host[1].pcbs.at(uint32(s)).has(flagECN) {
			t.Error("ECN was negotiated against the settings")
		}
	}
}

func TestQueuesGrowWithThePath(t *testing.T) {
	const rate = 200e6 // with 100 ms a path of 2.5 MB
	p := newPair(t, simnet.Config{Latency: 50 * time.Millisecond, Rate: rate, Buffer: 4000})
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	up := &stream{from: p.host[0], to: p.host[1], w: c, r: s, data: randomBytes(40<<20, 4), chunk: 1 << 18, fin: true}
	start := p.sim.Now()
	if !p.sim.Run(time.Minute, func() bool { return up.step(t) }) {
		t.Fatal("stalled")
	}
	took := time.Duration(p.sim.Now() - start)
	ideal := time.Duration(float64(len(up.data)) * 8 / rate * 1e9)
	t.Logf("40 MiB in %v, the wire alone needs %v; queues %d and %d", took, ideal, p.host[0].pcbs.at(uint32(c)).sndBuf, p.host[1].pcbs.at(uint32(s)).rcvBuf)
	if took > ideal*3/2+time.Second {
		t.Errorf("40 MiB took %v, the wire alone needs %v", took, ideal)
	}
	// With auto-tuning off, the window limits.
	q := newPair(t, simnet.Config{Latency: 50 * time.Millisecond, Rate: rate})
	must(t, q.host[1].SetSysctl("net.inet.tcp.recvbuf_auto", "0"))
	l = q.host[1].listen(t, to)
	c, s = q.dial(l, to)
	up = &stream{from: q.host[0], to: q.host[1], w: c, r: s, data: randomBytes(1<<20, 4), chunk: 1 << 18, fin: true}
	start = q.sim.Now()
	q.sim.Run(time.Minute, func() bool { return up.step(t) })
	if took := time.Duration(q.sim.Now() - start); took < time.Second {
		t.Errorf("1 MiB took %v through a window of 64 KiB per 100 ms", took)
	}
}

func TestSegmentsUnwrappedByNetstack(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	k := c.pkt(wire.ACK, "through netstack")
	f := k.frame()
	b.st.Lock()
	b.net.hook(0, b.peer, b.ip4, f[wire.EthernetLen+wire.IPv4Len:])
	b.net.hook(0, b.peer, b.ip4, f[wire.EthernetLen+wire.IPv4Len:][:10])
	b.net.hook(0, netip.MustParseAddr("::ffff:10.0.0.9"), netip.MustParseAddr("fd00::1"), f[wire.EthernetLen+wire.IPv4Len:])
	f[len(f)-1]++
	b.net.hook(0, b.peer, b.ip4, f[wire.EthernetLen+wire.IPv4Len:])
	b.st.Unlock()
	buf := make([]byte, 100)
	if n, _ := b.Recv(h, buf, 0); string(buf[:n]) != "through netstack" {
		t.Errorf("received %q", buf[:n])
	}
	n := b.Counters()
	if n.RxUnwrapped != 4 || n.DropSegmentTooShort != 1 || n.DropBadChecksum != 1 || n.DropNotForUs != 1 {
		t.Errorf("unwrapped %d, too short %d, bad checksum %d, not for us %d", n.RxUnwrapped, n.DropSegmentTooShort, n.DropBadChecksum, n.DropNotForUs)
	}
	// A reset to somebody whose link address is not in the frame.
	b.turn()
	b.out = nil
	stray := packet{src: ap(b.peer, 1), dst: ap(b.ip4, 81), flags: wire.ACK, ack: 5, seq: 9}
	b.st.Lock()
	b.net.hook(0, b.peer, b.ip4, stray.frame()[wire.EthernetLen+wire.IPv4Len:])
	b.st.Unlock()
	b.turn()
	if r := b.next(); r.flags != wire.RST || r.seq != 5 {
		t.Errorf("answer: %v", r)
	}
}

func TestFramesThatAreNotOurs(t *testing.T) {
	b := newBench(t, Config{})
	b.listen(t, ap(b.ip4, 80))
	good := packet{src: ap(b.peer, 1), dst: ap(b.ip4, 80), flags: wire.SYN, wnd: 1}.frame()
	change := func(at int, v ...byte) []byte {
		f := append([]byte(nil), good...)
		copy(f[at:], v)
		wire.IPv4At(f[wire.EthernetLen:]).SetChecksum()
		return f
	}
	for name, f := range map[string][]byte{
		"empty": {}, "short": good[:20], "other MAC": change(5, 7), "broadcast": change(0, 255, 255, 255, 255, 255, 255),
		"ARP": change(12, 8, 6), "VLAN": change(12, 0x81, 0), "IP version": change(14, 0x65), "IP options": change(14, 0x46),
		"fragment": change(20, 0x20), "fragment offset": change(21, 1), "length beyond": change(16, 0, 200), "length within": change(16, 0, 10),
		"UDP": change(23, 17), "not our address": change(33, 77), "loopback source": change(26, 127, 0, 0, 1), "loopback destination": change(30, 127, 0, 0, 1),
		"broadcast source": change(26, 255, 255, 255, 255), "multicast source": change(26, 224, 0, 0, 1), "no source": change(26, 0, 0, 0, 0),
		"IP checksum": func() []byte { f := change(0); f[24]++; return f }(),
	} {
		if b.deliver(f) {
			t.Errorf("%s: taken", name)
		}
	}
	for name, f := range map[string][]byte{
		"TCP checksum": func() []byte { f := change(0); f[50]++; return f }(), "header length": change(46, 0x40), "no room": change(16, 0, 30),
	} {
		if !b.deliver(f) {
			t.Errorf("%s: not taken", name)
		}
	}
	b.turn()
	b.silent()
	n := b.Counters()
	if n.DropBadChecksum < 1 || n.DropSegmentTooShort != 1 || n.RxSYNs != 0 {
		t.Errorf("counters %+v", n)
	}
}
