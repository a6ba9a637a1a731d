package grid

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
)

var update = flag.Bool("update", false, "write the golden file anew")

const (
	golden  = "testdata/grid.golden"
	rate    = 50e6 // bits per second
	segment = 1448 // payload beside a timestamp
)

// cell is one point of the grid.
type cell struct {
	algorithm string
	loss      float64 // share of frames lost, each way
	rtt       time.Duration
	window    int // bytes
}

// cells are the grid in the order of the table.
func cells() (list []cell) {
	for _, algorithm := range []string{"newreno", "cubic"} {
		for _, loss := range []float64{0, 0.001, 0.01, 0.05} {
			for _, rtt := range []time.Duration{2 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
				for _, window := range []int{16 << 10, 128 << 10, 1 << 20} {
					list = append(list, cell{algorithm, loss, rtt, window})
				}
			}
		}
	}
	return list
}

// measure is the throughput of a cell in bytes per second: of the second half of a transfer that is longer the more
// chance has to say.
func (c cell) measure(t *testing.T, seed uint64) float64 {
	p := newPair(t, simnet.Config{Latency: c.rtt / 2, Rate: rate, Buffer: 64, Loss: c.loss, Seed: seed})
	f := p.dial(c.algorithm, 80, c.window)
	span := min(max(50*c.rtt, 500*time.Millisecond), 4*time.Second)
	if c.loss >= 0.01 {
		span = min(max(300*c.rtt, 3*time.Second), 30*time.Second)
	}
	p.run(span, f)
	got := p.run(span, f)[0]
	f.close()
	p.sim.Sleep(time.Minute)
	for i, h := range p.host {
		if u := h.Usage(); u.PCBs != 0 || u.Chunks != 0 || u.Records != 0 || u.Flights != 0 {
			t.Errorf("%v: host %d has in use at the end: %+v", c, i, u)
		}
	}
	return float64(got) / span.Seconds()
}

// promised is the least that the cell should reach: some of what the path, the window and the response function to
// loss permit. The functions are of Mathis et al., √(3/2p) segments a round trip, and RFC 9438 §5.1's; a short
// measurement of random losses scatters, and where windows are a few segments timeouts are part of the game.
func (c cell) promised() float64 {
	limit := min(rate/8*segment/1538, float64(c.window)/c.rtt.Seconds())
	if c.loss == 0 {
		return 0.4 * limit // a buffer of 64 frames is less than the path holds at 100 ms: windows overflow it
	}
	w := math.Sqrt(1.5 / c.loss)
	if c.algorithm == "cubic" {
		w = max(w, 1.054*math.Pow(c.rtt.Seconds()/c.loss, 0.75))
	}
	share := 0.4
	if c.loss >= 0.05 {
		share = 0.25
	}
	return share * min(limit, w*segment/c.rtt.Seconds())
}

func TestGrid(t *testing.T) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Throughput in kB/s over %d Mbit/s with a buffer of 64 frames, by the receiver's window.\n", int(rate/1e6))
	fmt.Fprintf(&out, "# Written by go test ./test/grid -update.\n%-8s %6s %7s %9s %9s %9s\n", "cc", "loss", "rtt", "16K", "128K", "1M")
	row := ""
	list := cells()
	for i, c := range list { // the same losses for each algorithm
		if race && i%9 != 5 { // 20 ms, the largest window
			continue
		}
		if i%3 == 0 {
			row = fmt.Sprintf("%-8s %5.1f%% %7v", c.algorithm, 100*c.loss, c.rtt)
		}
		got := c.measure(t, uint64(1+i%(len(list)/2)))
		if got < c.promised() {
			t.Errorf("%s at %.1f %% loss, %v, window %d: %.0f kB/s, want at least %.0f", c.algorithm, 100*c.loss, c.rtt, c.window, got/1e3, c.promised()/1e3)
		}
		row += fmt.Sprintf(" %9.1f", got/1e3)
		if i%3 == 2 {
			fmt.Fprintln(&out, row)
		}
	}
	if race {
		return
	}
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := compare(string(want), out.String()); diff != "" {
		t.Errorf("throughput differs from %s (if that is meant: go test ./test/grid -update):\n%s", golden, diff)
	}
}

// compare shows the lines that differ.
func compare(want, got string) (diff string) {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			diff += "- " + a + "\n+ " + b + "\n"
		}
	}
	return diff
}
