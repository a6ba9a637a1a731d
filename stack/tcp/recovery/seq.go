package recovery

// Comparisons of sequence numbers and of times in µs, both modulo 2^32 (RFC 9293 §3.4).
func seqLT(a, b uint32) bool  { return int32(a-b) < 0 }
func seqLEQ(a, b uint32) bool { return int32(a-b) <= 0 }

// sentAfter orders transmissions by time, and those of one time by sequence (RFC 8985 §6.2, RACK_sent_after).
func sentAfter(t1, end1, t2, end2 uint32) bool {
	if t1 != t2 {
		return seqLT(t2, t1)
	}
	return seqLT(end2, end1)
}
