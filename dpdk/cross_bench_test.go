//go:build !nodpdk

package dpdk

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkHand measures what it costs to hand a packet over, in bursts of 32: the frame goes by pointer, is received at
// the other end, given back and freed. Nothing is sent or received by the device, net_null. With one loop both ends take
// turns on one CPU, so the time is the work of both; with two loops it is the time of the slower one, cache misses
// included.
func BenchmarkHand(b *testing.B) {
	if os.Getenv(child) == "" {
		b.Skip("runs in TestBenchmarkHand, in a process of its own")
	}
	needHugepages(b, 96)
	startEAL(b, func(c *Config) { c.NoHuge, c.InMemory, c.MemoryMB = false, true, 64 })
	m, err := NewMesh(MeshConfig{Slots: 3})
	if err != nil {
		b.Fatal(err)
	}
	ids, err := AddVdev("net_null0", "size=64", nil)
	if err != nil {
		b.Fatal(err)
	}
	p, err := OpenPort(PortConfig{ID: ids[0], Mesh: m})
	if err != nil {
		b.Fatal(err)
	}
	q0, q1 := slotQueue(b, p, 0, Direct(0)), slotQueue(b, p, 1, Via(0))
	// net_null gives a burst at each exchange.
	b.Run("none/one loop", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%32 == 0 {
				q0.Exchange()
			}
		}
	})
	b.Run("hand/one loop", func(b *testing.B) {
		b.ReportAllocs()
		got := 0
		for i := 0; b.Loop(); i++ {
			rx := q0.Queue().Rx
			if i%32 == 0 {
				q0.Exchange()
				q1.Exchange()
				got += len(q1.Queue().Rx)
				rx = q0.Queue().Rx
			}
			if j := i % 32; j < len(rx) {
				q0.Hand(rx[j:j+1], 1, 0)
			}
		}
		if got < b.N-128 {
			b.Errorf("%d frames of %d arrived: %+v", got, b.N, q0.Counters())
		}
	})
	b.Run("hand/two loops", func(b *testing.B) {
		var stop atomic.Bool
		done := make(chan bool)
		go func() {
			for !stop.Load() {
				q1.Exchange()
			}
			close(done)
		}()
		b.ResetTimer()
		handed := 0
		for handed < b.N {
			q0.Exchange()
			for rx := q0.Queue().Rx; len(rx) > 0; rx = rx[1:] {
				if !q0.Hand(rx[:1], 1, 0) {
					break // full: the other loop has to catch up
				}
				handed++
			}
		}
		b.StopTimer()
		q0.Exchange()
		stop.Store(true)
		<-done
		for range 50 {
			q0.Exchange()
			q1.Exchange()
		}
		if out, in := q0.Counters().HandedOut, q1.Counters().HandedIn; out != in {
			b.Errorf("%d frames handed over, %d arrived", out, in)
		}
	})
}

// TestBenchmarkHand runs the benchmark once, so that it does not rot; with FSTACK_DPDK_BENCH=1 in earnest.
func TestBenchmarkHand(t *testing.T) {
	if os.Getenv(child) != "" {
		return
	}
	time := "-test.benchtime=1000x"
	if os.Getenv("FSTACK_DPDK_BENCH") != "" {
		time = "-test.benchtime=300ms"
	}
	out, err := spawn(t, "none", []string{"-test.bench=Hand", time})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "allocs/op") && !strings.Contains(line, " 0 allocs/op") && time != "-test.benchtime=1000x" {
			t.Errorf("allocates: %s", line)
		}
	}
}
