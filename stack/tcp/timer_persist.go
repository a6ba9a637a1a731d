package tcp

// The persist timer runs when there is something to send, nothing in flight, and nothing may be sent: because the
// window is closed (RFC 9293 §3.8.6.1), too small to be worth it (§3.8.6.2.1), or the application wants to add more.

const (
	overrideTime = 200  // ms that a short segment is held back for more
	persistMin   = 200  // ms, least time between window probes
	persistMax   = 60e3 // ms
)

// setPersist starts it if that is so. all is what waits, wnd the window that is left.
func (t *TCP) setPersist(i uint32, p *pcb, all, wnd uint32) {
	if p.rec.Una != p.rec.Nxt || p.flags&flagPersist != 0 {
		return
	}
	p.flags |= flagPersist
	wait := int64(overrideTime)
	if wnd < all || all == 0 {
		wait = t.persistWait(p)
	}
	t.setTimeKeep(i, p, t.now+wait*1e6)
}

// stall tries again later what could not be sent for a reason that is ours.
func (t *TCP) stall(i uint32, p *pcb) {
	if p.timeKeep == 0 || p.flags&flagPersist == 0 {
		p.flags |= flagPersist
		t.setTimeKeep(i, p, t.now+t.persistWait(p)*1e6)
	}
}

// persistWait is the time until the next probe, in ms: the RTO, doubling.
func (t *TCP) persistWait(p *pcb) int64 {
	rto := int64(t.rec.RTO(&p.rec)) / 1e3
	wait := min(max(rto, persistMin)<<min(p.probes, 16), persistMax)
	if uto := t.opts.at(p.opts).userTimeout; uto != 0 && p.probes != 0 {
		wait = min(wait, max(int64(uto)-int64(t.nowMS-p.progress), 1))
	}
	return wait
}

func (t *TCP) stopPersist(p *pcb) {
	if p.flags&flagPersist != 0 {
		p.flags &^= flagPersist | flagProbe
		p.timeKeep = 0
	}
}

// firePersist sends what fits into a small window, or a probe.
func (t *TCP) firePersist(i uint32, p *pcb) {
	p.flags &^= flagPersist
	if p.rec.Una != p.rec.Nxt || p.snd.len == 0 && p.flags&(flagShutWr|flagFinSent) != flagShutWr {
		t.startKeepAlive(i, p)
		return
	}
	o := t.opts.at(p.opts)
	switch {
	case int(p.probes-p.answered) > t.sys.retries, p.flags&flagOrphan != 0 && p.probes-p.answered > orphanRetries,
		o.userTimeout != 0 && p.probes != 0 && t.nowMS-p.progress >= o.userTimeout:
		// RFC 9293 §3.8.6.1: not while probes are answered, but for the time that the user has set (RFC 5482).
		t.giveUp(i, p, p.reason())
		return
	}
	if p.sndWnd > 0 {
		p.flags |= flagForce
	} else {
		p.flags |= flagProbe
		if p.probes == 0 {
			p.progress = t.nowMS
		}
		p.probes++
		if p.probes == 200 { // the interval has long stopped growing
			p.probes, p.answered = p.probes-100, p.answered-min(p.answered, 100)
		}
		p.flags |= flagPersist
		t.setTimeKeep(i, p, t.now+t.persistWait(p)*1e6)
	}
	t.mark(i, p)
}

// probeAnswered takes note that the peer is there.
func (t *TCP) probeAnswered(i uint32, p *pcb) {
	if p.flags&flagPersist == 0 {
		p.probes, p.answered = 0, 0 // of keep-alive
		return
	}
	if p.sndWnd > 0 {
		p.probes, p.answered = 0, 0
		t.stopPersist(p)
		t.startKeepAlive(i, p)
		t.mark(i, p)
		return
	}
	p.answered = p.probes // the interval goes on growing, the patience is new
}
