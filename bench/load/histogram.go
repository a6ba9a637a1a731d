package main

import "math/bits"

// histogram counts latencies in nanoseconds, with a resolution of 1/64.
type histogram struct {
	count   uint64
	sum     int64
	max     int64
	buckets [64 << fine]uint64
}

const fine = 6 // bits below the highest that a bucket tells apart

func (h *histogram) add(d int64) {
	d = max(d, 0)
	h.count++
	h.sum += d
	h.max = max(h.max, d)
	h.buckets[bucket(uint64(d))]++
}

func bucket(d uint64) int {
	shift := max(bits.Len64(d)-fine-1, 0)
	return shift<<fine + int(d>>shift)
}

// quantile is the latency that a share of all does not exceed.
func (h *histogram) quantile(share float64) int64 {
	rank := uint64(share * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; seen > rank || seen == h.count && n > 0 {
			return min(highest(i), h.max)
		}
	}
	return h.max
}

// highest is the greatest value of a bucket.
func highest(i int) int64 {
	if i < 2<<fine {
		return int64(i)
	}
	shift := i>>fine - 1
	return int64(i-shift<<fine+1)<<shift - 1
}
