package recovery

import "testing"

func TestRFC6298_2_Estimator(t *testing.T) {
	c := dial(t) // (2.2): SRTT = R, RTTVAR = R/2
	c.want("SRTT", c.s.SRTT(), uint32(100*ms))
	c.want("RTTVAR", c.s.rttvar>>2, uint32(50*ms))
	c.want("RTO", c.e.RTO(&c.s), uint32(300*ms)) // the allowance is at least RTOMin
	srtt, rttvar := 100e3, 50e3
	for i, r := range []float64{200e3, 80e3, 400e3, 100e3} { // (2.3)
		c.send(1, 0)
		c.ack(int64(r), i+1)
		d := srtt - r
		if d < 0 {
			d = -d
		}
		rttvar = 0.75*rttvar + 0.25*d
		srtt = 0.875*srtt + 0.125*r
		if got := float64(c.s.SRTT()); got < srtt-4 || got > srtt+4 {
			t.Errorf("after %g: SRTT %g, want %g", r, got, srtt)
		}
		if got := float64(c.s.rttvar >> 2); got < rttvar-4 || got > rttvar+4 {
			t.Errorf("after %g: RTTVAR %g, want %g", r, got, rttvar)
		}
	}
	if got, want := float64(c.e.RTO(&c.s)), srtt+4*rttvar; got < want-30 || got > want+30 {
		t.Errorf("RTO %g, want %g", got, want)
	}
}

func TestRFC6298_5_BackoffAndBounds(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.RTOMax = 2_000_000; c.NoTLP = true }))
	c.send(1, 0)
	for i, want := range []int64{300, 600, 1200, 2000, 2000} {
		c.want("time to RTO", c.due(TimerRTO), want*ms)
		c.expire(TimerRTO, 0)
		c.wantList("sent again", c.resend(), 0)
		c.want("Retries", int(c.s.Retries), i+1)
	}
	// Karn: the ACK of a retransmission gives no sample, and the backoff stays.
	c.ack(100*ms, 1)
	c.want("SRTT", c.s.SRTT(), uint32(100*ms))
	c.want("Backoff", c.s.Backoff, uint8(5))
	c.want("Retries", c.s.Retries, uint8(0))
	c.send(1, 0)
	c.want("time to RTO", c.due(TimerRTO), int64(2000*ms))
	c.ack(100*ms, 2) // a clean sample ends it
	c.want("Backoff", c.s.Backoff, uint8(0))
}

func TestRFC6298_5_3_RestartOnProgress(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.NoTLP = true }))
	c.send(3, 0)
	c.ack(100*ms, 1)
	rto := int64(c.e.RTO(&c.s))
	c.want("time to RTO", c.due(TimerRTO), rto)
	c.input(50*ms, Ack{Ack: at(1)}) // no progress: not restarted
	c.want("time to RTO", c.due(TimerRTO), rto-50*ms)
	c.ack(0, 3)
	if _, kind := c.e.Deadline(&c.s, c.now); kind != TimerNone { // (5.2)
		t.Errorf("timer %d is set with nothing outstanding", kind)
	}
}

func TestRFC6298_5_7_LostSYN(t *testing.T) {
	e := newEngine(t, Config{Records: 16, Flights: 16})
	var s State
	var r Result
	now := int64(1e9)
	e.Init(&s, iss)
	e.OnSend(&s, iss, 1, now, SendSYN)
	at, kind := e.Deadline(&s, now)
	if kind != TimerRTO || at != now+1_000_000 {
		t.Fatalf("timer %d in %d µs for a SYN, want the RTO in 1 s", kind, at-now)
	}
	now = at
	e.OnTimer(&s, now, 0)
	seq, n, ok := e.NextRetransmit(&s, 536)
	if !ok || seq != iss || n != 1 {
		t.Fatalf("after the RTO: %d, %d, %v, want the SYN", seq, n, ok)
	}
	e.OnSend(&s, seq, n, now, SendSYN)
	e.OnAck(&s, &Ack{Ack: iss + 1}, now+50*ms, &r)
	e.Established(&s, Options{MSS: 1000, SACK: true})
	if s.CC.Cwnd != 1000 {
		t.Errorf("window after a lost SYN is %d, want one segment (RFC 5681 §3.1)", s.CC.Cwnd)
	}
	s.Backoff = 0
	e.OnSend(&s, s.Nxt, 1000, now, 0)
	if rto := e.RTO(&s); rto != 3_000_000 {
		t.Errorf("RTO of data after a lost SYN is %d, want 3 s", rto)
	}
	e.Release(&s)
}

func TestRFC7323_4_1_SampleOfRetransmissionByTimestamp(t *testing.T) {
	c := dial(t, withConfig(func(c *Config) { c.NoTLP = true }))
	c.send(1, 0)
	c.expire(TimerRTO, 0)
	c.resend()
	echo := uint32(c.now / 1000)
	c.input(140*ms, Ack{Ack: at(1), Flags: AckPure | AckEcho, Echo: echo})
	c.want("SRTT", c.s.SRTT(), uint32(105*ms)) // 7/8 · 100 + 1/8 · 140
	c.want("Backoff", c.s.Backoff, uint8(0))
}

func TestTune(t *testing.T) {
	c := dial(t)
	c.e.Tune(Config{RTOMin: 30 * ms, RTOMax: 400 * ms, NoTLP: true})
	c.send(1, 0)
	c.ack(100*ms, 1)
	for i := 2; i < 60; i++ {
		c.send(1, 0)
		c.ack(100*ms, i)
	}
	c.want("RTO of a steady path", c.e.RTO(&c.s), uint32(130*ms))
	c.send(1, 0)
	for _, want := range []int64{130, 260, 400, 400} {
		c.want("time to RTO", c.due(TimerRTO), want*ms)
		c.expire(TimerRTO, 0)
		c.resend()
	}
	c.e.Tune(Config{RTOMin: 1 << 31, RTOMax: 1 << 31}) // nonsense stays within what the arithmetic can do
	if at, _ := c.e.Deadline(&c.s, c.now); at < c.now || at > c.now+1<<30 {
		t.Errorf("the deadline is %d µs away", at-c.now)
	}
}

func TestMinRTTForgets(t *testing.T) {
	c := dial(t)
	n := 0
	round := func(rtt, gap int64) {
		n++
		c.send(1, 0)
		c.ack(rtt, n)
		c.now += gap
	}
	round(20*ms, 0)
	c.want("least RTT", c.s.MinRTT(), uint32(20*ms))
	round(50*ms, 100e6)
	c.want("least RTT", c.s.MinRTT(), uint32(20*ms))
	round(60*ms, 160e6)
	round(60*ms, 160e6) // the path has changed: 20 ms is more than five minutes old in the end
	round(60*ms, 160e6)
	c.want("least RTT", c.s.MinRTT(), uint32(60*ms))
}
