package tcp

import "github.com/fstack-go/fstack/stack"

// tuneSend lets the send queue hold twice what may be in flight, so that there is always something to send.
func (t *TCP) tuneSend(p *pcb) {
	if want := 2 * min(p.rec.CC.Cwnd, 1<<29); want > p.sndBuf && !t.pressed() {
		p.sndBuf = max(p.sndBuf, min(want, uint32(t.sys.sendMax)))
	}
}

// tuneReceive lets the receive queue hold twice what the application reads in a round trip: then the window is not
// what limits the sender, and a sender that doubles its own each round trip stays free to.
func (t *TCP) tuneReceive(p *pcb) {
	now := uint32(t.now / 1e3)
	rtt := max(p.rec.SRTT(), 1000)
	at, read := p.tuneAt(), p.tuneRead()
	past := now - *at
	if past < rtt {
		if *read < p.rcvBuf {
			return
		}
		past = rtt // more than a whole queue in less than a round trip: no need to wait for its end
	}
	want := uint64(*read) * 2
	if past > 2*rtt {
		want = want * uint64(rtt) * 2 / uint64(past)
	}
	*at, *read = now, 0
	if t.sys.recvAuto == 0 || want <= uint64(p.rcvBuf) || t.pressed() {
		return
	}
	limit := uint32(t.sys.recvMax)
	if p.flags&flagScale == 0 {
		limit = min(limit, 65535)
	} else {
		limit = min(limit, 65535<<p.rcvScale)
	}
	p.rcvBuf = max(p.rcvBuf, uint32(min(want, uint64(limit))))
}

// pressed tells whether memory for queues runs short: then nothing grows, what is out of order is not kept, and no
// connection begins but by cookie.
func (t *TCP) pressed() bool { return t.chunks.used >= t.chunks.most-t.chunks.most/8 }

// feed tells those who wrote when there was no memory that there is some.
func (t *TCP) feed() {
	if t.pressed() {
		return
	}
	list := t.starved
	t.starved = t.starved[:0]
	for _, i := range list {
		if p := t.pcbs.at(i); p.flags&flagWantMem != 0 && p.state != stateFree {
			p.flags &^= flagWantMem
			if p.flags&flagWantWrite != 0 && p.writable() {
				p.flags &^= flagWantWrite
				t.notify(p, stack.EventOut)
			}
		}
	}
}
