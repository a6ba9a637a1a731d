package tcp

// A path may swallow long packets without a word: a router whose ICMP errors are filtered, a tunnel that cuts nothing
// (RFC 2923 §2.1). Then full segments time out however often they are sent again, and short ones would pass. As RFC
// 4821 §7.7 has it, the segments are made shorter when they time out in a row, here in two steps as FreeBSD does; what
// was found holds for the path for some minutes, and if nothing passes in spite of it the path is as before.

const (
	holeFirst  = 2 // timeouts in a row after which net.inet.tcp.pmtud_blackhole_mss is tried
	holeSecond = 4 // the least segment, and routers may cut it
	holeGiveUp = 6 // it was something else
)

// suspectHole is called after a retransmission timeout.
func (t *TCP) suspectHole(i uint32, p *pcb) {
	n := p.rec.Retries
	if n == 1 {
		p.flags &^= flagHole // of an episode that is over: what was found is true
	}
	v6 := p.flags&flagIPv6 != 0
	if n&1 != 0 || n > holeGiveUp || p.flags&flagLoopback != 0 || !p.state.in(statesSynced) || !t.detectsHoles(v6) ||
		t.sys.pmtud == 0 || t.opts.at(p.opts).noPMTU == pmtuDont {
		return
	}
	first, least := uint16(t.sys.holeV4), uint16(t.sys.mssV4)
	if v6 {
		first, least = uint16(t.sys.holeV6), pmtuMinV6-p.headers() // no link may have less (RFC 8200 §5)
	}
	have := p.mss
	if p.flags&flagStamp != 0 {
		have += stampRoom
	}
	switch {
	case n == holeGiveUp:
		if p.flags&flagHole != 0 {
			t.counters.BlackHolesDismissed++
			p.flags &^= flagHole | flagFragment
			d := t.destOf(p)
			d.pmtu = 0
			if d.mtu != 0 {
				t.setPMTU(i, p, d.mtu)
			}
		}
	case p.rec.Nxt-p.rec.Una < uint32(p.mss): // no full segment is in flight
	case have > first && first >= least:
		t.counters.BlackHolesSuspected++
		t.shorten(i, p, first)
	case n == holeSecond && have > least:
		t.counters.BlackHolesMinimal++
		if !v6 {
			p.flags |= flagFragment
		}
		t.shorten(i, p, least)
	}
}

// shorten makes the segments to that destination as short as that.
func (t *TCP) shorten(i uint32, p *pcb, mss uint16) {
	p.flags |= flagHole
	d := t.destOf(p)
	d.pmtu, d.pmtuUntil = mss+p.headers(), t.now+pmtuLifetime
	t.setPMTU(i, p, d.pmtu)
	p.rec.CC.Cwnd = min(p.rec.CC.Cwnd, uint32(p.mss)) // RFC 5681 §3.1: the loss window is one segment, now of this size
}

func (t *TCP) detectsHoles(v6 bool) bool {
	switch t.sys.holes {
	case 1:
		return true
	case 2:
		return !v6
	case 3:
		return v6
	}
	return false
}
