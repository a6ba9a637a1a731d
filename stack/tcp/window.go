package tcp

// announce computes the window for a segment that leaves now, and remembers its right edge.
func (t *TCP) announce(p *pcb) uint16 {
	have := p.rcvAdv - p.rcvNxt // what the peer may still send by what it was told
	if int32(have) < 0 {
		have = 0
	}
	wnd := t.space(p)
	// RFC 9293 §3.8.6.2.2 and §3.8.6: the edge moves by whole segments or half the queue, and never back.
	if wnd < have || wnd-have < min(p.rcvBuf/2, uint32(p.rcvMSS)) {
		wnd = have
	}
	scale := p.rcvScale
	v := wnd >> scale
	if v<<scale < have {
		v++ // rounding down would take back what was promised
	}
	v = min(v, 65535)
	p.rcvAdv = p.rcvNxt + v<<scale
	return uint16(v)
}

// space is how much the receive queue can take.
func (t *TCP) space(p *pcb) uint32 {
	limit := p.rcvBuf
	if c := t.opts.at(p.opts).clamp; c != 0 {
		limit = min(limit, c)
	}
	if p.rcv.len >= limit {
		return 0
	}
	return limit - p.rcv.len
}

// window is what the peer may send by what it was told, from RCV.NXT on.
func (p *pcb) window() uint32 {
	if w := p.rcvAdv - p.rcvNxt; int32(w) > 0 {
		return w
	}
	return 0
}

// opened tells whether reading has opened the window so far that the peer should know at once.
func (t *TCP) opened(p *pcb) bool {
	wnd, have := t.space(p), p.window()
	return wnd > have && wnd-have >= min(p.rcvBuf/2, 2*uint32(p.rcvMSS)) && (have < 2*uint32(p.rcvMSS) || wnd-have >= p.rcvBuf/4)
}

// scaleFor is the least window scale with which a queue of that size can be announced.
func scaleFor(size uint32) (scale uint8) {
	for size>>scale > 65535 && scale < scaleMost {
		scale++
	}
	return scale
}
