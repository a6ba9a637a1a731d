package tcp

// extra is what only some connections have: those that are paced, and those that were held back by the peer's window
// or by their own queue's limit. The PCB names it by ext, which only a listener uses otherwise.
type extra struct {
	next   int64  // paced: ns, when the next burst may leave
	rwnd   uint32 // ms for which the peer's window held data back (tcpi_rwnd_limited)
	sndbuf uint32 // ms for which all was sent and the queue's limit kept the application from writing (tcpi_sndbuf_limited)
	since  uint32 // ms, when what limits now began to
	trip   uint32 // µs, the least round trip by what was read; 0: not measured, or no less than tripMost
}

// extra is the connection's, made if it has none. nil: no memory.
func (t *TCP) extra(p *pcb) *extra {
	if p.ext == 0 {
		if p.ext = t.extras.alloc(); p.ext == 0 {
			t.counters.ExtrasExhausted++
			return nil
		}
		*t.extras.at(p.ext) = extra{}
	}
	return t.extras.at(p.ext)
}

// dropExtra gives it back.
func (t *TCP) dropExtra(p *pcb) {
	if p.ext != 0 && p.state != stateListen {
		t.extras.release(p.ext)
		p.ext = 0
		p.flags &^= flagPaced | flagPaceWait | flagsLimited
	}
}

// limited takes note of what keeps data from leaving, as Linux counts it: flagRwndLimited, flagSndbufLimited, or 0 for
// nothing or the network.
func (t *TCP) limited(p *pcb, by flags) {
	was := p.flags & flagsLimited
	if was == by {
		return
	}
	x := t.extra(p)
	if x == nil {
		return
	}
	switch was {
	case flagRwndLimited:
		x.rwnd += t.nowMS - x.since
	case flagSndbufLimited:
		x.sndbuf += t.nowMS - x.since
	}
	x.since = t.nowMS
	p.flags = p.flags&^flagsLimited | by
}

// drained is when the send queue has become empty.
func (t *TCP) drained(p *pcb) {
	p.busyTime += t.nowMS - p.busySince
	if p.flags&flagsLimited != 0 {
		t.limited(p, 0)
	}
}

// times are tcpi_busy_time, tcpi_rwnd_limited and tcpi_sndbuf_limited in ms. The first one has the others in it.
func (t *TCP) times(p *pcb) (busy, rwnd, sndbuf uint32) {
	busy = p.busyTime
	if p.snd.len > 0 {
		busy += t.nowMS - p.busySince
	}
	if p.ext != 0 {
		x := t.extras.at(p.ext)
		rwnd, sndbuf = x.rwnd, x.sndbuf
		switch p.flags & flagsLimited {
		case flagRwndLimited:
			rwnd += t.nowMS - x.since
		case flagSndbufLimited:
			sndbuf += t.nowMS - x.since
		}
	}
	return busy, rwnd, sndbuf
}
