package recovery

import (
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

func TestRFC9937_ProportionalPart(t *testing.T) {
	c := dial(t)
	c.s.CC.Cwnd, c.s.CC.Ssthresh = 20*seg, 10*seg // congestion avoidance
	c.send(20, 0)
	c.ack(100*ms, 0, blk(1, 2))
	c.ack(0, 0, blk(1, 3))
	c.ack(0, 0, blk(1, 4))
	c.want("phase", c.s.phase, PhaseRecovery)
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(10*seg))
	c.wantList("the fast retransmit", c.resend(), 0)
	// Half of what arrives is sent, while more is in flight than ssthresh.
	sent, new := 1, 0
	for i := 5; i <= 20; i++ {
		c.ack(1*ms, 0, blk(1, i))
		for c.e.Allowance(&c.s, c.now) >= seg {
			c.send(1, 0)
			sent++
			new++
		}
		if want := (i - 3 + 1) / 2; sent < want-1 || sent > want+1 {
			t.Errorf("%d segments sent when %d have arrived in recovery, want about %d", sent, i-3, want)
		}
	}
	c.want("in flight at the end", c.e.InFlight(&c.s), uint32(10*seg))
	c.ack(1*ms, 20)
	c.want("window", c.s.CC.Cwnd, uint32(10*seg))
	c.want("phase", c.s.phase, PhaseOpen)
}

func TestRFC9937_SlowStartAndConservativePart(t *testing.T) {
	c := dial(t)
	c.s.CC.Cwnd = 10 * seg
	c.send(10, 0)
	c.ack(100*ms, 0, blk(7, 8)) // 0 … 6 are lost: less is in flight than ssthresh
	c.ack(0, 0, blk(7, 9))
	c.ack(0, 0, blk(7, 10))
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(5*seg))
	// More was found lost: as much is sent as arrived (PRR-CRB).
	c.wantList("sent again", c.resend(), 0)
	// All is well: as much as arrived and one more (PRR-SSRB).
	c.ack(100*ms, 1, blk(7, 10))
	c.want("window", c.s.CC.Cwnd, uint32(2*seg))
	c.wantList("sent again", c.resend(), 1, 2)
	c.ack(100*ms, 2, blk(7, 10))
	c.wantList("sent again", c.resend(), 3, 4)
	c.ack(0, 3, blk(7, 10))
	c.wantList("sent again", c.resend(), 5, 6)
	c.ack(100*ms, 10)
	c.want("window", c.s.CC.Cwnd, uint32(5*seg))
}

func TestRFC6582_FastRecoveryWithoutSACK(t *testing.T) {
	c := dial(t, withoutSACK)
	c.s.CC.Ssthresh = 10 * seg
	c.send(10, 0)
	c.ack(100*ms, 0)
	c.ack(0, 0)
	c.want("phase", c.s.phase, PhaseDisorder)
	c.ack(0, 0)
	c.want("phase", c.s.phase, PhaseRecovery)
	c.wantList("fast retransmit", c.resend(), 0)
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(5*seg))
	for range 4 { // 1 … 7 but 4 have arrived
		c.ack(1*ms, 0)
	}
	c.ack(90*ms, 4) // partial: 4 is missing
	c.want("phase", c.s.phase, PhaseRecovery)
	c.wantList("the next hole", c.resend(), 4)
	c.ack(100*ms, 10)
	c.want("phase", c.s.phase, PhaseOpen)
	c.want("window", c.s.CC.Cwnd, uint32(5*seg))
}

func TestRFC6582_3_2_NoSecondFastRetransmit(t *testing.T) {
	c := dial(t, withoutSACK)
	c.send(6, 0)
	c.expire(TimerRTO, 0) // all is sent again, go-back-N
	c.resend()
	c.ack(10*ms, 3)
	c.resend()
	c.send(1, 0)
	c.ack(10*ms, 6) // recover is reached with segment 6 in flight
	c.want("phase", c.s.phase, PhaseOpen)
	for range 4 { // the second copies' duplicates
		c.ack(1*ms, 6)
	}
	if c.s.phase >= PhaseRecovery {
		t.Error("duplicates of retransmitted data began a recovery")
	}
	c.ack(10*ms, 7)
}

func TestRFC3042_LimitedTransmit(t *testing.T) {
	for _, with := range []withOption{withoutSACK, func(*Config, *Options) {}} {
		c := dial(t, with)
		c.s.CC.Cwnd = 4 * seg
		c.send(4, 0)
		c.want("allowance", c.e.Allowance(&c.s, c.now), uint32(0))
		for i := range 2 {
			c.ack(30*ms, 0, blk(1, i+2))
			c.want("allowance after a duplicate", c.e.Allowance(&c.s, c.now), uint32(seg))
			c.send(1, 0)
		}
		c.want("window", c.s.CC.Cwnd, uint32(4*seg))
	}
}

func TestRFC5681_2_WhatADuplicateIs(t *testing.T) {
	c := dial(t, withoutSACK)
	c.send(6, 0)
	for range 5 { // with data or a new window
		c.input(20*ms, Ack{Ack: at(0)})
	}
	c.want("phase", c.s.phase, PhaseOpen)
	c.ack(0, 6)
	for range 5 { // nothing outstanding
		c.ack(0, 6)
	}
	c.want("phase", c.s.phase, PhaseOpen)
}

func TestRFC5681_3_1_Timeout(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.NoTLP = true }))
	c.send(10, 0)
	c.expire(TimerRTO, 0)
	c.want("window", c.s.CC.Cwnd, uint32(seg))
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(5*seg))
	c.wantList("sent again", c.resend(), 0)
	c.expire(TimerRTO, 0) // once more: ssthresh stays
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(5*seg))
	c.wantList("sent again", c.resend(), 0)
	c.ack(100*ms, 1)
	c.want("window", c.s.CC.Cwnd, uint32(2*seg))
	c.wantList("sent again", c.resend(), 1, 2)
	c.ack(100*ms, 10)
	c.want("phase", c.s.phase, PhaseOpen)
}

func TestRFC5682_3_SpuriousTimeoutWithSACK(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.NoTLP = true }))
	c.send(10, 1)
	c.expire(TimerRTO, 10*seg)
	c.wantList("step 1: sent again", c.resend(), 0)
	c.input(10*ms, Ack{Ack: at(1), Unsent: 10 * seg})
	c.wantList("step 2b: nothing is sent again", c.resend())
	c.want("step 2b: two new segments", c.e.Allowance(&c.s, c.now), uint32(2*seg))
	c.send(2, 0)
	r := c.input(10*ms, Ack{Ack: at(2), Unsent: 8 * seg}) // 1 was not sent again: the ACKs are of the first transmissions
	c.want("spurious", r.Flags&ResultSpurious != 0, true)
	c.want("phase", c.s.phase, PhaseOpen)
	c.want("window", c.s.CC.Cwnd >= 10*seg, true)
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(cc.Unlimited))
	c.want("lost", c.e.Info(&c.s).Lost, uint32(0))
	c.want("Backoff", c.s.Backoff, uint8(0))
	c.want("UndoneByFRTO", c.e.counters.UndoneByFRTO, uint64(1))
	c.ack(10*ms, 12)
	c.want("bytes sent again", c.s.resent, uint32(seg))
}

func TestRFC5682_2_SpuriousTimeoutWithoutSACK(t *testing.T) {
	c := dial(t, withoutSACK)
	c.send(10, 1)
	c.expire(TimerRTO, 10*seg)
	c.wantList("step 1: sent again", c.resend(), 0)
	r := c.input(10*ms, Ack{Ack: at(3), Unsent: 10 * seg}) // could be the retransmission's
	c.want("spurious", r.Flags&ResultSpurious != 0, false)
	c.wantList("step 2b", c.resend())
	c.send(2, 0)
	r = c.input(10*ms, Ack{Ack: at(4), Unsent: 8 * seg})
	c.want("spurious", r.Flags&ResultSpurious != 0, true)
	c.ack(10*ms, 12)
}

func TestRFC5682_RealTimeout(t *testing.T) {
	for _, with := range []withOption{withoutSACK, withConfig(func(c *Config) { c.NoTLP = true })} {
		c := dial(t, with)
		c.send(10, 1)
		c.expire(TimerRTO, 10*seg)
		c.wantList("step 1: sent again", c.resend(), 0)
		c.input(100*ms, Ack{Ack: at(1), Unsent: 10 * seg, Flags: AckPure})
		c.send(2, 0)
		r := c.input(100*ms, Ack{Ack: at(1), Unsent: 8 * seg, Flags: AckPure}, blk(10, 11))
		c.want("step 3a: spurious", r.Flags&ResultSpurious != 0, false)
		if got := c.resend(); len(got) == 0 || got[0] != 1 {
			t.Fatalf("step 3a: sent again %v, want from 1 on", got)
		}
		c.ack(100*ms, 12)
		c.want("phase", c.s.phase, PhaseOpen)
	}
}

func TestRFC5682_2_NothingNewToSend(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.NoTLP = true }))
	c.send(4, 1)
	c.expire(TimerRTO, 0)
	c.resend()
	c.input(100*ms, Ack{Ack: at(1), Unsent: 0})
	c.wantList("step 2a", c.resend(), 1, 2)
	c.ack(100*ms, 4)
}

func TestRFC3522_SpuriousByTimestamp(t *testing.T) {
	c := dial(t)
	c.s.CC.Ssthresh = 10 * seg
	c.send(10, 0)
	first := uint32(c.now / 1000)
	c.ack(100*ms, 0, blk(1, 4))
	c.wantList("sent again", c.resend(), 0)
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(5*seg))
	r := c.input(5*ms, Ack{Ack: at(4), Flags: AckPure | AckEcho, Echo: first}) // answers the first transmission
	c.want("spurious", r.Flags&ResultSpurious != 0, true)
	c.want("window", c.s.CC.Cwnd, uint32(10*seg))
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(10*seg))
	c.want("phase", c.s.phase, PhaseOpen)
	c.want("reordering", c.e.Info(&c.s).Reordering, true)

	c = dial(t) // and one that was not
	c.send(10, 0)
	c.ack(100*ms, 0, blk(1, 4))
	c.resend()
	again := uint32(c.now / 1000)
	r = c.input(100*ms, Ack{Ack: at(4), Flags: AckPure | AckEcho, Echo: again})
	c.want("spurious", r.Flags&ResultSpurious != 0, false)
	c.want("phase", c.s.phase, PhaseRecovery)
}

// An old timestamp proves nothing if it answers a retransmission of an earlier episode that was still on its way.
func TestRFC3522_RetransmissionOfAnEarlierEpisode(t *testing.T) {
	c := dial(t)
	c.s.CC.Cwnd, c.s.CC.Ssthresh = 20*seg, 10*seg
	c.send(10, 0)
	c.ack(100*ms, 0, blk(1, 4))
	c.wantList("first episode", c.resend(), 0)
	c.now += ms
	c.send(6, ms) // 10 … 15, of which 12 is lost
	c.ack(80*ms, 0, blk(1, 10))
	c.ack(10*ms, 10, blk(11, 12), blk(13, 16))
	c.want("phase", c.s.phase, PhaseRecovery)
	for c.flight().lost.first != 0 {
		c.ack(ms, 10, blk(11, 12), blk(13, 16))
		c.resend()
	}
	echo := uint32(c.now / 1000)
	c.now += 2 * ms
	c.send(2, ms) // 16, 17
	undo := c.e.counters.UndoneByTimestamp
	c.flight().flags |= flightUndo | flightStamp // a later episode with its first retransmission now
	c.flight().flags &^= flightEnded
	c.flight().undoStamp = uint32(c.now / 1000)
	c.input(90*ms, Ack{Ack: at(16), Flags: AckPure | AckEcho, Echo: echo})
	c.want("UndoneByTimestamp", c.e.counters.UndoneByTimestamp, undo)
	c.ack(ms, 18)
}

func TestRFC3708_SpuriousByDSACK(t *testing.T) {
	c := dial(t)
	c.s.CC.Ssthresh = 10 * seg
	c.send(10, 0)
	c.ack(100*ms, 0, blk(2, 5))
	c.wantList("sent again", c.resend(), 0)
	c.ack(0, 0, blk(2, 7))
	c.wantList("sent again", c.resend(), 1)
	c.ack(5*ms, 5, blk(5, 7))
	r := c.ack(90*ms, 10, blk(0, 1)) // recovery is over; one of two was not needed
	c.want("spurious", r.Flags&ResultSpurious != 0, false)
	c.send(1, 0)
	r = c.ack(0, 10, blk(1, 2)) // nor the other
	c.want("spurious", r.Flags&ResultSpurious != 0, true)
	c.want("window", c.s.CC.Cwnd, uint32(10*seg))
	c.want("UndoneByDSACK", c.e.counters.UndoneByDSACK, uint64(1))
}

func TestUndoEndsOneRoundTripAfterRecovery(t *testing.T) {
	c := dial(t)
	c.send(10, 0)
	c.ack(100*ms, 0, blk(1, 4))
	c.resend()
	c.ack(100*ms, 10)
	c.send(2, 0)
	c.ack(100*ms, 12)
	c.send(1, 0)
	c.ack(100*ms, 13)
	r := c.ack(0, 13, blk(0, 1)) // too late
	c.want("spurious", r.Flags&ResultSpurious != 0, false)
	_, flights := c.e.Used()
	c.want("flights in use", flights, 0)
}

func TestLossUndoneBeforeAnythingWasResent(t *testing.T) {
	c := dial(t)
	c.send(10, 0)
	c.ack(100*ms, 0, blk(1, 4)) // marked lost; the core has no memory to send just now
	r := c.ack(1*ms, 4)
	c.want("spurious", r.Flags&ResultSpurious != 0, true)
	c.want("window", c.s.CC.Cwnd >= 10*seg, true)
}

func TestRFC3168_6_1_2_OncePerRoundTrip(t *testing.T) {
	c := dial(t)
	c.s.CC.Ssthresh = 10 * seg
	c.send(10, 0)
	r := c.input(100*ms, Ack{Ack: at(1), Flags: AckPure | AckECE})
	c.want("CWR", r.Flags&ResultCWR != 0, true)
	c.want("phase", c.s.phase, PhaseCWR)
	ssthresh := c.s.CC.Ssthresh
	for i := 2; i < 10; i++ {
		r = c.input(1*ms, Ack{Ack: at(i), Flags: AckPure | AckECE})
		c.want("CWR", r.Flags&ResultCWR != 0, false)
	}
	c.want("ssthresh", c.s.CC.Ssthresh, ssthresh)
	c.send(1, 0)
	c.input(1*ms, Ack{Ack: at(10), Flags: AckPure})
	c.want("phase", c.s.phase, PhaseOpen)
	c.want("window", c.s.CC.Cwnd, ssthresh)
	c.want("WindowsReducedByECN", c.e.counters.WindowsReducedByECN, uint64(1))
}

func TestRFC3168_DownToOneSegment(t *testing.T) {
	c := dial(t)
	n := 0
	for range 8 {
		c.send(1, 0)
		n++
		c.send(1, 0)
		n++
		c.input(100*ms, Ack{Ack: at(n - 1), Flags: AckPure | AckECE})
		c.input(0, Ack{Ack: at(n), Flags: AckPure})
	}
	c.want("window", c.s.CC.Cwnd, uint32(seg))
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(2*seg))
}

func TestRFC5681_4_1_RestartAfterIdle(t *testing.T) {
	for _, keep := range []bool{false, true} {
		c := dial(t, withConfig(func(c *Config) { c.NoIdleRestart = keep }))
		c.send(10, 0)
		c.ack(100*ms, 10)
		c.s.CC.Cwnd = 50 * seg
		c.now += 150 * ms
		c.want("window within an RTO", c.e.Allowance(&c.s, c.now), uint32(50*seg))
		c.now += 2000 * ms
		want := uint32(10 * seg) // the initial window of 10 segments
		if keep {
			want = 50 * seg
		}
		c.want("window after 2.1 s", c.e.Allowance(&c.s, c.now), want)
	}
}

func TestRFC1191_6_5_SmallerMTU(t *testing.T) {
	c := dial(t)
	c.send(3, 1)
	c.now++
	c.e.OnSend(&c.s, c.s.Nxt, 400, c.now, 0)
	cwnd := c.s.CC.Cwnd
	c.e.SetMSS(&c.s, 500)
	c.check()
	c.want("lost", c.e.Info(&c.s).Lost, uint32(3*seg))
	for i := range 6 {
		seq, n, ok := c.e.NextRetransmit(&c.s, 500)
		if !ok || seq != at(0)+uint32(i)*500 || n != 500 {
			t.Fatalf("range %d is [%d,+%d) %v", i, seq-at(0), n, ok)
		}
		c.e.OnSend(&c.s, seq, n, c.now, 0)
	}
	c.want("window", c.s.CC.Cwnd, cwnd)
	c.input(100*ms, Ack{Ack: c.s.Nxt})
	c.want("phase", c.s.phase, PhaseOpen)
	c.want("ssthresh", c.s.CC.Ssthresh, uint32(cc.Unlimited))
}

func TestFINIsPartOfTheLastSegment(t *testing.T) {
	c := dial(t)
	c.send(3, 1)
	c.e.OnSend(&c.s, c.s.Nxt, seg+1, c.now, SendFIN)
	c.ack(100*ms, 0, blk(1, 3))
	c.expire(TimerReorder, 0)
	c.resend()
	c.expire(TimerRTO, 0)
	c.wantList("first", c.resend()[:1], 0)
	c.ack(10*ms, 3)
	seq, n, ok := c.e.NextRetransmit(&c.s, seg)
	if !ok || seq != at(3) || n != seg+1 {
		t.Errorf("NextRetransmit gives [%d,+%d) %v, want the segment with its FIN", seq-at(0), n, ok)
	}
	c.input(10*ms, Ack{Ack: c.s.Nxt})
}

func TestDeliveryRate(t *testing.T) {
	// draft-cheng-iccrg-delivery-rate-estimation §3.3: ten segments a round trip of 100 ms.
	c := dial(t)
	c.send(10, 10*ms)
	c.ack(10*ms, 1)
	for i := 2; i <= 40; i++ {
		c.send(1, 0)
		c.ack(10*ms, i)
	}
	k := &c.e.sample
	if got := k.Rate.BytesPerSecond(); got < 95_000 || got > 105_000 {
		t.Errorf("rate %d bytes/s, want 100,000", got)
	}
	c.want("limited by the application", k.Rate.AppLimited, false)
	if got := c.e.Info(&c.s).DeliveryRate; got < 95_000 || got > 105_000 {
		t.Errorf("Info tells %d bytes/s, want 100,000", got)
	}
	c.ack(100*ms, 49)
	c.send(2, 0)
	c.e.OnSend(&c.s, c.s.Nxt, seg, c.now, SendLast)
	c.ack(100*ms, 52)
	c.send(1, 0) // sent when the application had nothing more: its sample says so
	c.ack(100*ms, 53)
	c.want("limited by the application", k.Rate.AppLimited, true)
}

func TestCongestionControlIsKeptWhileSwitching(t *testing.T) {
	c := dial(t)
	c.send(10, 0)
	c.ack(100*ms, 10)
	cwnd := c.s.CC.Cwnd
	c.e.SetCC(&c.s, cc.Cubic)
	c.want("window", c.s.CC.Cwnd, cwnd)
	c.want("algorithm", c.s.CC.Algorithm().Name(), "cubic")
	c.send(10, 0)
	c.ack(100*ms, 20)
	c.want("window grows", c.s.CC.Cwnd > cwnd, true)
}
