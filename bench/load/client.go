package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"github.com/fstack-go/fstack/stack"
)

const (
	rto         = 200 * time.Millisecond // first time to send again, doubled each time
	maxTries    = 6                      // then the connection has failed
	reopenAfter = 10 * time.Millisecond
	scanEvery   = 10 * time.Millisecond // how fine the timers are
	scanParts   = 100                   // in which they are looked at, so that many connections are no pause
	idleParts   = 5000                  // likewise, of connections that stay idle
	maxOpening  = 256                   // connections on their way at once
	maxSources  = 1 << 10
)

// client is the generator: all connections, and the port that they use.
type client struct {
	options
	dev     stack.Device
	queue   *stack.Queue
	inside  *inside // the server, if it is in this process
	offload bool    // the device sums TCP segments
	now     int64
	mac     [6]byte
	gateway [6]byte // the server's, or that of the way to it
	server  [4]byte
	source  uint32 // our first address

	serverPort uint16
	window     uint16 // as in the header
	mss        uint32

	conns   []conn
	timers  []int64           // of each connection: when to look after it, 0: never
	partial map[uint32][]byte // heads of answers that are not whole yet
	stride  uint32            // see portBits
	tuples  uint32
	pending []uint32 // a ring of the slots that have something to send
	head    uint32
	tail    uint32
	mask    uint32

	syn, request, data, ack, fin, rst *template
	answer                            answer // the last head that was seen

	resolved    bool
	askAt       int64
	opened      uint32 // slots that were begun
	opening     int    // connections on their way
	established int
	scanAt      int64
	scanBusy    int // where to go on
	scanIdle    int
	stopping    bool
	scratch     []byte // a frame that came in pieces
	counters    counters
	latency     histogram
	look        int           // turns between two looks at what costs time
	turnAt      int64         // when the last turn was
	idle        int64         // nanoseconds of turns without frames
	cpu         time.Duration // CPU time when the measurement began
}

// touch has the system back all memory of the client, so that what is used later is not its.
func (l *client) touch() {
	clear(l.timers)
	clear(l.pending)
}

// newClient prepares a client on a device. ports of the options are valid.
func newClient(o options, dev stack.Device) (*client, error) {
	info := dev.Info()
	l := &client{options: o, dev: dev, queue: dev.Queue(), offload: info.Offloads&stack.TxTCPCsum != 0, look: 4096}
	copy(l.mac[:], info.MAC)
	l.server, l.serverPort = o.to.Addr().As4(), o.to.Port()
	from := o.from.As4()
	l.source = binary.BigEndian.Uint32(from[:])
	l.mss = uint32(info.MTU - 40)
	slots := uint32(o.conns + o.idleConns)
	l.stride = uint32(1) << bits.Len32(slots-1)
	// Twice as many as slots at least, so that a new connection is not mistaken for the last.
	l.tuples = max(2*l.stride, 1<<portBits)
	sources := l.tuples >> portBits
	if sources > maxSources {
		return nil, fmt.Errorf("%d connections need %d source addresses, at most %d can be had", slots, sources, maxSources)
	}
	if last := l.lastSource(); sources > 1 && o.to.Addr().Compare(last) <= 0 && o.from.Compare(o.to.Addr()) <= 0 {
		return nil, fmt.Errorf("%d connections need the source addresses %v to %v, and the server's is among them", slots, o.from, last)
	}
	l.conns, l.timers, l.partial = make([]conn, slots), make([]int64, slots), map[uint32][]byte{}
	for i := range l.conns {
		l.conns[i].tuple = uint32(i)
	}
	l.pending = make([]uint32, l.stride)
	l.mask = l.stride - 1
	if l.mode != modeSource && len(o.request)+40 > info.MTU {
		return nil, fmt.Errorf("a request of %d bytes does not fit into one segment: the MTU is %d", len(o.request), info.MTU)
	}
	return l, nil
}

// lastSource is the highest of our addresses.
func (l *client) lastSource() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], l.source+(l.tuples-1)>>portBits)
	return netip.AddrFrom4(b)
}

// prepare makes the templates, when the server's link address is known.
func (l *client) prepare() {
	scale := max(0, bits.Len(uint(l.options.window))-16)
	l.window = uint16(min(l.options.window, 65535)) // RFC 7323 §2.2: that of a SYN is not scaled
	synOptions := []byte{2, 4, byte(l.mss >> 8), byte(l.mss), 1, 3, 3, byte(scale)}
	l.syn = l.newTemplate(fSYN, synOptions, nil)
	l.window = uint16(min(l.options.window>>scale, 65535))
	l.request = l.newTemplate(fACK|fPSH, nil, l.options.request)
	l.data = l.newTemplate(fACK, nil, make([]byte, l.mss))
	l.ack = l.newTemplate(fACK, nil, nil)
	l.fin = l.newTemplate(fACK|fFIN, nil, nil)
	l.rst = l.newTemplate(fACK|fRST, nil, nil)
}

// turn is one turn of the loop at the time that clock tells, which it reads when it has received.
func (l *client) turn(clock func() int64) {
	l.dev.Exchange()
	l.now = clock()
	rx := l.queue.Rx
	if len(rx) == 0 {
		l.idle += l.now - l.turnAt
	}
	l.turnAt = l.now
	for len(rx) > 0 {
		n := 1
		for rx[n-1].Flags&stack.More != 0 && n < len(rx) {
			n++
		}
		l.deliver(rx[:n])
		rx = rx[n:]
	}
	if l.now >= l.scanAt {
		l.scan()
	}
	if l.resolved {
		for !l.stopping && l.opening < maxOpening && int(l.opened) < len(l.conns) {
			l.openSlot(l.opened)
			l.opened++
		}
	}
	l.exhale()
}

// scan looks after the connections whose time has come, and the server's link address.
func (l *client) scan() {
	l.scanAt = l.now + int64(scanEvery/scanParts)
	if !l.resolved {
		if l.now >= l.askAt {
			l.askAt = l.now + int64(rto)/2
			l.whoHas()
		}
		return
	}
	busy := l.options.conns
	l.scanBusy = l.scanPart(0, busy, l.scanBusy, scanParts)
	// Those that stay idle are looked at less often, and so do not push the others out of the caches.
	l.scanIdle = l.scanPart(busy, len(l.timers), l.scanIdle, idleParts)
}

// scanPart looks at a part of the connections from low to high, from the place at on, and returns the next place.
func (l *client) scanPart(low, high, at, parts int) int {
	from := max(low, at)
	to := min(from+(high-low)/parts+1, high)
	for i, at := range l.timers[from:to] {
		if at != 0 && at <= l.now {
			l.timers[from+i] = 0
			l.expire(uint32(from + i))
		}
	}
	if to == high {
		return low
	}
	return to
}

// expire sends what was not acknowledged again, or gives up.
func (l *client) expire(i uint32) {
	c := &l.conns[i]
	probe := l.mode == modeSource && c.state == open && c.sndUna == c.sndMax
	switch {
	case c.state == draining:
		return
	case c.state == closed:
		if !l.stopping {
			l.openSlot(i)
		}
		return
	case c.tries >= maxTries, c.sndUna == c.sndMax && !probe: // nothing to send again: the peer is silent
		l.fail(i, &l.counters.Timeouts, true)
		return
	}
	c.tries++
	l.counters.Resent++
	switch {
	case c.state == opening:
		c.sndNxt = c.sndMax - 1
		l.want(i, sendSYN)
	case c.state != open:
		c.sndNxt = c.sndMax - 1
		l.want(i, sendFIN)
	case l.mode == modeSource:
		c.sndNxt, c.recovering = c.sndUna, false
		l.want(i, sendData)
	default: // all of it: the peer leaves out what it has
		c.sndNxt = c.sndMax - uint32(len(l.options.request))
		l.want(i, sendRequest)
	}
}

// stop ends what is under way: no connection asks again.
func (l *client) stop() {
	l.stopping = true
	for i := range l.conns {
		if c := &l.conns[i]; c.state == open && c.phase == quiet {
			l.end(uint32(i), c)
		}
	}
}

// abort ends the connections that are left, with a RST each.
func (l *client) abort() {
	for i := range l.conns {
		if c := &l.conns[i]; c.state != closed && c.state != draining {
			l.leave(c)
			c.state, c.todo = draining, 0
			l.want(uint32(i), sendRST)
		}
	}
}

// gone tells whether all connections are closed.
func (l *client) gone() bool {
	for i := range l.conns {
		if l.conns[i].state != closed {
			return false
		}
	}
	return true
}
