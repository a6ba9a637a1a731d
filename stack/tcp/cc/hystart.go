package cc

// HyStart++, RFC 9406: leaves the first slow start when round trips grow longer, by way of a conservative slow start
// (CSS) that returns if that was only jitter. Its round trips are those of sequence numbers; its four words are
// free afterwards, since it is for the initial slow start only (§4.3).
const (
	hyRound    = 4 + iota // sequence number that ends the round trip (windowEnd)
	hyCurrent             // least RTT of this round trip, µs, 0: none yet
	hyLast                // least RTT of the one before; in CSS: cssBaselineMinRtt
	hyProgress            // RTT samples of this round trip, and 2^16 × round trips in CSS
)

// Constants of RFC 9406 §4.3.
const (
	hyMinThresh  = 4000 // µs
	hyMaxThresh  = 16000
	hyDivisor    = 8
	hySamples    = 8
	cssDivisor   = 4
	cssRounds    = 5
	hyStartLimit = 8 // L without pacing
)

// hystart is one ACK in the initial slow start. It may set the threshold to end it.
func (s *State) hystart(k *Sample) {
	w := &s.words
	if k.RTT != 0 {
		if w[hyCurrent] == 0 || k.RTT < w[hyCurrent] {
			w[hyCurrent] = k.RTT
		}
		if w[hyProgress]&0xffff < 0xffff {
			w[hyProgress]++
		}
	}
	acked := k.Acked
	if s.flags&inCSS != 0 { // §4.2: growth is a quarter
		acked = min(acked, s.segments(hyStartLimit)) / cssDivisor
	}
	s.slowStart(acked, hyStartLimit)
	if w[hyProgress]&0xffff >= hySamples {
		s.hystartCheck(w)
	}
	if seqGEQ(k.Una, w[hyRound]) {
		s.hystartRound(w, k.Nxt)
	}
}

// hystartCheck compares the round trip's least RTT with the baseline.
func (s *State) hystartCheck(w *[8]uint32) {
	if s.flags&inCSS != 0 {
		if w[hyCurrent] < w[hyLast] { // the delay was jitter: slow start again
			s.flags &^= inCSS
			w[hyProgress] &= 0xffff
		}
		return
	}
	if w[hyLast] == 0 {
		return
	}
	thresh := min(max(w[hyLast]/hyDivisor, hyMinThresh), hyMaxThresh)
	if w[hyCurrent] >= w[hyLast]+thresh {
		s.flags |= inCSS
		w[hyLast] = w[hyCurrent]
		w[hyProgress] &= 0xffff
	}
}

// hystartRound begins a round trip that ends when nxt is acknowledged.
func (s *State) hystartRound(w *[8]uint32, nxt uint32) {
	css := w[hyProgress] >> 16
	if s.flags&inCSS == 0 {
		w[hyLast] = w[hyCurrent]
	} else if css++; css >= cssRounds {
		s.endHystart()
		s.Ssthresh = s.Cwnd
		return
	}
	w[hyRound], w[hyCurrent], w[hyProgress] = nxt, 0, css<<16
}

// endHystart gives HyStart++'s words back at the end of the first slow start (§4.3).
func (s *State) endHystart() {
	if s.flags&hystartOn != 0 {
		s.flags &^= hystartOn | inCSS
		clear(s.words[hyRound:])
	}
}
