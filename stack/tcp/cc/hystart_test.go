package cc

import "testing"

// hyRounds feeds HyStart++'s round trips with the given least RTTs in ms.
func hyRounds(s *State, f *flow, rtts ...uint32) {
	for _, r := range rtts {
		f.rtt = (r + 5) * 1000 // the first sample is not the least
		f.ack(mss)
		f.rtt = r * 1000
		for end := s.words[hyRound]; s.words[hyRound] == end && s.flags&hystartOn != 0; {
			f.now += 1000
			f.ack(mss)
		}
	}
}

func TestRFC9406_4_2_Phases(t *testing.T) {
	for _, c := range []struct {
		name string
		rtts []uint32
		css  bool
		end  bool
	}{
		{"a steady RTT", []uint32{100, 100, 100, 100, 100}, false, false},
		{"a rise below the threshold, RTT/8 clamped to 4 … 16 ms", []uint32{100, 111, 122, 133}, false, false},
		{"a rise above it", []uint32{100, 100, 113}, true, false},
		{"a rise of less than 4 ms of a short RTT", []uint32{8, 11, 14}, false, false},
		{"a rise of 4 ms of a short RTT", []uint32{8, 8, 12}, true, false},
		{"a rise of 16 ms of a long RTT", []uint32{400, 400, 416}, true, false},
		{"back after CSS: it was jitter", []uint32{100, 100, 113, 112}, false, false},
		{"five round trips in CSS", []uint32{100, 100, 113, 113, 114, 114, 115, 115}, false, true},
		{"four", []uint32{100, 100, 113, 113, 114, 114}, true, false},
	} {
		var s State
		s.Start(NewReno, mss, 1, false)
		f := newFlow(&s, 0)
		f.ack(mss) // ends the handshake's
		hyRounds(&s, f, c.rtts...)
		if got := s.flags&inCSS != 0; got != c.css {
			t.Errorf("%s: CSS %v, want %v", c.name, got, c.css)
		}
		if got := s.Ssthresh != Unlimited; got != c.end {
			t.Errorf("%s: slow start ended %v, want %v", c.name, got, c.end)
		}
		if c.end && s.Ssthresh != s.Cwnd {
			t.Errorf("%s: ssthresh %d, want the window, %d", c.name, s.Ssthresh, s.Cwnd)
		}
	}
}

func TestRFC9406_4_2_Growth(t *testing.T) {
	var s State
	s.Start(NewReno, mss, 1, false)
	f := newFlow(&s, 100_000)
	f.ack(4 * mss)
	if s.Cwnd != 14*mss {
		t.Errorf("window %d after 4 segments, want 14", s.Cwnd)
	}
	f.ack(12 * mss) // L = 8
	if s.Cwnd != 22*mss {
		t.Errorf("window %d after 12 segments more, want 8 more", s.Cwnd)
	}
	s.flags |= inCSS
	f.ack(4 * mss)
	if s.Cwnd != 23*mss {
		t.Errorf("window %d after 4 segments in CSS, want 1 more", s.Cwnd)
	}
}

func TestRFC9406_4_2_NeedsEightSamples(t *testing.T) {
	var s State
	s.Start(NewReno, mss, 1, false)
	f := newFlow(&s, 100_000)
	f.ack(mss)
	hyRounds(&s, f, 100)
	f.rtt = 200_000
	for range 7 {
		f.ack(mss)
	}
	if s.flags&inCSS != 0 {
		t.Fatal("CSS after seven samples")
	}
	f.ack(mss)
	if s.flags&inCSS == 0 {
		t.Fatal("no CSS after eight samples")
	}
}

func TestRFC9406_4_3_OnlyTheFirstSlowStart(t *testing.T) {
	var s State
	s.Start(Cubic, mss, 1, false)
	f := newFlow(&s, 100_000)
	f.event(EventTimeout, 10*mss)
	if s.flags&(hystartOn|inCSS) != 0 {
		t.Error("HyStart++ goes on after a loss")
	}
	s.Ssthresh = 100 * mss
	for _, f.rtt = range []uint32{100_000, 100_000, 200_000, 300_000} {
		f.round()
	}
	if s.Ssthresh != 100*mss {
		t.Errorf("ssthresh changed to %d in a later slow start", s.Ssthresh)
	}
}
