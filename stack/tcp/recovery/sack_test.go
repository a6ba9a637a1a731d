package recovery

import "testing"

func TestRFC2018_4_OnlyHolesAreSentAgain(t *testing.T) {
	c := dial(t)
	c.send(8, 0)
	c.ack(100*ms, 0, blk(1, 2))
	c.ack(0, 0, blk(3, 4), blk(1, 2))
	r := c.ack(0, 0, blk(5, 8), blk(3, 4), blk(1, 2))
	if r.Flags&ResultEnter == 0 || r.Flags&ResultRetransmit == 0 {
		t.Fatalf("three duplicates and five segments SACKed: flags %b", r.Flags)
	}
	c.want("in flight", c.e.InFlight(&c.s), uint32(0))
	c.wantList("sent again", c.resend(), 0, 2, 4)
	c.ack(100*ms, 2, blk(5, 8), blk(3, 4))
	c.wantList("then", c.resend())
	r = c.ack(100*ms, 8)
	if r.Flags&ResultExit == 0 {
		t.Errorf("recovery goes on after everything is acknowledged: flags %b", r.Flags)
	}
	c.want("bytes sent again", c.s.resent, uint32(3*seg))
}

func TestRFC2018_8_Reneging(t *testing.T) {
	c := dial(t)
	c.send(6, 0)
	c.ack(100*ms, 0, blk(2, 6))
	c.wantList("sent again", c.resend(), 0, 1)
	// Both holes arrive, but the peer has dropped what it had SACKed: it asks for segment 2.
	c.ack(100*ms, 2)
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(4*seg))
	c.expire(TimerRTO, 0)
	c.want("Reneged", c.e.counters.Reneged, uint64(1))
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(0))
	c.wantList("sent again", c.resend(), 2)
	c.ack(100*ms, 3)
	c.wantList("sent again", c.resend(), 3, 4)
	c.ack(100*ms, 5)
	c.resend()
	c.ack(100*ms, 6)
}

func TestRFC2883_4_DuplicateReports(t *testing.T) {
	for _, c := range []struct {
		name string
		ack  int
		list []Block
		want bool
	}{
		{"below the ACK", 4, []Block{blk(2, 3)}, true},
		{"below the ACK, with another block", 4, []Block{blk(2, 3), blk(5, 6)}, true},
		{"inside the second block", 2, []Block{blk(4, 5), blk(3, 6)}, true},
		{"equal to the second block", 2, []Block{blk(4, 5), blk(4, 5)}, true},
		{"new data", 2, []Block{blk(4, 5)}, false},
		{"new data beside another block", 2, []Block{blk(4, 5), blk(6, 7)}, false},
		{"larger than the second block", 2, []Block{blk(4, 7), blk(5, 6)}, false},
		{"none", 2, nil, false},
		{"empty", 2, []Block{blk(1, 1)}, false},
		{"inside out", 4, []Block{blk(3, 2)}, false},
	} {
		a := Ack{Ack: at(c.ack)}
		a.Blocks = uint8(copy(a.SACK[:], c.list))
		if got := a.dsack(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSACKBlocksThatLie(t *testing.T) {
	c := dial(t)
	c.send(5, 0)
	c.ack(100*ms, 1)
	for _, b := range []Block{blk(2, 6), blk(5, 7), blk(3, 2), {at(5), at(5) + 1<<30}, {at(1) + 1<<31, at(2) + 1<<31}} {
		if r := c.ack(0, 1, b); c.e.Info(&c.s).Sacked != 0 || r.Flags&(ResultDSACK|ResultDuplicate) != 0 {
			t.Errorf("block [%d,%d) was taken", int32(b.Start-at(0)), int32(b.End-at(0)))
		}
	}
	c.want("SACKInvalid", c.e.counters.SACKInvalid, uint64(5))
	c.ack(0, 1, blk(0, 2)) // overlaps what is acknowledged: the rest counts
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(seg))
	c.ack(0, 1, Block{at(3) + 10, at(3) + 20})
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(seg+10))
	c.input(0, Ack{Ack: at(9)}) // never sent: the core drops it, and so does the engine
	c.want("Una", c.s.Una, at(1))
	c.input(0, Ack{Ack: at(0)})
	c.want("Una", c.s.Una, at(1))
}

// TestSACKWorkIsBounded is a peer that SACKs every second byte: records and steps stay bounded, and the stream goes on.
func TestSACKWorkIsBounded(t *testing.T) {
	c := dial(t)
	c.s.CC.Cwnd = 1 << 20
	c.send(100, 0)
	c.now += 100 * ms
	for i := range 20_000 {
		a := Ack{Ack: at(0), Flags: AckPure, Blocks: 4}
		for j := range a.SACK {
			start := at(1) + uint32(i*8+j*2)%(98*seg)
			a.SACK[j] = Block{start, start + 1}
		}
		c.e.OnAck(&c.s, &a, c.now, &c.r)
	}
	c.check()
	n := c.e.Info(&c.s).Records
	if limit := uint32(sackSpares + 2*100 + 2); n > limit {
		t.Errorf("%d records for 100 segments, want at most %d", n, limit)
	}
	if c.e.counters.SACKSplitLimit == 0 {
		t.Error("no block edge was refused")
	}
	c.ack(0, 100)
	c.want("Una", c.s.Una, c.s.Nxt)
}

// TestSACKStepsAreBounded is an ACK with a block far from all others in a long list of records: it is found in steps.
func TestSACKStepsAreBounded(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.Records = 1 << 14 }))
	c.s.CC.Cwnd = 1 << 30
	c.send(3000, 1)
	c.now += 100 * ms
	for i := range 3000/sackSteps + 1 {
		if c.ack(0, 0, blk(2990, 2991)).Flags&ResultDuplicate != 0 {
			t.Fatalf("a block 2990 records away was found after %d ACKs, want at most %d records looked at for each", i+1, sackSteps)
		}
		if i == 2990/sackSteps-1 {
			break
		}
	}
	c.want("SACKWorkLimit", c.e.counters.SACKWorkLimit, uint64(2990/sackSteps))
	c.ack(0, 0, blk(2990, 2991))
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(seg))
	c.e.detectLoss(&c.s, c.flight(), uint32(c.now), new(uint32))
	c.ack(0, 0, blk(2500, 2501), blk(2990, 2991)) // back
	c.ack(0, 0, blk(2500, 2501), blk(2990, 2991))
	c.ack(0, 0, blk(2500, 2501), blk(2990, 2991))
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(2*seg))
}

func TestRecordsRunOut(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.Records = 4 }))
	c.send(4, 1)
	nxt := c.s.Nxt
	if c.e.OnSend(&c.s, c.s.Nxt, seg, c.now+1, 0) {
		t.Fatal("OnSend took a segment without a record")
	}
	c.want("Nxt", c.s.Nxt, nxt)
	c.want("NoRecords", c.e.counters.NoRecords, uint64(1))
	c.now += 10
	// Retransmissions go on: a range that cannot be split counts as sent as a whole.
	c.ack(100*ms, 1)
	c.send(1, 0)
	if !c.e.OnSend(&c.s, c.s.Nxt, 3*seg, c.now, 0) { // same time: joined to the last record
		t.Fatal("OnSend did not join data of one burst")
	}
	c.check()
	c.expire(TimerProbe, 0)
	c.expire(TimerRTO, 0)
	c.want("first", c.resend()[0], 1)
	c.ack(100*ms, 8)
	c.want("Una", c.s.Una, c.s.Nxt)
}

func TestBurstIsOneRecord(t *testing.T) {
	c := dial(t)
	c.send(10, 0)
	c.want("records", c.e.Info(&c.s).Records, uint32(1))
	c.ack(100*ms, 0, blk(3, 5)) // and is cut where the peer's blocks are
	c.want("records", c.e.Info(&c.s).Records, uint32(3))
	c.ack(0, 0, blk(3, 7))
	c.want("records", c.e.Info(&c.s).Records, uint32(3))
	c.ack(0, 0, blk(9, 10), blk(3, 7))
	c.want("records", c.e.Info(&c.s).Records, uint32(4))
	c.ack(0, 4, blk(9, 10), blk(4, 7))
	c.want("SACKed", c.e.Info(&c.s).Sacked, uint32(4*seg))
	c.ack(0, 10)
}
