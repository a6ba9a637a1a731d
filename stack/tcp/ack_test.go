package tcp

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/wire"
)

// What arrives in one turn is acknowledged once, as where a card or GRO joins segments, but not more of it than
// net.inet.tcp.ack_stretch full segments; a sender in slow start gets an ACK for each second one (SHLD-19).
func TestStretchAckRFC9293(t *testing.T) {
	for _, c := range []struct {
		stretch string
		want    []int // ACKs for bursts of 32; the first 16 segments are acknowledged two by two
	}{
		{"44", []int{9, 1, 1}},
		{"16", []int{9, 2, 2}},
		{"2", []int{16, 16, 16}},
	} {
		b := newBench(t, Config{})
		must(t, b.SetSysctl("net.inet.tcp.ack_stretch", c.stretch))
		must(t, b.SetSysctl("net.inet.tcp.recvspace", "200000"))
		l := b.listen(t, ap(b.ip4, 80))
		peer, h := b.accept(l, 5000, synOptions)
		data := strings.Repeat("x", 1000)
		for burst, want := range c.want {
			for range 32 {
				b.deliver(peer.pkt(wire.ACK, data).frame())
				peer.seq += 1000
			}
			b.turn()
			last := uint32(0)
			for _, r := range b.out {
				last = r.ack
			}
			if len(b.out) != want || last != peer.seq {
				t.Errorf("ack_stretch=%s: burst %d of 32 full segments got %d ACKs up to %d, want %d up to %d", c.stretch, burst, len(b.out), last, want, peer.seq)
			}
			b.out = nil
			if n, err := b.Recv(h, make([]byte, 1<<16), 0); n != 32000 {
				t.Fatalf("read %d bytes: %v", n, err)
			}
			b.turn()
			b.out = nil // window updates
		}
	}
}

func TestSettingsOfWhatIsNotHere(t *testing.T) {
	b := newBench(t, Config{})
	for i := range fixedSysctls {
		name := fixedSysctls[i].name
		if err := b.SetSysctl(name, "0"); err != nil {
			t.Errorf("%s=0: %v", name, err)
		}
		if err := b.SetSysctl(name, "1"); err == nil || !strings.Contains(err.Error(), name+`: "1": there is no`) {
			t.Errorf("%s=1: %v", name, err)
		}
		if v, err := b.Sysctl(name); v != "0" || err != nil {
			t.Errorf("%s is %q, %v", name, v, err)
		}
	}
}

func TestMaxSockBuf(t *testing.T) {
	b := newBench(t, Config{})
	must(t, b.SetSysctl("kern.ipc.maxsockbuf", "10000"))
	h := b.open(t, unix.AF_INET)
	for _, name := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
		must(t, b.SetOption(h, unix.SOL_SOCKET, name, le32(50_000)))
		var v [4]byte
		if _, err := b.Option(h, unix.SOL_SOCKET, name, v[:]); err != nil || string(v[:]) != string(le32(20_000)) {
			t.Errorf("option %d: %v, %v; want twice kern.ipc.maxsockbuf", name, v, err)
		}
	}
}

func TestHostCachePurge(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	_, h := b.accept(l, 5000, synOptions)
	must2(t)(b.Send(h, make([]byte, 4000), 0))
	b.turn()
	b.deliver(icmpTooBig(b.next(), 1000))
	b.turn()
	b.out = nil
	_, h = b.accept(l, 5001, synOptions)
	if p := b.pcbs.at(uint32(h)); p.mss != 948 {
		t.Fatalf("MSS %d with a path MTU of 1000", p.mss)
	}
	must(t, b.SetSysctl("net.inet.tcp.hostcache.purgenow", "1"))
	_, h = b.accept(l, 5002, synOptions)
	if p := b.pcbs.at(uint32(h)); p.mss != 1448 {
		t.Errorf("MSS %d after the path MTU was forgotten", p.mss)
	}
}
