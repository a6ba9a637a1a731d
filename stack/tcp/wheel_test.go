package tcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

func TestWheelFiresInTimeNeverEarly(t *testing.T) {
	var pcbs slab[pcb]
	if err := pcbs.open(5000); err != nil {
		t.Fatal(err)
	}
	defer pcbs.close()
	r := rand.New(rand.NewPCG(3, 4))
	start := int64(77 * time.Hour)
	w := wheel{pcbs: &pcbs, now: uint64(start) >> tickBits}
	due := map[uint32]int64{}
	add := func(now int64) {
		i := pcbs.alloc()
		p := pcbs.at(i)
		*p = pcb{}
		d := r.Int64N(1 << (10 + r.IntN(43))) // up to 100 days
		due[i] = now + d
		w.arm(i, p, now+d)
	}
	for range 2000 {
		add(start)
	}
	for i := range due { // some are taken off, some come earlier
		switch r.IntN(4) {
		case 0:
			w.disarm(i, pcbs.at(i))
			delete(due, i)
			pcbs.release(i)
		case 1:
			due[i] = start + (due[i]-start)/3
			w.arm(i, pcbs.at(i), due[i])
		}
	}
	const tick = 1 << tickBits
	now := start
	for len(due) > 0 {
		next := w.next()
		if next == stack.Never {
			t.Fatalf("nothing is to fire, but %d timers are set", len(due))
		}
		if next <= now {
			t.Fatalf("next is %d, now %d", next, now)
		}
		now = next
		w.advance(now, func(i uint32, p *pcb) {
			at, ok := due[i]
			if !ok {
				t.Fatalf("timer %d fired without being set", i)
			}
			if now < at {
				t.Fatalf("timer %d fired %d ns early", i, at-now)
			}
			if now-at >= 2*tick {
				t.Fatalf("timer %d fired %d ns late", i, now-at)
			}
			delete(due, i)
			pcbs.release(i)
			if len(due) > 100 && r.IntN(3) == 0 {
				add(now)
			}
		})
	}
	if w.armed != 0 || w.next() != stack.Never {
		t.Errorf("%d armed at the end", w.armed)
	}
}

func TestWheelIsLazy(t *testing.T) {
	var pcbs slab[pcb]
	if err := pcbs.open(10); err != nil {
		t.Fatal(err)
	}
	defer pcbs.close()
	w := wheel{pcbs: &pcbs}
	i := pcbs.alloc()
	p := pcbs.at(i)
	*p = pcb{}
	w.arm(i, p, 1e9)
	before := p.wheelPrev
	w.arm(i, p, 2e9) // later: nothing moves
	if p.wheelAt != 1e9 || p.wheelPrev != before {
		t.Error("a later deadline moved the entry")
	}
	w.advance(10e9, func(uint32, *pcb) {})
	if p.wheelAt != 0 || w.armed != 0 {
		t.Error("it did not fire once")
	}
}

func BenchmarkWheel(b *testing.B) {
	var pcbs slab[pcb]
	if err := pcbs.open(1000); err != nil {
		b.Fatal(err)
	}
	defer pcbs.close()
	w := wheel{pcbs: &pcbs}
	for range 1000 {
		i := pcbs.alloc()
		*pcbs.at(i) = pcb{}
		w.arm(i, pcbs.at(i), int64(i)*200_000)
	}
	now := int64(0)
	b.ReportAllocs()
	for range b.N {
		now += 200_000
		w.advance(now, func(i uint32, p *pcb) { w.arm(i, p, now+200_000_000) })
	}
}
