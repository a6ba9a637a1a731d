package cc

import (
	"math"
	"strings"
	"testing"
)

const mss = 1000

// start makes a state past HyStart++ in congestion avoidance with a window of so many segments.
func start(id ID, cwnd, ssthresh uint32) *State {
	s := new(State)
	s.Start(id, mss, 1, false)
	s.endHystart()
	s.Cwnd, s.Ssthresh = cwnd*mss, ssthresh*mss
	return s
}

// flow feeds a state with ACKs as a sender does that always fills its window.
type flow struct {
	s     *State
	now   int64
	una   uint32
	total uint32
	rtt   uint32
}

func newFlow(s *State, rtt uint32) *flow { return &flow{s: s, now: 1e9, una: 1, rtt: rtt} }

// ack acknowledges n bytes with a full window in flight before.
func (f *flow) ack(n uint32) {
	f.una += n
	f.total += n
	f.s.Ack(&Sample{
		Now: f.now, Acked: n, Delivered: n, Prior: f.s.Cwnd, InFlight: f.s.Cwnd - n, Una: f.una, Nxt: f.una + f.s.Cwnd - n,
		Total: f.total, RTT: f.rtt, SRTT: f.rtt, MinRTT: f.rtt,
	})
}

// round is one round trip: the window is acknowledged, two segments at a time.
func (f *flow) round() {
	w := f.s.Cwnd
	for acked := uint32(0); acked < w; acked += 2 * mss {
		f.now += int64(f.rtt) * int64(min(2*mss, w-acked)) / int64(w)
		f.ack(min(2*mss, w-acked))
	}
}

// event is a congestion event with so many bytes in flight.
func (f *flow) event(e Event, flight uint32) {
	f.s.Notify(e, &Sample{Now: f.now, Una: f.una, Nxt: f.una + flight, SRTT: f.rtt, MinRTT: f.rtt, Total: f.total})
}

func TestRFC6928_2_InitialWindow(t *testing.T) {
	for _, c := range []struct {
		mss  uint16
		want uint32
	}{{536, 5360}, {1000, 10000}, {1460, 14600}, {1500, 14600}, {4000, 14600}, {8960, 17920}, {1, 10}, {0, 10}} {
		var s State
		s.Start(Cubic, c.mss, 0, false)
		if s.Cwnd != c.want {
			t.Errorf("MSS %d: %d, want min(10 MSS, max(2 MSS, 14600)) = %d", c.mss, s.Cwnd, c.want)
		}
		if s.Start(Cubic, c.mss, 0, true); s.Cwnd != uint32(max(c.mss, 1)) {
			t.Errorf("MSS %d after a lost SYN: %d, want one segment (RFC 5681 §3.1)", c.mss, s.Cwnd)
		}
	}
}

func TestRFC5681_3_1_SlowStartAndAvoidance(t *testing.T) {
	f := newFlow(start(NewReno, 10, 64), 100_000)
	for _, want := range []uint32{20, 40, 64, 65, 66, 67} {
		f.round()
		if got := f.s.Cwnd / mss; got != want {
			t.Fatalf("window of %d segments after a round trip, want %d", got, want)
		}
	}
}

func TestRFC3465_2_StretchedACKs(t *testing.T) {
	s := start(NewReno, 10, 100)
	f := newFlow(s, 100_000)
	f.ack(8 * mss)
	if s.Cwnd != 12*mss {
		t.Errorf("an ACK of 8 segments grows the window to %d, want two segments more", s.Cwnd)
	}
	s.Ack(&Sample{Now: f.now, Acked: 8 * mss, Prior: s.Cwnd, Una: f.una, Nxt: f.una + s.Cwnd, Timeout: true})
	if s.Cwnd != 13*mss {
		t.Errorf("after an RTO it grows it to %d, want one segment more", s.Cwnd)
	}
}

func TestReductions(t *testing.T) {
	for _, c := range []struct {
		id       ID
		event    Event
		cwnd     uint32 // segments
		flight   uint32
		ssthresh uint32 // bytes
		after    uint32
	}{
		{NewReno, EventLoss, 20, 20, 10 * mss, 20 * mss},   // RFC 5681 §3.1 equation 4; PRR brings the window down
		{NewReno, EventLoss, 20, 12, 6 * mss, 20 * mss},    // what is in flight counts
		{NewReno, EventLoss, 20, 30, 10 * mss, 20 * mss},   // but not what limited transmit added
		{NewReno, EventLoss, 3, 3, 2 * mss, 3 * mss},       // at least two segments
		{NewReno, EventTimeout, 20, 20, 10 * mss, 1 * mss}, // one segment
		{NewReno, EventECN, 20, 20, 10 * mss, 20 * mss},    // RFC 3168 §6.1.2
		{NewReno, EventECN, 2, 2, 2 * mss, 1 * mss},        // down to one
		{Cubic, EventLoss, 20, 20, 14 * mss, 20 * mss},     // RFC 9438 §4.6: 0.7
		{Cubic, EventTimeout, 20, 20, 14 * mss, 1 * mss},   // §4.8
		{Cubic, EventECN, 2, 2, 2 * mss, 1400},             // §4.6: at least one
		{Cubic, EventLoss, 1000, 1000, 700 * mss, 1000 * mss},
	} {
		s := start(c.id, c.cwnd, 1)
		newFlow(s, 100_000).event(c.event, c.flight*mss)
		if s.Ssthresh != c.ssthresh || s.Cwnd != c.after {
			t.Errorf("%s, event %d at window %d with %d in flight: ssthresh %d, window %d, want %d, %d", c.id.Name(), c.event, c.cwnd, c.flight, s.Ssthresh, s.Cwnd, c.ssthresh, c.after)
		}
	}
}

func TestRegistry(t *testing.T) {
	for _, name := range []string{"cubic", "newreno"} {
		id, err := Lookup(name)
		if err != nil || id.Name() != name {
			t.Errorf("Lookup(%q): %v, %v", name, id, err)
		}
	}
	if id, err := Lookup("reno"); err != nil || id != NewReno {
		t.Errorf("Linux's name reno: %v, %v", id, err)
	}
	if _, err := Lookup("vegas"); err == nil || !strings.Contains(err.Error(), "cubic, newreno") {
		t.Errorf("an unknown name gives %v, want an error that lists those there are", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name was registered twice")
		}
	}()
	Register(cubic{})
}

func TestPacingRate(t *testing.T) {
	s := start(NewReno, 10, 20)
	if got := s.PacingRate(0); got != 0 {
		t.Errorf("%d without a round trip, want 0", got)
	}
	if got := s.PacingRate(100_000); got != 200_000 {
		t.Errorf("%d in slow start, want twice 100,000", got)
	}
	s.Ssthresh = s.Cwnd
	if got := s.PacingRate(100_000); got != 120_000 {
		t.Errorf("%d in congestion avoidance, want 1.2 times 100,000", got)
	}
}

func TestRestartRemembers(t *testing.T) {
	s := start(Cubic, 100, 40)
	s.Restart()
	if s.Cwnd != 10*mss || s.Ssthresh != 75*mss {
		t.Errorf("window %d, ssthresh %d, want the initial window and three quarters of the old one", s.Cwnd, s.Ssthresh)
	}
	s.Restart()
	if s.Cwnd != 10*mss || s.Ssthresh != 75*mss {
		t.Errorf("a second restart changes it to %d, %d", s.Cwnd, s.Ssthresh)
	}
}

func TestWindowHasAnEnd(t *testing.T) {
	for _, id := range []ID{NewReno, Cubic} {
		for _, ssthresh := range []uint32{Unlimited / mss, 1} {
			s := start(id, cwndMax/mss-1, ssthresh)
			f := newFlow(s, 100)
			for range 4000 {
				f.now += 1_000_000
				f.ack(60_000)
			}
			if s.Cwnd > cwndMax {
				t.Errorf("%s: window %d", id.Name(), s.Cwnd)
			}
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range [][4]uint32{{10, 1, 2, 5}, {cwndMax, 7, 10, cwndMax/10*7 + 2}, {cwndMax, 17, 20, uint32(uint64(cwndMax) * 17 / 20)}, {0, 7, 10, 0}} {
		if got := scale(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("scale(%d, %d, %d) is %d, want %d", c[0], c[1], c[2], got, c[3])
		}
	}
}

// wcubicExact is RFC 9438 §4.2's formula in segments and seconds.
func wcubicExact(t, wmax, k float64) float64 { return 0.4*math.Pow(t-k, 3) + wmax }
