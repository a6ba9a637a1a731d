package grid

import (
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
)

// TestFairness has two flows share a bottleneck of 10 Mbit/s, the second one starting when the first has filled it.
func TestFairness(t *testing.T) {
	for _, c := range []struct {
		a, b string
		jain float64 // least of Jain's index
	}{
		{"newreno", "newreno", 0.9},
		{"cubic", "cubic", 0.9},
		{"cubic", "newreno", 0.8}, // RFC 9438 §5.2: in short and slow paths CUBIC takes what Reno would
	} {
		if race && c.a != c.b {
			continue
		}
		t.Run(c.a+"-"+c.b, func(t *testing.T) {
			p := newPair(t, simnet.Config{Latency: 10 * time.Millisecond, Rate: 10e6, Buffer: 40, Seed: 1})
			a := p.dial(c.a, 80, 1<<20)
			p.run(2*time.Second, a)
			b := p.dial(c.b, 81, 1<<20)
			p.run(6*time.Second, a, b)
			got := p.run(15*time.Second, a, b)
			x, y := float64(got[0]), float64(got[1])
			jain := (x + y) * (x + y) / (2 * (x*x + y*y))
			used := (x + y) / 15 * 8 / 10e6
			t.Logf("%s %.0f kB/s, %s %.0f kB/s: Jain's index %.3f, %.1f %% of the bottleneck", c.a, x/15e3, c.b, y/15e3, jain, 100*used)
			if jain < c.jain {
				t.Errorf("Jain's index %.3f, want %.2f", jain, c.jain)
			}
			if used < 0.85 {
				t.Errorf("%.1f %% of the bottleneck is used, want 85 %%", 100*used)
			}
			a.close()
			b.close()
		})
	}
}
