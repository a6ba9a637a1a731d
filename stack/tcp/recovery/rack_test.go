package recovery

import "testing"

func TestRFC8985_6_2_LostAfterReorderingWindow(t *testing.T) {
	c := dial(t)
	c.send(4, 10*ms)                    // segment 3 leaves now, 0 left 30 ms ago
	c.ack(100*ms, 0, blk(1, 2))         // no duplicate threshold yet, no reordering seen: min_RTT/4 to wait
	c.want("lost", c.r.Lost, uint32(0)) // 0 was sent 10 ms before 1
	c.want("phase", c.s.phase, PhaseDisorder)
	// RACK.rtt is 120 ms (segment 1's), the window 25 ms; 0 left 130 ms ago.
	c.want("time to the reordering timer", c.due(TimerReorder), int64((120+25-130)*ms))
	c.expire(TimerReorder, 0)
	c.want("phase", c.s.phase, PhaseRecovery)
	c.wantList("sent again", c.resend(), 0)
	c.ack(100*ms, 4)
	c.want("phase", c.s.phase, PhaseOpen)
}

func TestRFC8985_6_2_NoWindowAtDupThresh(t *testing.T) {
	c := dial(t)
	c.send(6, 1*ms)
	c.ack(100*ms, 0, blk(1, 2))
	c.ack(0, 0, blk(1, 3))
	c.want("phase", c.s.phase, PhaseDisorder)
	r := c.ack(0, 0, blk(1, 4)) // the third segment that arrives
	c.want("lost", r.Lost, uint32(seg))
	c.want("phase", c.s.phase, PhaseRecovery)
	c.wantList("sent again", c.resend(), 0)
	c.ack(100*ms, 6)
}

func TestRFC8985_6_2_ReorderingSeen(t *testing.T) {
	c := dial(t)
	c.send(6, 1*ms)
	c.ack(95*ms, 0, blk(2, 3)) // rtt 98 ms
	c.ack(1*ms, 3)             // 0 and 1 were only late
	c.want("reordering seen", c.e.Info(&c.s).Reordering, true)
	// From now on three that arrive before are no proof: the window stays.
	c.ack(1*ms, 3, blk(4, 6))
	c.send(2, 0)
	c.ack(10*ms, 3, blk(4, 6)) // nothing new
	c.want("phase", c.s.phase, PhaseDisorder)
	c.due(TimerReorder)
	c.ack(1*ms, 8)
	c.want("bytes lost", c.s.lostTotal, uint32(0))
}

func TestRFC8985_6_2_LostRetransmission(t *testing.T) {
	c := dial(t)
	c.send(8, 1*ms)
	c.ack(100*ms, 0, blk(1, 5))
	c.wantList("sent again", c.resend(), 0)
	c.now++
	c.send(2, 1)
	// What was sent after the retransmission arrives, the retransmission does not.
	c.ack(100*ms, 0, blk(1, 8))
	c.ack(2*ms, 0, blk(1, 9))
	c.want("bytes lost again", c.e.counters.BytesLostAgain, uint64(seg))
	c.wantList("sent again", c.resend(), 0)
	c.want("RTOs", c.e.counters.Timeouts, uint64(0))
	c.ack(100*ms, 10)
}

func TestRFC8985_6_2_WindowWidensOnDSACK(t *testing.T) {
	c := dial(t)
	n := 0
	lose := func(dsack bool) {
		c.send(5, 1*ms)
		c.ack(100*ms, n, blk(n+1, n+5))
		c.wantList("sent again", c.resend(), n)
		c.ack(100*ms, n+5)
		if dsack {
			c.ack(0, n+5, blk(n, n+1)) // it was not lost
		}
		n += 5
	}
	lose(true)
	c.want("RACK.reo_wnd_mult", c.s.reoMult, uint8(2))
	c.send(1, 0)
	n++
	c.ack(100*ms, n, blk(n-2, n-1)) // a second one in a later round trip
	c.want("RACK.reo_wnd_mult", c.s.reoMult, uint8(3))
	c.s.flags &^= stateReordering // so that the helper's losses are found by count
	for range reoPersist - 1 {
		lose(false)
		c.want("RACK.reo_wnd_mult", c.s.reoMult, uint8(3))
	}
	lose(false)
	c.want("RACK.reo_wnd_mult", c.s.reoMult, uint8(1))
}

func TestRFC8985_6_3_TimeoutMarksWhatIsOld(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.NoTLP = true }))
	c.send(3, 0)
	c.ack(100*ms, 1)
	c.now += c.due(TimerRTO) - 20*ms
	c.send(2, 0) // sent 20 ms before the timer fires
	c.expire(TimerRTO, 0)
	c.want("lost", c.e.Info(&c.s).Lost, uint32(2*seg))
	c.want("in flight", c.e.InFlight(&c.s), uint32(2*seg))
	c.want("window", c.s.CC.Cwnd, uint32(seg))
	c.wantList("sent again, one past the window", c.resend(), 1)
	c.ack(100*ms, 5)
	c.want("phase", c.s.phase, PhaseOpen)
}

func TestRFC8985_7_2_ProbeTimeout(t *testing.T) {
	c := dial(t)
	c.send(1, 0)
	// One segment: 2·SRTT and the peer's delay of ACKs, but not later than the RTO, 300 ms.
	c.want("time to probe", c.due(TimerProbe), int64(300*ms))
	c.send(1, 0)
	c.want("time to probe", c.due(TimerProbe), int64(200*ms+probeMin))
	c.now += 50 * ms
	c.send(1, 0)
	c.want("time to probe", c.due(TimerProbe), int64(200*ms+probeMin)) // new data puts it off …
	c.now += 100 * ms
	c.send(1, 0)
	c.want("time to probe", c.due(TimerProbe), int64(150*ms)) // … until the RTO
	c.ack(0, 4)
}

func TestRFC8985_7_3_WhatAProbeSends(t *testing.T) {
	c := dial(t)
	c.send(3, 0)
	a := c.expire(TimerProbe, 5*seg) // new data first
	if a.Seq != c.s.Nxt || a.Len != seg {
		t.Fatalf("probe of %d at %d, want a new segment at %d", a.Len, a.Seq, c.s.Nxt)
	}
	c.e.OnSend(&c.s, a.Seq, a.Len, c.now, SendProbe)
	c.check()
	c.due(TimerRTO) // one probe at a time
	c.ack(50*ms, 4)
	c.want("window", c.s.CC.Cwnd, uint32(14_000)) // no loss: slow start goes on
	c.send(3, 0)
	c.e.OnSend(&c.s, c.s.Nxt, 300, c.now, 0)
	a = c.expire(TimerProbe, 0) // else the last segment
	if a.Seq != at(7) || a.Len != 300 {
		t.Fatalf("probe of %d at %d, want the last 300 bytes", a.Len, int32(a.Seq-at(0)))
	}
	c.e.OnSend(&c.s, a.Seq, a.Len, c.now, SendProbe)
	c.check()
	c.due(TimerRTO)
}

func TestRFC8985_7_3_NeedsANewSample(t *testing.T) {
	c := dial(t)
	c.send(2, 0)
	a := c.expire(TimerProbe, 0)
	c.e.OnSend(&c.s, a.Seq, a.Len, c.now, SendProbe)
	c.ack(100*ms, 2) // answers a retransmission: no sample
	c.ack(0, 2)      // the duplicate that the probe's second copy causes
	c.send(2, 0)
	c.due(TimerRTO)
	c.ack(100*ms, 4)
	c.send(2, 0)
	c.due(TimerProbe)
}

func TestRFC8985_7_4_2_ProbeRepairedALoss(t *testing.T) {
	c := dial(t)
	c.send(4, 0)
	c.ack(100*ms, 3)
	cwnd := c.s.CC.Cwnd
	a := c.expire(TimerProbe, 0)
	c.e.OnSend(&c.s, a.Seq, a.Len, c.now, SendProbe)
	c.ack(100*ms, 4)
	c.want("window", c.s.CC.Cwnd >= cwnd, true) // as yet the probe may have been needless
	c.send(2, 0)
	c.ack(100*ms, 6) // later data arrives and no DSACK did
	c.want("ProbesRepaired", c.e.counters.ProbesRepaired, uint64(1))
	if c.s.CC.Cwnd >= cwnd {
		t.Errorf("window %d after a loss, it was %d", c.s.CC.Cwnd, cwnd)
	}
}

func TestRFC8985_7_4_2_ProbeWasNeedless(t *testing.T) {
	c := dial(t)
	c.send(4, 0)
	c.ack(100*ms, 3)
	cwnd := c.s.CC.Cwnd
	a := c.expire(TimerProbe, 0)
	c.e.OnSend(&c.s, a.Seq, a.Len, c.now, SendProbe)
	c.ack(10*ms, 4)
	c.ack(100*ms, 4, blk(3, 4))
	c.want("ProbesSpurious", c.e.counters.ProbesSpurious, uint64(1))
	c.want("RACK.reo_wnd_mult", c.s.reoMult, uint8(1))
	c.send(2, 0)
	c.ack(100*ms, 6)
	c.want("ProbesRepaired", c.e.counters.ProbesRepaired, uint64(0))
	if c.s.CC.Cwnd < cwnd {
		t.Errorf("window %d without a loss, it was %d", c.s.CC.Cwnd, cwnd)
	}
}

func TestRFC8985_7_4_TailLossIsFoundByTheProbe(t *testing.T) {
	c := dial(t)
	c.send(6, 0)
	c.ack(100*ms, 2)
	a := c.expire(TimerProbe, 0)
	c.want("probe", a.Seq, at(5))
	c.e.OnSend(&c.s, a.Seq, a.Len, c.now, SendProbe)
	c.ack(100*ms, 2, blk(5, 6)) // the probe arrives: what was sent before did not
	c.want("phase", c.s.phase, PhaseRecovery)
	c.wantList("sent again", c.resend()[:1], 2)
	c.resend()
	c.ack(100*ms, 6)
	c.want("RTOs", c.e.counters.Timeouts, uint64(0))
}
