package tcp

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/tcp/cc"
	"github.com/fstack-go/fstack/stack/wire"
)

// marked is a congestion control that needs ECN.
type marked struct{ metered }

var markedID = cc.Register(marked{metered{cc.NeedsECN}})

func (marked) Name() string { return "marked" }

// A congestion control that needs ECN has it whatever the setting says; its ACKs tell for each byte whether it met
// congestion, and it is told how many of its own did.
func TestExactCongestionEchoRFC8257(t *testing.T) {
	meteredSaw = nil
	b := newBench(t, Config{})
	must(t, b.SetSysctl("net.inet.tcp.ecn.enable", "0"))
	must(t, b.SetSysctl("net.inet.tcp.cc.algorithm", "marked"))
	l := b.listen(t, ap(b.ip4, 80))
	c := &conn{b: b, src: ap(b.peer, 5000), dst: ap(b.ip4, 80), seq: 1000}
	b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN | wire.ECE | wire.CWR, seq: c.seq, wnd: 60000})
	r := b.next()
	if r.flags != wire.SYN|wire.ACK|wire.ECE {
		t.Fatalf("answer to a SYN that asks for ECN: %v", r)
	}
	c.seq, c.ack = c.seq+1, r.seq+1
	b.send(c.pkt(wire.ACK, ""))
	h, _, err := b.Accept(l)
	must(t, err)
	if p := b.pcbs.at(uint32(h)); p.rec.CC.Algorithm() != markedID || !p.has(flagExactCE) {
		t.Fatalf("algorithm %d, exact echo %v", p.rec.CC.Algorithm(), p.has(flagExactCE))
	}
	must(t, b.SetOption(h, unix.IPPROTO_TCP, unix.TCP_QUICKACK, le32(0)))
	data := func(ce bool) {
		k := c.pkt(wire.ACK, "0123456789")
		k.tos = ecnECT0
		if ce {
			k.tos = ecnCE
		}
		b.send(k)
		c.seq += 10
	}
	data(false)
	b.silent() // delayed
	data(true) // what was delayed is told first, without ECE
	if r := b.next(); r.flags != wire.ACK || r.ack != c.seq-10 {
		t.Errorf("when a mark comes: %v, want ACK of what came before", r)
	}
	b.silent()
	data(true)
	b.silent()
	data(false)
	if r := b.next(); r.flags != wire.ACK|wire.ECE || r.ack != c.seq-10 {
		t.Errorf("when the marks end: %v, want ECE for the marked", r)
	}
	b.silent()
	b.wait(50e6)
	if r := b.next(); r.flags != wire.ACK || r.ack != c.seq {
		t.Errorf("after the delay: %v", r)
	}

	must2(t)(b.Send(h, make([]byte, 2000), 0))
	b.turn()
	b.out = nil
	c.ack += 1500
	b.send(c.pkt(wire.ACK|wire.ECE, ""))
	c.ack += 500
	b.send(c.pkt(wire.ACK, ""))
	if len(meteredSaw) != 2 || meteredSaw[0].CE != 1500 || meteredSaw[1].CE != 0 {
		t.Errorf("samples %+v, want 1500 and 0 marked bytes", meteredSaw)
	}

	active := b.open(t, unix.AF_INET)
	b.Connect(active, ap(b.peer, 80))
	b.out = nil
	b.turn()
	if r := b.next(); r.flags != wire.SYN|wire.ECE|wire.CWR {
		t.Errorf("SYN: %v, want one that asks for ECN", r)
	}
}
