package cc

import (
	"math/rand/v2"
	"testing"
)

// use sends n bytes a round trip for so many round trips, after what was in flight is acknowledged.
func (f *flow) use(n uint32, rounds int) {
	if left := f.s.roundEnd - f.una; int32(left) > 0 {
		f.una += left
		f.total += left
	}
	for range rounds {
		f.now += int64(f.rtt)
		f.una += n
		f.total += n
		f.s.Ack(&Sample{
			Now: f.now, Acked: n, Delivered: n, Prior: n, Una: f.una, Nxt: f.una, Total: f.total, RTT: f.rtt, SRTT: f.rtt, MinRTT: f.rtt,
		})
	}
}

func TestRFC7661_4_3_UnusedWindowDoesNotGrow(t *testing.T) {
	for _, id := range []ID{NewReno, Cubic} {
		s := start(id, 40, 20)
		f := newFlow(s, 100_000)
		f.use(5*mss, 4)
		before := s.Cwnd
		f.use(5*mss, 100)
		if s.Cwnd != before {
			t.Errorf("%s: window went from %d to %d with 5 segments a round trip", id.Name(), before, s.Cwnd)
		}
		for range 40 {
			f.round()
		}
		if s.Cwnd <= before {
			t.Errorf("%s: window stays at %d although it is used", id.Name(), s.Cwnd)
		}
	}
}

func TestRFC7661_4_2_PipeACKIsTheMostOfASecond(t *testing.T) {
	s := start(NewReno, 40, 20)
	f := newFlow(s, 100_000)
	f.use(30*mss, 3)
	if s.pipeACK != 30*mss || s.flags&unused != 0 {
		t.Fatalf("pipeACK %d, unused %v", s.pipeACK, s.flags&unused != 0)
	}
	f.use(2*mss, 9) // less than a second
	if s.pipeACK != 30*mss {
		t.Errorf("pipeACK %d within a second, want 30 segments", s.pipeACK)
	}
	f.use(2*mss, 3)
	if s.pipeACK != 2*mss || s.flags&unused == 0 {
		t.Errorf("pipeACK %d after a second, want 2 segments", s.pipeACK)
	}
}

func TestRFC7661_4_4_2_LossInAnUnusedWindow(t *testing.T) {
	s := start(NewReno, 100, 50)
	f := newFlow(s, 100_000)
	f.use(20*mss, 15)
	f.event(EventLoss, 8*mss)
	if s.Ssthresh != 10*mss { // max(pipeACK, flight)/2
		t.Errorf("ssthresh %d, want half of the 20 segments that were used", s.Ssthresh)
	}
	s.Cwnd = s.Ssthresh
	s.Notify(EventRecovered, &Sample{Now: f.now, Una: f.una, Nxt: f.una, Total: f.total, Resent: 4 * mss})
	if s.Cwnd != 8*mss { // (20 - R)/2
		t.Errorf("window %d after recovery, want 8 segments", s.Cwnd)
	}
	if s.flags&pipeKnown != 0 {
		t.Error("pipeACK is kept after recovery, want it measured anew")
	}
}

func TestRFC7661_4_4_3_FiveMinutes(t *testing.T) {
	s := start(NewReno, 100, 50)
	f := newFlow(s, 100_000)
	f.use(5*mss, 2990) // a little less than five minutes
	if s.Cwnd != 100*mss {
		t.Fatalf("window %d before five minutes are over", s.Cwnd)
	}
	f.use(5*mss, 30)
	if s.Cwnd != 50*mss || s.Ssthresh != 75*mss {
		t.Errorf("window %d, ssthresh %d after five minutes, want half and three quarters", s.Cwnd, s.Ssthresh)
	}
	f.use(4*mss, 5*3100)
	if s.Cwnd != 10*mss {
		t.Errorf("window %d in the end, want the initial window", s.Cwnd)
	}
}

// The short way of an ACK that leaves nothing in flight changes what the long way changes.
func TestAckUnusedIsAck(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, id := range []ID{Cubic, NewReno} {
		var s State
		s.Start(id, 1000, 1, false)
		now, nxt, total, short := int64(1e9), uint32(1), uint32(0), 0
		for range 20_000 {
			prior := 1 + rnd.Uint32N(400)
			switch rnd.Uint32N(40) {
			case 0:
				prior = 1 + rnd.Uint32N(2*s.Cwnd)
				s.Cwnd = 10_000 + rnd.Uint32N(100_000)
			case 1:
				now += int64(rnd.Uint32N(400_000_000))
			}
			now += int64(rnd.Uint32N(3_000_000))
			nxt, total = nxt+prior, total+prior
			long, brief := s, s
			long.Ack(&Sample{Now: now, Acked: prior, Delivered: prior, Prior: prior, Una: nxt, Nxt: nxt, Total: total, RTT: 900, SRTT: 1000, MinRTT: 800})
			if !brief.AckUnused(nxt, total, prior, 1000, now) {
				brief.Ack(&Sample{Now: now, Acked: prior, Delivered: prior, Prior: prior, Una: nxt, Nxt: nxt, Total: total, RTT: 900, SRTT: 1000, MinRTT: 800})
			} else {
				short++
			}
			if brief != long {
				t.Fatalf("%s: the short way gives %+v, the long one %+v", id.Name(), brief, long)
			}
			s = long
		}
		if short < 1000 {
			t.Errorf("%s: the short way was gone %d times", id.Name(), short)
		}
	}
}
