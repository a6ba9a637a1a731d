package tcp

import "testing"

func TestSlabGrowsNeverMovesAndReuses(t *testing.T) {
	type item struct{ a, b, c uint64 }
	var s slab[item]
	if err := s.open(200_000); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	first := s.at(s.alloc())
	first.a = 42
	for i := uint32(2); i <= 200_000; i++ {
		if j := s.alloc(); j != i {
			t.Fatalf("alloc gave %d, want %d", j, i)
		}
		*s.at(i) = item{uint64(i), uint64(i), uint64(i)}
	}
	if s.alloc() != 0 {
		t.Error("alloc went beyond the limit")
	}
	if first.a != 42 || s.at(1) != first {
		t.Error("an element moved")
	}
	for i := uint32(2); i <= 200_000; i++ {
		if *s.at(i) != (item{uint64(i), uint64(i), uint64(i)}) {
			t.Fatalf("element %d was overwritten", i)
		}
	}
	s.release(7)
	s.release(9)
	if s.alloc() != 9 || s.alloc() != 7 || s.alloc() != 0 || s.used != 200_000 {
		t.Error("released elements do not come back, latest first")
	}
}

func TestSlabRefusesGoPointers(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a slab of pointers was made")
		}
	}()
	var s slab[struct{ p *int }]
	s.open(1)
}

func TestSlabOfLargeElementsReachesItsLimit(t *testing.T) {
	for _, limit := range []int{1, 7, 100, 256, 1000} {
		var s slab[loopSlot]
		if err := s.open(limit); err != nil {
			t.Fatal(err)
		}
		for n := range limit {
			i := s.alloc()
			if i == 0 {
				t.Fatalf("alloc %d of %d failed", n+1, limit)
			}
			s.at(i)[len(loopSlot{})-1] = 1
		}
		if s.alloc() != 0 {
			t.Errorf("limit %d: one more", limit)
		}
		s.close()
	}
}
