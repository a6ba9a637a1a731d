package recovery

import (
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

func newEngine(t testing.TB, cfg Config) *Engine {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// BenchmarkSegmentAndACK is the common case: one segment out, acknowledged by the next ACK.
func BenchmarkSegmentAndACK(b *testing.B) {
	for _, name := range cc.Names() {
		b.Run(name, func(b *testing.B) {
			id, _ := cc.Lookup(name)
			e := newEngine(b, Config{Records: 1 << 10, Flights: 1 << 10})
			var s State
			e.Init(&s, 1)
			e.Established(&s, Options{MSS: 1460, SACK: true, CC: id})
			b.ReportAllocs()
			now := int64(1e6)
			var r Result
			for b.Loop() {
				now += 100
				if e.Allowance(&s, now) < 650 {
					b.Fatal("no window")
				}
				e.OnSend(&s, s.Nxt, 650, now, SendLast)
				a := Ack{Ack: s.Nxt, Flags: AckPure}
				now += 100
				e.OnAck(&s, &a, now, &r)
			}
			if r.Acked != 650 {
				b.Fatal(r)
			}
		})
	}
}

// BenchmarkDeadline is what the core asks after each segment and ACK.
func BenchmarkDeadline(b *testing.B) {
	e := newEngine(b, Config{Records: 16, Flights: 16})
	var s State
	var r Result
	e.Init(&s, 1)
	e.Established(&s, Options{MSS: 1460, SACK: true})
	e.OnSend(&s, s.Nxt, 1000, 1e6, 0)
	e.OnAck(&s, &Ack{Ack: s.Nxt}, 1.1e6, &r)
	e.OnSend(&s, s.Nxt, 1000, 1.1e6, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, kind := e.Deadline(&s, 1.1e6); kind != TimerProbe {
			b.Fatal(kind)
		}
	}
	e.Release(&s)
}

// BenchmarkBulk is a full window of 1000 segments, two of them acknowledged by each ACK and two sent.
func BenchmarkBulk(b *testing.B) {
	for _, sack := range []bool{false, true} {
		name := map[bool]string{false: "in order", true: "1 % lost"}[sack]
		b.Run(name, func(b *testing.B) {
			e := newEngine(b, Config{Records: 1 << 14, Flights: 4})
			var s State
			var r Result
			e.Init(&s, 1)
			e.Established(&s, Options{MSS: 1460, SACK: true, CC: cc.Cubic})
			now := int64(1e6)
			send := func() {
				s.CC.Cwnd, s.CC.Ssthresh = 1000*1460, 1000*1460
				for {
					seq, n, ok := e.NextRetransmit(&s, 1460)
					if !ok {
						break
					}
					e.OnSend(&s, seq, n, now, 0)
				}
				for e.Allowance(&s, now) >= 1460 {
					e.OnSend(&s, s.Nxt, 1460, now, 0)
				}
			}
			send()
			now += 100_000
			high, hole, holes := s.Una, uint32(0), 0
			b.ReportAllocs()
			for b.Loop() {
				now += 100
				high += 2 * 1460
				a := Ack{Ack: high, Flags: AckPure}
				if sack { // every hundredth segment is lost once; its retransmission arrives a round trip later
					if holes++; hole == 0 && holes%50 == 0 {
						hole = high
					}
					if hole != 0 {
						if high-hole < 1000*1460 {
							a.Ack, a.Blocks, a.SACK[0] = hole, 1, Block{hole + 1460, high + 1460}
						} else {
							high, hole = s.Nxt-500*1460, 0
							a.Ack = high
						}
					}
				}
				e.OnAck(&s, &a, now, &r)
				send()
			}
			e.Release(&s)
		})
	}
}

// BenchmarkHostileSACK is an ACK of four blocks of single bytes, far apart: what the worst peer costs.
func BenchmarkHostileSACK(b *testing.B) {
	e := newEngine(b, Config{Records: 1 << 14, Flights: 4})
	var s State
	var r Result
	e.Init(&s, 1)
	e.Established(&s, Options{MSS: 1460, SACK: true, CC: cc.Cubic})
	now := int64(1e6)
	s.CC.Cwnd = 1 << 30
	for range 2000 {
		now++
		e.OnSend(&s, s.Nxt, 1460, now, 0)
	}
	x := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		a := Ack{Ack: s.Una, Flags: AckPure, Blocks: 4}
		for i := range a.SACK {
			x = x*1664525 + 1013904223
			start := s.Una + x%(2000*1460-1)
			a.SACK[i] = Block{start, start + 1}
		}
		now++
		e.OnAck(&s, &a, now, &r)
	}
	b.ReportMetric(float64(e.Info(&s).Records), "records")
	e.Release(&s)
}
