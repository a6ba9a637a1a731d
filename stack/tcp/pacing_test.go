package tcp

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp/cc"
	"github.com/fstack-go/fstack/stack/wire"
)

// metered is a congestion control with a fixed rate, that looks at what it is told.
type metered struct{ traits cc.Traits }

const meteredRate = 2_000_000

var (
	meteredID  = cc.Register(metered{cc.NeedsPacing | cc.OwnsRecovery})
	meteredSaw []cc.Sample
)

func (m metered) Name() string                         { return "metered" }
func (m metered) Traits() cc.Traits                    { return m.traits }
func (metered) Init(s *cc.State)                       { s.Cwnd = 1 << 20 }
func (metered) Ack(s *cc.State, k *cc.Sample)          { meteredSaw = append(meteredSaw, *k) }
func (metered) Notify(*cc.State, cc.Event, *cc.Sample) {}
func (metered) PacingRate(*cc.State, uint32) uint64    { return meteredRate }
func (b *bench) maxPacing(h stack.Handle, rate uint64) { b.t.Helper(); must(b.t, b.setRate(h, rate)) }
func (b *bench) setRate(h stack.Handle, r uint64) error {
	return b.SetOption(h, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, le64(r))
}
func le64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// sentIn has time pass in steps and returns the bytes of data that left in each. What leaves is acknowledged lag steps
// later.
func (b *bench) sentIn(c *conn, steps int, step time.Duration, lag int) []int {
	b.t.Helper()
	list := make([]int, steps)
	acks := make([]uint32, steps)
	seen := c.ack
	for i := range list {
		for _, r := range b.out {
			list[i] += len(r.payload)
			if end := r.seq + uint32(len(r.payload)); after(end, seen) {
				seen = end
			}
		}
		b.out = nil
		acks[i] = seen
		if i >= lag && acks[i-lag] != c.ack {
			c.ack = acks[i-lag]
			b.send(c.pkt(wire.ACK, ""))
		}
		b.wait(step)
	}
	return list
}

func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}

// SO_MAX_PACING_RATE: what leaves follows the rate, in bursts of two segments at most.
func TestPacingRate(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil) // MSS 536
	b.maxPacing(h, 500_000)
	must2(t)(b.Send(h, make([]byte, 30_000), 0))
	b.turn()
	if n := len(b.out); n != 2 {
		t.Fatalf("the first burst has %d segments, want 2", n)
	}
	list := b.sentIn(c, 70, time.Millisecond, 0)
	at := 0
	for i, n := range list {
		if n > 2*536 {
			t.Errorf("%d bytes left within a millisecond", n)
		}
		if at += n; at < 30_000 && (at < 500*i-1072 || at > 500*(i+1)+2*1072) {
			t.Errorf("%d bytes had left after %d ms at 500 bytes per ms", at, i)
		}
	}
	if at != 30_000 {
		t.Errorf("%d bytes left in all", at)
	}
	b.wait(time.Second)
	if u := b.Usage(); u.Timers != 0 || u.Extras != 1 {
		t.Errorf("with nothing left to send %d timers and %d extras", u.Timers, u.Extras)
	}
	if n := b.Counters().PacingWaits; n < 20 {
		t.Errorf("it waited %d times", n)
	}
	// No limit, no pace.
	b.maxPacing(h, ^uint64(0))
	must2(t)(b.Send(h, make([]byte, 5000), 0))
	b.turn()
	if n := sum(b.sentIn(c, 1, 0, 0)); n != 5000 {
		t.Errorf("%d of 5000 bytes left at once without a limit", n)
	}
	must(t, b.Close(h))
	b.wait(time.Second)
	b.Close(l)
	b.wait(5 * time.Minute)
	b.empty(t, 0)
}

// A turn that comes late makes up for a millisecond and no more, and idle time is not made up for at all.
func TestPacingBurstsAreBounded(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	b.maxPacing(h, 2_000_000) // a burst of 1953 bytes, so four segments
	must2(t)(b.Send(h, make([]byte, 60_000), 0))
	b.turn()
	if n := sum(b.sentIn(c, 1, 0, 0)); n != 4*536 {
		t.Errorf("the first burst has %d bytes", n)
	}
	b.pcbs.at(uint32(h)).rec.CC.Cwnd = 1 << 20
	b.now += int64(50 * time.Millisecond)
	b.turn()
	if n := sum(b.sentIn(c, 1, 0, 0)); n < 4*536 || n > 1953+2000+536 {
		t.Errorf("%d bytes left at once after a turn that was late", n)
	}
	b.sentIn(c, 60, time.Millisecond, 0)
	b.wait(10 * time.Second)
	b.out = nil
	must2(t)(b.Send(h, make([]byte, 20_000), 0))
	b.turn()
	if n := sum(b.sentIn(c, 1, 0, 0)); n != 4*536 {
		t.Errorf("%d bytes left at once after idle time", n)
	}
}

// What is sent again is paced as well.
func TestPacingOfRetransmissions(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	must2(t)(b.Send(h, make([]byte, 5000), 0))
	b.turn()
	b.out = nil
	b.maxPacing(h, 500_000)
	b.pcbs.at(uint32(h)).rec.CC.Cwnd = 1 << 20
	b.st.Lock()
	b.rec.SetMSS(&b.pcbs.at(uint32(h)).rec, 200) // all of it is to be sent again
	p := b.pcbs.at(uint32(h))
	p.mss = 200
	p.flags |= flagRetransmit
	b.mark(uint32(h), p)
	b.st.Unlock()
	b.turn()
	if n := len(b.out); n != 3 {
		t.Fatalf("%d segments at once, want a burst of 3", n)
	}
	if n := sum(b.sentIn(c, 3, time.Millisecond, 0)); n < 1000 || n > 2200 {
		t.Errorf("%d bytes in 2 ms", n)
	}
	b.sentIn(c, 20, time.Millisecond, 0)
	if p.rec.Una != p.rec.Nxt {
		t.Errorf("%d bytes are not acknowledged", p.rec.Nxt-p.rec.Una)
	}
}

// A congestion control that needs pacing has it, and gets delivery rate samples and round trip times.
func TestPacingByCongestionControl(t *testing.T) {
	meteredSaw = nil
	b := newBench(t, Config{})
	must(t, b.SetSysctl("net.inet.tcp.cc.algorithm", "metered"))
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, synOptions)
	if p := b.pcbs.at(uint32(h)); p.rec.CC.Algorithm() != meteredID || !p.has(flagPaced) {
		t.Fatalf("algorithm %d, paced %v", p.rec.CC.Algorithm(), p.has(flagPaced))
	}
	must2(t)(b.Send(h, make([]byte, 60_000), 0))
	b.turn()
	if n := len(b.out); n != 2 {
		t.Fatalf("the first burst has %d segments, want 2", n)
	}
	list := b.sentIn(c, 25, time.Millisecond, 5)
	if n := sum(list); n < 46_000 || n > 54_000 {
		t.Errorf("%d bytes in 25 ms at 2 MB/s", n)
	}
	if len(meteredSaw) < 10 {
		t.Fatalf("%d samples", len(meteredSaw))
	}
	for _, k := range meteredSaw[len(meteredSaw)-5:] {
		rate := k.Rate.BytesPerSecond()
		if rate < meteredRate*7/10 || rate > meteredRate*13/10 || k.RTT < 4500 || k.RTT > 6500 || k.MinRTT == 0 || k.Rate.InFlight == 0 || k.Rate.AppLimited {
			t.Errorf("rate %d B/s, %+v", rate, k)
		}
	}
	var info [tcpInfoMost]byte
	must2(t)(b.Option(h, unix.IPPROTO_TCP, unix.TCP_INFO, info[:]))
	if r, m := binary.NativeEndian.Uint64(info[104:]), binary.NativeEndian.Uint64(info[112:]); r != meteredRate || m != noRate {
		t.Errorf("TCP_INFO tells a rate of %d, at most %d", r, m)
	}
	b.maxPacing(h, 300_000)
	must2(t)(b.Option(h, unix.IPPROTO_TCP, unix.TCP_INFO, info[:]))
	if r, m := binary.NativeEndian.Uint64(info[104:]), binary.NativeEndian.Uint64(info[112:]); r != 300_000 || m != 300_000 {
		t.Errorf("TCP_INFO tells a rate of %d, at most %d", r, m)
	}
	must(t, b.SetOption(h, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("cubic")))
	must(t, b.setRate(h, ^uint64(0)))
	if b.pcbs.at(uint32(h)).has(flagPaced) {
		t.Error("it is paced although nothing asks for it")
	}
}

func TestMaxPacingRateOption(t *testing.T) {
	b := newBench(t, Config{})
	h := b.open(t, unix.AF_INET)
	get := func(size int) uint64 {
		v := make([]byte, size)
		n, err := b.Option(h, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, v)
		if err != nil || n != size {
			t.Fatalf("%d bytes of %d: %v", n, size, err)
		}
		if size == 4 {
			return uint64(binary.NativeEndian.Uint32(v))
		}
		return binary.NativeEndian.Uint64(v)
	}
	if get(8) != ^uint64(0) || get(4) != 1<<32-1 {
		t.Errorf("limit of a new socket: %#x, %#x", get(8), get(4))
	}
	b.maxPacing(h, 1<<33)
	if get(8) != 1<<33 || get(4) != 1<<32-1 {
		t.Errorf("after 2^33: %#x, %#x", get(8), get(4))
	}
	must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, le32(5000)))
	if get(8) != 5000 || get(4) != 5000 {
		t.Errorf("after 5000: %d, %d", get(8), get(4))
	}
	must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, le32(-1)))
	if get(8) != ^uint64(0) {
		t.Errorf("after ~0: %#x", get(8))
	}
	if err := b.SetOption(h, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, []byte{1}); err != unix.EINVAL {
		t.Errorf("one byte: %v", err)
	}
	// All connections, by setting.
	must(t, b.SetSysctl("net.inet.tcp.pacing", "1"))
	l := b.listen(t, ap(b.ip4, 80))
	if _, h := b.accept(l, 5000, nil); !b.pcbs.at(uint32(h)).has(flagPaced) {
		t.Error("net.inet.tcp.pacing=1 does not pace")
	}
}

// Over a wire that loses and reorders a paced transfer is whole, and as fast as its limit, not faster.
func TestPacedTransferOverBadWire(t *testing.T) {
	for _, wide := range []bool{false, true} {
		p := newPair(t, simnet.Config{Latency: 5 * time.Millisecond, Loss: 0.005, Reorder: 0.01, Seed: 5})
		to := ap(p.host[1].ip4, 80)
		l := p.host[1].listen(t, to)
		c, s := p.dial(l, to)
		const rate, size = 2_000_000, 4_000_000
		must(t, p.host[0].SetOption(c, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, le64(rate)))
		if wide {
			must(t, p.host[0].SetOption(c, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("metered"))) // no window limits
		}
		began := p.sim.Now()
		p.transfer(c, s, size, time.Minute)
		took := time.Duration(p.sim.Now() - began)
		if least := time.Second * size / rate; took < least || took > 2*least {
			t.Errorf("%d bytes at %d bytes per second took %v", size, rate, took)
		}
		p.closeAll(c, s, l)
	}
}
