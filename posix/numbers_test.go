package posix

import (
	"math/rand/v2"
	"testing"
)

func TestNumbersGiveTheLowestFree(t *testing.T) {
	var s numbers
	model := make([]bool, 20_000)
	count := 0
	lowest := func(from int) int {
		for model[from] {
			from++
		}
		return from
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		from := 0
		if r.IntN(4) == 0 {
			from = r.IntN(9000)
		}
		if r.IntN(100) < 52 {
			n := s.next(from)
			if want := lowest(from); n != want {
				t.Fatalf("next(%d) = %d, want %d", from, n, want)
			}
			s.add(n)
			model[n] = true
			count++
		} else if n := r.IntN(10_000); model[n] {
			s.remove(n)
			model[n] = false
			count--
		}
	}
}

func TestNumbersEnd(t *testing.T) {
	var s numbers
	const size = 1 << 24
	if n := s.next(size - 1); n != size-1 {
		t.Errorf("next(%d) = %d", size-1, n)
	}
	s.add(size - 1)
	if n := s.next(size - 1); n != -1 {
		t.Errorf("past the last: %d, want -1", n)
	}
	if maxFiles < size {
		t.Skip("filling 16,777,216 numbers takes long with the race detector")
	}
	for n := range size {
		if got := s.next(0); got != n && n != size-1 {
			t.Fatalf("next(0) = %d, want %d", got, n)
		}
		s.add(n)
	}
	if n := s.next(0); n != -1 {
		t.Errorf("full: %d, want -1", n)
	}
	s.remove(12345)
	if n := s.next(0); n != 12345 {
		t.Errorf("next(0) = %d, want 12345", n)
	}
}

func BenchmarkLowestNumberOfAMillion(b *testing.B) {
	var s numbers
	for n := range 1 << 20 {
		s.add(n)
	}
	i := 0
	for b.Loop() {
		s.remove(i)
		s.add(s.next(0))
		i = (i + 7919) & (1<<20 - 1)
	}
}
