package tcp

// startKeepAlive arms the keep-alive timer if the socket has it and the state's timer is free.
func (t *TCP) startKeepAlive(i uint32, p *pcb) {
	if p.flags&flagKeepAlive == 0 || p.timeKeep != 0 || p.flags&flagDeferred != 0 {
		return
	}
	t.setTimeKeep(i, p, t.now+int64(t.keepIdle(p))*1e6)
}

func (t *TCP) keepIdle(p *pcb) uint32 {
	if v := t.opts.at(p.opts).keepIdle; v != 0 {
		return v
	}
	return uint32(t.sys.keepIdle)
}

// fireKeepAlive probes an idle peer (RFC 9293 §3.8.4).
func (t *TCP) fireKeepAlive(i uint32, p *pcb) {
	if p.flags&flagKeepAlive == 0 {
		return
	}
	o := t.opts.at(p.opts)
	wait := t.keepIdle(p)
	idle := t.nowMS - p.ackedAt
	if idle < wait || p.rec.Una != p.rec.Nxt {
		if p.rec.Una != p.rec.Nxt {
			idle = 0
		}
		t.setTimeKeep(i, p, t.now+int64(wait-idle)*1e6)
		return
	}
	every, most := uint32(t.sys.keepIntvl), uint8(t.sys.keepCnt)
	if o.keepIntvl != 0 {
		every = o.keepIntvl
	}
	if o.keepCnt != 0 {
		most = o.keepCnt
	}
	if p.probes >= most || o.userTimeout != 0 && p.probes > 0 && idle >= o.userTimeout {
		t.counters.KeepAliveDrops++
		t.giveUp(i, p, p.reason())
		return
	}
	p.probes++
	p.flags |= flagKeepProbe
	t.mark(i, p)
	t.setTimeKeep(i, p, t.now+int64(every)*1e6)
}
