package cc

import (
	"math"
	"testing"
)

func TestRFC9438_4_2_WindowFunction(t *testing.T) {
	// A loss at 1000 segments: K = ∛((1000 - 700)/0.4) = 9.086 s.
	s := start(Cubic, 1000, 1)
	f := newFlow(s, 100_000)
	f.event(EventLoss, 1000*mss)
	s.Cwnd = s.Ssthresh
	k := math.Cbrt((1000 - 700) / 0.4)
	begin := f.now
	for range 180 {
		f.round()
		at := float64(f.now-begin) / 1e6
		// The window follows W_cubic: target is what it should be a round trip later.
		want := wcubicExact(at, 1000, k)
		if got := float64(s.Cwnd) / mss; got < want*0.985-1 || got > want*1.015+1 {
			t.Fatalf("%.1f s after the loss the window is %.1f segments, W_cubic is %.1f", at, got, want)
		}
	}
	if got := float64(math.Float32frombits(s.words[cuK])); math.Abs(got-k) > 1e-5 {
		t.Errorf("K is %g, want %g", got, k)
	}
	for _, at := range []float64{0, 1, 9, 20, 100} {
		if got, want := s.wcubic(at), wcubicExact(at, 1000, k)*mss; math.Abs(got-want) > want*1e-6 {
			t.Errorf("W_cubic(%g) is %g bytes, want %g", at, got, want)
		}
	}
}

func TestRFC9438_4_2_TargetIsBounded(t *testing.T) {
	// Far beyond K the target is at most 1.5 cwnd a round trip.
	s := start(Cubic, 100, 1)
	f := newFlow(s, 100_000)
	f.ack(mss)                 // begins the stage
	s.words[cuEpoch] -= 97_656 // 100 s
	before := s.Cwnd
	f.round()
	if s.Cwnd > before/2*3+mss || s.Cwnd < before/2*3-5*mss {
		t.Errorf("window %d after a round trip, want 1.5 times %d", s.Cwnd, before)
	}
}

func TestRFC9438_4_3_RenoFriendlyRegion(t *testing.T) {
	// At a short round trip Reno is faster: the window is W_est, α = 9/17 until cwnd_prior, then 1.
	s := start(Cubic, 100, 1)
	f := newFlow(s, 10_000)
	f.event(EventLoss, 100*mss)
	s.Cwnd = s.Ssthresh
	est, rounds := 70.0, 0
	for range 150 {
		w := s.Cwnd
		alpha := 3 * 0.3 / 1.7
		if est >= 100 {
			alpha = 1
		}
		f.round()
		est += alpha * float64(w) / float64(w) // segments_acked/cwnd summed over a round trip, cwnd all but constant
		rounds++
		if got := float64(s.Cwnd) / mss; math.Abs(got-est) > 0.02*est+1 {
			t.Fatalf("after %d round trips the window is %.1f segments, W_est %.1f", rounds, got, est)
		}
	}
	if est < 150 {
		t.Errorf("W_est reached %.0f, the test wants it well past cwnd_prior", est)
	}
}

func TestRFC9438_4_7_FastConvergence(t *testing.T) {
	s := start(Cubic, 1000, 1)
	f := newFlow(s, 100_000)
	f.event(EventLoss, 1000*mss)
	if s.words[cuWMax] != 1000*mss {
		t.Fatalf("W_max is %d after a loss at 1000 segments", s.words[cuWMax])
	}
	s.Cwnd = 800 * mss
	f.event(EventLoss, 800*mss)
	if want := uint32(800 * mss * 17 / 20); s.words[cuWMax] != want {
		t.Errorf("W_max is %d after a loss below it, want %d", s.words[cuWMax], want)
	}
	if s.words[cuPrior] != 800*mss {
		t.Errorf("cwnd_prior is %d, want 800 segments", s.words[cuPrior])
	}
}

func TestRFC9438_4_8_AfterTimeout(t *testing.T) {
	s := start(Cubic, 1000, 1)
	f := newFlow(s, 100_000)
	f.event(EventTimeout, 1000*mss)
	for s.SlowStart() {
		f.round()
	}
	f.ack(mss)
	if s.words[cuK] != 0 {
		t.Errorf("K is %g in the first stage after a timeout, want 0", math.Float32frombits(s.words[cuK]))
	}
	if w := s.words[cuWMax]; w < 690*mss || w > 710*mss {
		t.Errorf("W_max is %d, want the window at the beginning of the stage", w)
	}
}

func TestRFC9438_4_2_NoTimeWhileIdle(t *testing.T) {
	for _, paused := range []bool{false, true} {
		s := start(Cubic, 1000, 1)
		f := newFlow(s, 100_000)
		f.event(EventLoss, 1000*mss)
		s.Cwnd = s.Ssthresh
		for range 20 {
			f.round()
		}
		before := s.Cwnd
		const gap = 60_000_000
		if paused { // ACKs go on, but the window is not used
			f.use(mss, gap/100_000)
		} else {
			f.now += gap
			s.Notify(EventIdle, &Sample{Now: f.now, Una: f.una, Nxt: f.una, SRTT: f.rtt, Idle: gap})
		}
		f.round()
		if grown := s.Cwnd - before; grown > 60*mss {
			t.Errorf("paused %v: the window grew by %d segments over a minute without use", paused, grown/mss)
		}
	}
}

func TestRFC9438_4_10_HyStartSetsNoWMax(t *testing.T) {
	var s State
	s.Start(Cubic, mss, 1, false)
	s.Cwnd = 100 * mss
	s.Ssthresh = 100 * mss
	s.endHystart()
	f := newFlow(&s, 100_000)
	f.ack(mss)
	if s.words[cuWMax] != 100*mss || s.words[cuK] != 0 || s.words[cuPrior] != 100*mss {
		t.Errorf("W_max %d, K %d, cwnd_prior %d, want the window, 0, the window", s.words[cuWMax], s.words[cuK], s.words[cuPrior])
	}
}

func TestRFC9438_4_9_Undo(t *testing.T) {
	s := start(Cubic, 1000, 1)
	f := newFlow(s, 100_000)
	f.event(EventLoss, 1000*mss)
	s.Cwnd = s.Ssthresh
	for range 10 {
		f.round()
	}
	old := *s
	f.event(EventLoss, s.Cwnd)
	s.Cwnd = s.Ssthresh
	s.Undo(&old)
	if s.Cwnd != old.Cwnd || s.Ssthresh != old.Ssthresh || s.words != old.words {
		t.Errorf("after undo\n%+v, before the loss\n%+v", *s, old)
	}
	// §4.9.2: one that has grown past it stays.
	f.event(EventLoss, s.Cwnd)
	s.Cwnd = old.Cwnd + 1
	words := s.words
	s.Undo(&old)
	if s.Cwnd != old.Cwnd+1 || s.words != words {
		t.Errorf("undo took back a window that had grown: %d", s.Cwnd)
	}
}

func TestCubicArithmeticOverYears(t *testing.T) {
	// An epoch that never ends, and clocks that wrap, must not make the window jump or shrink.
	s := start(Cubic, 100, 1)
	f := newFlow(s, 100_000)
	f.now = (1<<32 - 1000) << 10 // ticks wrap soon
	last := s.Cwnd
	for range 200 {
		f.round()
		if s.Cwnd < last || s.Cwnd > last/2*3+2*mss {
			t.Fatalf("window went from %d to %d in a round trip", last, s.Cwnd)
		}
		last = s.Cwnd
		if s.Cwnd > 1<<24 {
			s.Cwnd = 1 << 20
			last = s.Cwnd
		}
	}
}
