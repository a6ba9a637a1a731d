package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHistogram compares quantiles with those of the sorted values.
func TestHistogram(t *testing.T) {
	for _, span := range []int64{50, 1000, 1e6, 1e12} {
		var h histogram
		r := rand.New(rand.NewPCG(1, uint64(span)))
		var all []int64
		for range 10001 {
			d := r.Int64N(span)
			h.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, q := range []float64{0, .5, .9, .99, .999, 1} {
			want := all[min(int(q*float64(len(all))), len(all)-1)]
			if got := h.quantile(q); got < want || float64(got) > float64(want)*(1+1./64)+1 {
				t.Errorf("below %d: quantile %v is %d, want %d", span, q, got, want)
			}
		}
		if h.quantile(1) != h.max {
			t.Errorf("below %d: quantile 1 is %d, max %d", span, h.quantile(1), h.max)
		}
	}
	for _, d := range []int64{-1, 0, 1, 1<<63 - 1} { // stays within the buckets
		var h histogram
		h.add(d)
		if d := max(d, 0); h.quantile(.5) != d || h.max != d {
			t.Errorf("%d alone: median %d", d, h.quantile(.5))
		}
	}
}
