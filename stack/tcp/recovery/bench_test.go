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
