package tcp

import (
	"fmt"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
)

// TestReceiveQueueFollowsTheRoundTrip sends at the rate of a wire whose queue takes all that a window allows: the window
// must be large enough for the rate, and not grow with the time that bytes wait because it is large.
func TestReceiveQueueFollowsTheRoundTrip(t *testing.T) {
	const rate = 10e9
	for _, c := range []struct {
		latency time.Duration
		most    uint32  // bytes of receive queue
		least   float64 // Gbit/s in the end
	}{
		{10 * time.Microsecond, 600_000, 9}, {100 * time.Microsecond, 1_500_000, 9}, {400 * time.Microsecond, 6 << 20, 8}, {5 * time.Millisecond, 6 << 20, 2},
	} {
		t.Run(fmt.Sprint(c.latency), func(t *testing.T) {
			p := newPair(t, simnet.Config{Rate: rate, Latency: c.latency, Buffer: 10_000})
			to := ap(p.host[1].ip4, 80)
			l := p.host[1].listen(t, to)
			a, s := p.dial(l, to)
			data := randomBytes(8<<20, 1)
			var have float64
			for range 3 { // the first ones find the rate
				up := &stream{from: p.host[0], to: p.host[1], w: a, r: s, data: data, chunk: 64 << 10}
				begin := p.sim.Now()
				if !p.sim.Run(time.Minute, func() bool { up.step(t); return up.read == len(data) }) {
					t.Fatalf("stalled after %d bytes", up.read)
				}
				have = float64(len(data)) * 8 / float64(p.sim.Now()-begin)
			}
			if have < c.least {
				t.Errorf("%.1f Gbit/s, want %v", have, c.least)
			}
			if size := p.host[1].pcbs.at(uint32(s)).rcvBuf; size > c.most {
				t.Errorf("the receive queue has grown to %d bytes, want at most %d", size, c.most)
			}
			p.closeAll(a, s, l)
		})
	}
}
