package recovery

import (
	"fmt"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// model is the reference scoreboard: a byte for each byte of the stream, marked as ACKs say, compared with the records.
func (f *flow) model(a *Ack) {
	blocks := a.SACK[:a.Blocks]
	if a.dsack() {
		blocks = blocks[1:]
	}
	base := f.iss + 1
	for _, b := range blocks {
		for q := b.Start; q != b.End; q++ {
			f.sacked[q-base] = 1
		}
	}
	want := uint32(0)
	for q := f.s.Una; q != f.s.Nxt; q++ {
		want += uint32(f.sacked[q-base])
	}
	got := uint32(0)
	if f.s.flight != 0 {
		got = f.e.flights.at(f.s.flight).sackedLen
	}
	if got != want && f.e.counters.SACKSplitLimit == 0 && f.e.counters.Reneged == 0 {
		f.sim.t.Fatalf("%d bytes SACKed, the reference has %d", got, want)
	}
}

// verify checks that the records are what the API says: they cover Una … Nxt without gaps, each is in the queue that
// its flags name, the queues are in order, and the sums are right.
func (f *flow) verify() {
	if f.sim.check {
		if err := f.e.verify(&f.s); err != nil {
			f.sim.t.Fatalf("at %d µs: %v", f.sim.now, err)
		}
	}
}

func (e *Engine) verify(s *State) error {
	if s.flight == 0 {
		if s.Una != s.Nxt {
			return fmt.Errorf("%d bytes outstanding and no flight", s.Nxt-s.Una)
		}
		if s.phase >= PhaseCWR {
			return fmt.Errorf("phase %d and nothing in flight", s.phase)
		}
		return nil
	}
	f := e.flights.at(s.flight)
	at := s.Una
	var sacked, lost, inFlight, records, inSent, inLost uint32
	prev := uint32(0)
	for i := f.head; i != 0; i = e.rec(i).next {
		r := e.rec(i)
		if r.seq != at || !seqLT(r.seq, r.end) {
			return fmt.Errorf("record [%d,%d) at %d", r.seq, r.end, at)
		}
		if r.prev != prev {
			return fmt.Errorf("record [%d,%d) has the wrong predecessor", r.seq, r.end)
		}
		at, prev = r.end, i
		switch {
		case r.flags&recSacked != 0 && r.flags&recLost != 0:
			return fmt.Errorf("record [%d,%d) is SACKed and lost", r.seq, r.end)
		case r.flags&recSacked != 0:
			sacked += r.len()
		case r.flags&recLost != 0:
			lost += r.len()
			inLost++
		default:
			inFlight += r.len()
			inSent++
		}
		if records++; records > f.records {
			return fmt.Errorf("more records than the %d counted", f.records)
		}
	}
	if at != s.Nxt || f.tail != prev || records != f.records {
		return fmt.Errorf("records end at %d of %d, %d of %d", at, s.Nxt, records, f.records)
	}
	if s.flags&stateSACK == 0 {
		sacked = f.sackedLen // counted, not marked
	}
	if sacked != f.sackedLen || lost != f.lostLen || sacked+lost > s.Nxt-s.Una {
		return fmt.Errorf("sums: SACKed %d of %d, lost %d of %d, outstanding %d", sacked, f.sackedLen, lost, f.lostLen, s.Nxt-s.Una)
	}
	if s.flags&stateSACK != 0 && s.pipe(f) != inFlight {
		return fmt.Errorf("pipe %d, records in flight %d", s.pipe(f), inFlight)
	}
	if err := e.verifyQueue(&f.sent, 0, inSent, true); err != nil {
		return fmt.Errorf("queue of the sent: %w", err)
	}
	if err := e.verifyQueue(&f.lost, recLost, inLost, false); err != nil {
		return fmt.Errorf("queue of the lost: %w", err)
	}
	if f.flags&flightResent == 0 { // the short way through OnAck relies on it
		for i := f.sent.first; i != 0; i = e.rec(i).later {
			if p := e.rec(i).sooner; p != 0 && !seqLT(e.rec(p).seq, e.rec(i).seq) || e.rec(i).flags&recResent != 0 {
				return fmt.Errorf("record [%d,%d) is out of order or was sent again, unannounced", e.rec(i).seq, e.rec(i).end)
			}
		}
	}
	if f.finger != 0 {
		for i := f.head; i != f.finger; i = e.rec(i).next {
			if i == 0 {
				return fmt.Errorf("finger points at no record")
			}
		}
	}
	if done := f.flags&flightRecover == 0 || seqLEQ(f.recover, s.Una); done && s.phase >= PhaseCWR {
		return fmt.Errorf("phase %d past the recovery point", s.phase)
	}
	if s.CC.Cwnd < uint32(s.CC.MSS) || s.CC.Ssthresh < 2*uint32(s.CC.MSS) {
		return fmt.Errorf("cwnd %d, ssthresh %d, MSS %d", s.CC.Cwnd, s.CC.Ssthresh, s.CC.MSS)
	}
	return nil
}

func (e *Engine) verifyQueue(q *queue, flag recordFlags, n uint32, timed bool) error {
	prev, count := uint32(0), uint32(0)
	for i := q.first; i != 0; i = e.rec(i).later {
		r := e.rec(i)
		if r.flags&(recLost|recSacked) != flag {
			return fmt.Errorf("record [%d,%d) has flags %b", r.seq, r.end, r.flags)
		}
		if r.sooner != prev {
			return fmt.Errorf("record [%d,%d) is linked wrongly", r.seq, r.end)
		}
		if timed && prev != 0 && seqLT(r.sent, e.rec(prev).sent) && e.counters.UndoneByFRTO+e.counters.UndoneByTimestamp+e.counters.UndoneByDSACK+e.counters.Reneged == 0 {
			return fmt.Errorf("record [%d,%d) was sent before the one in front of it", r.seq, r.end)
		}
		if prev = i; count >= n {
			return fmt.Errorf("more than the %d records with its flags", n)
		}
		count++
	}
	if prev != q.last || count != n {
		return fmt.Errorf("has %d of %d records", count, n)
	}
	return nil
}

// TestEveryByteArrives sends through paths with all faults at once, and compares every step with the reference.
func TestEveryByteArrives(t *testing.T) {
	for seed := range uint64(120) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newSim(t, seed, faults{})
			s.check = true
			r := s.rand
			pick := func(v ...float64) float64 { return v[r.IntN(len(v))] }
			s.path = faults{
				delay: int64(pick(100, 5000, 40000)), loss: pick(0, 0.01, 0.1, 0.3), ackLoss: pick(0, 0.1, 0.4),
				reorder: pick(0, 0.05, 0.5), hold: int64(pick(100, 3000, 60000)), dup: pick(0, 0.05, 0.3),
			}
			c := flowConfig{
				mss: uint16(pick(100, 536)), total: 40_000, cc: cc.ID(r.IntN(len(cc.Names()))), sack: r.IntN(4) != 0, stamp: r.IntN(2) == 0,
				tso: uint32(pick(1, 1, 4, 40)), delay: int64(pick(0, 40000)), window: uint32(pick(0, 3000)), iss: 1<<32 - 9000,
			}
			if !c.stamp { // else Karn's rule keeps the backoff for minutes
				s.path.loss, s.path.ackLoss = min(s.path.loss, 0.1), min(s.path.ackLoss, 0.1)
			}
			f := s.flow(c)
			f.renege = c.sack && r.IntN(3) == 0
			t.Logf("%+v %+v", s.path, c)
			simulate(t, s, f, 3600e6)
			s.run(2e6, nil) // what is still on its way
			f.e.Release(&f.s)
			if rec, fl := f.e.Used(); rec != 0 || fl != 0 {
				t.Errorf("%d records and %d flights left", rec, fl)
			}
		})
	}
}
