package recovery

import "testing"

// A step of a slab need not end where a value ends.
func TestSlabGrowsPastItsSteps(t *testing.T) {
	for _, n := range []int{1, 5000, 1 << 14} {
		s, err := newSlab[flight](n)
		if err != nil {
			t.Fatal(err)
		}
		odd, err := newSlab[[7]uint32](n)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			i, j := s.alloc(), odd.alloc()
			if i == 0 || j == 0 {
				t.Fatalf("%d and %d of %d values", s.used, odd.used, n)
			}
			*s.at(i) = flight{recover: i}
			*odd.at(j) = [7]uint32{6: j}
		}
		if s.alloc() != 0 || odd.alloc() != 0 {
			t.Errorf("more than %d values", n)
		}
		for i := uint32(1); i <= uint32(n); i++ {
			if s.at(i).recover != i || odd.at(i)[6] != i {
				t.Fatalf("value %d of %d is another's", i, n)
			}
		}
		s.close()
		odd.close()
	}
}
