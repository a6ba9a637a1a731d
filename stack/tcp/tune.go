package tcp

import "github.com/fstack-go/fstack/stack"

// tuneSend lets the send queue hold twice what may be in flight, so that there is always something to send.
func (t *TCP) tuneSend(p *pcb) {
	if want := 2 * min(p.rec.CC.Cwnd, p.sndWndMax, 1<<29); want > p.sndBuf && !t.pressed() {
		p.sndBuf = max(p.sndBuf, min(want, uint32(t.sys.sendMax)))
	}
}

// tuneReceive lets the receive queue hold twice what the application reads in a round trip: then the window is not
// what limits the sender, and a sender that doubles its own each round trip stays free to.
func (t *TCP) tuneReceive(p *pcb) {
	now := uint32(t.now / 1e3)
	rtt := max(p.rec.SRTT(), tripMost)
	near := rtt == tripMost
	at, read := p.tuneAt(), p.tuneRead()
	past := now - *at
	if past < rtt { // more than a whole queue in less than a round trip: no need to wait for its end
		if near && *read/tripWindows < p.rcvBuf || *read < p.rcvBuf {
			return
		}
	}
	want := uint64(*read) * 2
	if past > 2*rtt {
		want = want * uint64(rtt) * 2 / uint64(past)
	}
	if near && want > tripFree {
		trip := t.readTrip(p, past, *read)
		want = max(tripFree, min(want, uint64(*read)*2*uint64(trip)/uint64(max(past, 1))))
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

const (
	tripMost    = 1000      // µs: round trips below are measured by the stream
	tripLeast   = 50        // µs: what is shorter may be longer at times, when an end sleeps or others have its CPU
	tripWindows = 8         // so many windows are enough to measure by
	tripFree    = 256 << 10 // bytes that fit into the caches: up to here the round trip is taken for tripMost
)

// readTrip is the least time in which a window was used up, seen and opened again, in µs, tripMost or less, after read
// bytes in past. It stands for the round trip, of which who only receives has but the handshake's, when nobody was busy.
// It is taken mostly while the window is small: what later waits in queues on the way, because the window is larger than
// it need be, does not count. Else the window would feed on itself, and the bytes leave the CPU's caches.
func (t *TCP) readTrip(p *pcb, past, read uint32) uint32 {
	trip := uint32(tripMost)
	if p.ext != 0 {
		if x := t.extras.at(p.ext); x.trip != 0 {
			trip = x.trip
		}
	}
	// The first window could be on its way already; each further one was announced, sent and read since.
	if n := read / p.rcvBuf; n >= 2 && past/(n-1) < trip {
		if x := t.extra(p); x != nil {
			x.trip = max(past/(n-1), tripLeast)
			trip = x.trip
		}
	}
	return trip
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
