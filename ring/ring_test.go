//go:build !nodpdk

package ring_test

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/fstack-go/fstack/dpdk"
	. "github.com/fstack-go/fstack/ring"
)

func TestMain(m *testing.M) {
	cfg := dpdk.Config{Lcores: []int{0}, NoHuge: true, MemoryMB: 64, FilePrefix: "ringtest", NoPCI: true}
	if err := dpdk.Init(cfg); err != nil {
		println("ring: cannot start EAL:", err.Error())
		os.Exit(1)
	}
	code := m.Run()
	dpdk.Cleanup()
	os.Exit(code)
}

func TestBurstTakesWhatFitsAndBulkAllOrNone(t *testing.T) {
	r, err := New("t0", 8, -1, SP|SC)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Cap() != 7 {
		t.Errorf("a ring of 8 holds %d, want 7", r.Cap())
	}
	in := []uintptr{1, 2, 3, 4, 5}
	if n := r.EnqueueBurst(in); n != 5 {
		t.Fatalf("took %d of 5", n)
	}
	if r.EnqueueBulk(in) {
		t.Error("took 5 in bulk with room for 2")
	}
	if n := r.EnqueueBurst([]uintptr{6, 7, 8}); n != 2 || r.Len() != 7 {
		t.Errorf("took %d of 3 with room for 2; now %d", n, r.Len())
	}
	out := make([]uintptr, 8)
	if r.DequeueBulk(out) {
		t.Error("gave 8 in bulk and has 7")
	}
	if n := r.DequeueBurst(out); n != 7 {
		t.Fatalf("gave %d of 7", n)
	}
	for i, w := range out[:7] {
		if w != uintptr(i+1) {
			t.Errorf("word %d is %d", i, w)
		}
	}
	if r.DequeueBurst(out) != 0 || !r.DequeueBulk(nil) || r.EnqueueBurst(nil) != 0 {
		t.Error("an empty ring gives, or nothing is too much")
	}
}

func TestNamesAndErrors(t *testing.T) {
	r, err := New("t1", 16, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := New("t1", 16, 0, 0); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a second ring of that name: %v, want EEXIST", err)
	}
	if _, err := New("t2", 12, 0, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("size 12: %v, want EINVAL", err)
	}
	if _, err := Lookup("none"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("Lookup of no ring: %v, want ENOENT", err)
	}
	same, err := Lookup("t1")
	if err != nil {
		t.Fatal(err)
	}
	r.EnqueueBulk([]uintptr{42})
	out := make([]uintptr, 1)
	if !same.DequeueBulk(out) || out[0] != 42 {
		t.Errorf("through the other name came %v", out)
	}
}

// TestManyToMany: every word that producers put in comes out exactly once, in each mode that allows it.
func TestManyToMany(t *testing.T) {
	r, err := New("t3", 64, -1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const producers, each = 3, 20000
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := 0; i < each; {
				if r.EnqueueBurst([]uintptr{uintptr(p*each + i + 1)}) == 1 {
					i++
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	seen := make([]bool, producers*each+1)
	last := [producers]int{-1, -1, -1}
	for got := 0; got < producers*each; {
		var out [16]uintptr
		n := r.DequeueBurst(out[:])
		if n == 0 {
			runtime.Gosched()
		}
		for _, w := range out[:n] {
			p, i := int(w-1)/each, int(w-1)%each
			if seen[w] || i <= last[p] {
				t.Fatalf("word %d came twice or out of its producer's order", w)
			}
			seen[w], last[p] = true, i
		}
		got += n
	}
	wg.Wait()
}

func BenchmarkBurst32(b *testing.B) {
	r, err := New("b0", 1024, -1, SP|SC)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	words := make([]uintptr, 32)
	b.ReportAllocs()
	for b.Loop() {
		r.EnqueueBurst(words)
		r.DequeueBurst(words)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/word")
}
