package recovery

import (
	"fmt"
	"math"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// goodput runs a flow for a time after a warm-up and returns its bytes per second.
func goodput(s *sim, f *flow, warm, span int64) float64 {
	s.run(warm, nil)
	from := f.s.Una
	s.run(span, nil)
	return float64(f.s.Una-from) / float64(span) * 1e6
}

// TestResponseFunction compares the throughput under loss with the formulae: Reno's is that of Mathis et al., √(3/2p) segments
// a round trip; CUBIC's is RFC 9438 §5.1, equation 6, or Reno's where that is more (§5.2).
func TestResponseFunction(t *testing.T) {
	const mss, rtt = 1460, 0.1
	for _, c := range []struct {
		cc   cc.ID
		loss float64 // 1/n: every so many-th packet
		rand bool
		low  float64 // measured over formula
		high float64
	}{
		{cc.NewReno, 1e-2, false, 0.8, 1.15},
		{cc.NewReno, 1e-3, false, 0.85, 1.15},
		{cc.NewReno, 1e-2, true, 0.6, 1.2},
		{cc.Cubic, 1e-2, false, 0.8, 1.3},
		{cc.Cubic, 1e-3, false, 0.8, 1.3},
		{cc.Cubic, 1e-4, false, 0.8, 1.3},
	} {
		t.Run(fmt.Sprint(c.cc.Name(), c.loss, c.rand), func(t *testing.T) {
			p := faults{delay: rtt / 2 * 1e6, every: int(1 / c.loss)}
			if c.rand {
				p.every, p.loss = 0, c.loss
			}
			s := newSim(t, 1, p)
			f := s.flow(flowConfig{mss: mss, total: 1 << 31, cc: c.cc, sack: true, stamp: true})
			want := math.Sqrt(1.5 / c.loss)
			if c.cc == cc.Cubic {
				want = max(want, math.Pow(0.4*3.7/1.2, 0.25)*math.Pow(rtt/c.loss, 0.75))
			}
			cycle := int64(1 / c.loss / want * rtt * 1e6) // time between two losses
			got := goodput(s, f, 10*cycle, 25*cycle)
			want *= mss / rtt
			t.Logf("%.0f bytes/s, formula %.0f: %.2f; %d RTOs", got, want, got/want, f.e.counters.Timeouts)
			if got < c.low*want || got > c.high*want {
				t.Errorf("%.2f of the formula, want %.2f … %.2f", got/want, c.low, c.high)
			}
		})
	}
}

// TestFairness runs two flows through one bottleneck: started apart, they must share it in the end.
func TestFairness(t *testing.T) {
	for _, id := range []cc.ID{cc.NewReno, cc.Cubic} {
		t.Run(id.Name(), func(t *testing.T) {
			s := newSim(t, 1, faults{delay: 20_000, rate: 1.25e6, buffer: 50_000})
			a := s.flow(flowConfig{mss: 1460, total: 1 << 31, cc: id, sack: true, stamp: true})
			s.run(20e6, nil)
			b := s.flow(flowConfig{mss: 1460, total: 1 << 31, cc: id, sack: true, stamp: true})
			s.run(40e6, nil)
			fromA, fromB := a.s.Una, b.s.Una
			s.run(60e6, nil)
			x, y := float64(a.s.Una-fromA), float64(b.s.Una-fromB)
			jain := (x + y) * (x + y) / (2 * (x*x + y*y))
			used := (x + y) / 60 / 1.25e6
			t.Logf("%.0f and %.0f bytes: fairness %.3f, use %.3f", x, y, jain, used)
			if jain < 0.9 {
				t.Errorf("Jain's index %.3f, want 0.9", jain)
			}
			if used < 0.9 {
				t.Errorf("the bottleneck is used by %.3f, want 0.9", used)
			}
		})
	}
}

// TestHyStart starts into a buffer of 16 times the path: HyStart++ must leave slow start because of the delay, before the
// buffer overflows (RFC 9406 §4). Without it the window would double until it does.
func TestHyStart(t *testing.T) {
	const rate, delay = 1.25e6, 25_000 // 10 Mbit/s, 50 ms
	bdp := uint32(rate * 2 * delay / 1e6)
	for _, id := range []cc.ID{cc.NewReno, cc.Cubic} {
		s := newSim(t, 1, faults{delay: delay, rate: rate, buffer: int(16 * bdp)})
		f := s.flow(flowConfig{mss: 1460, total: 1 << 31, cc: id, sack: true, stamp: true, delay: 40_000})
		if !s.run(20e6, func() bool { return f.s.CC.Ssthresh != cc.Unlimited }) {
			t.Fatal("slow start never ended")
		}
		t.Logf("%s: left slow start after %d ms with a window of %.1f times the path, %d packets lost", id.Name(), (s.now-1e6)/1000, float64(f.s.CC.Cwnd)/float64(bdp), s.lost)
		if s.lost != 0 {
			t.Errorf("%s: %d packets lost before slow start ended", id.Name(), s.lost)
		}
		if f.s.CC.Cwnd < bdp || f.s.CC.Cwnd > 12*bdp {
			t.Errorf("%s: left slow start with a window of %d bytes, the path holds %d", id.Name(), f.s.CC.Cwnd, bdp)
		}
	}
}
