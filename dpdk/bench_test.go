//go:build !nodpdk

package dpdk

import (
	"os"
	"strings"
	"testing"
)

// BenchmarkExchange measures one exchange over virtio_user with vhost at the other end of the same process: with
// nothing to do, and per frame of a burst of 32 (one side sends, the other receives).
func BenchmarkExchange(b *testing.B) {
	if os.Getenv(child) == "" {
		b.Skip("runs in TestBenchmarkExchange, in a process of its own")
	}
	needHugepages(b, 192)
	startEAL(b, func(c *Config) { c.NoHuge, c.InMemory, c.MemoryMB = false, true, 160 })
	l := openLink(b, "", "", PortConfig{})
	for _, q := range []*QueuePair{l.virtio, l.vhost} {
		b.Run("idle/"+q.Info().Driver, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q.Exchange()
			}
		})
	}
	for _, dir := range []struct{ from, to *QueuePair }{{l.virtio, l.vhost}, {l.vhost, l.virtio}} {
		for _, size := range []int{64, 1514} {
			b.Run("burst32/"+dir.from.Info().Driver+map[int]string{64: "/64", 1514: "/1514"}[size], func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				var got int
				for i := 0; b.Loop(); i++ {
					f := dir.from.Queue().Alloc()
					f.Room()[12] = 8
					f.Len = uint16(size)
					if i%32 == 31 {
						dir.from.Exchange()
						dir.to.Exchange()
						got += len(dir.to.Queue().Rx)
					}
				}
				if got < b.N-64 {
					b.Errorf("%d frames of %d arrived", got, b.N)
				}
			})
		}
	}
}

// TestBenchmarkExchange runs the benchmark once, so that it does not rot; with FSTACK_DPDK_BENCH=1 in earnest.
func TestBenchmarkExchange(t *testing.T) {
	if os.Getenv(child) != "" {
		return
	}
	needHugepages(t, 192)
	time := "-test.benchtime=100x"
	if os.Getenv("FSTACK_DPDK_BENCH") != "" {
		time = "-test.benchtime=200ms"
	}
	out, err := spawn(t, "none", []string{"-test.bench=Exchange", time})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "allocs/op") && !strings.Contains(line, " 0 allocs/op") && time != "-test.benchtime=100x" {
			t.Errorf("allocates: %s", line)
		}
	}
}
