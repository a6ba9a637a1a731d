package main

// conn is one connection. It holds no pointer, so that the collector has nothing to look at.
type conn struct {
	sndUna, sndNxt, sndMax uint32 // sndMax: the highest that was ever sent; sndNxt goes back when it is sent again
	rcvNxt                 uint32
	recover                uint32 // with recovering: what must be acknowledged to end it
	window                 uint32 // the peer's, in bytes
	tuple                  uint32 // our address and port, see client.address
	begun                  int64  // when the request began, or with a connection for each request, the connection
	left                   int64  // bytes of body to come; toFIN: all until the end of the stream
	state                  state
	todo                   todo
	phase                  phase
	scale                  uint8 // the peer's window scale
	tries                  uint8 // how often the same was sent
	dupAcks                uint8
	queued                 bool
	recovering             bool // source: a segment was lost (RFC 6582)
	_                      [12]byte
}

const toFIN = -1

type state uint8

const (
	closed   state = iota
	opening        // SYN sent
	open           // established
	ending         // our FIN is to be sent or was, theirs has not come
	ended          // theirs has come, and ours is to be sent or was
	draining       // the RST that ends it is to be sent
)

// todo is what the next frames of a connection are to carry.
type todo uint8

const (
	sendSYN todo = 1 << iota
	sendRequest
	sendData
	sendLost
	sendFIN
	sendACK
	sendRST
)

// phase is where in an answer a connection is.
type phase uint8

const (
	quiet phase = iota // nothing was asked
	asked              // the head is to come
	inBody
)

// Sequence numbers compare modulo 2³² (RFC 9293 §3.4).
func before(a, b uint32) bool { return int32(a-b) < 0 }

// Our addresses and ports are numbered by tuples: the low bits are the port, the others the address, beginning with
// the first one given. Slot i has the tuples i, i+stride, i+2·stride …, stride being a power of two, so that a received
// segment's tuple leads to its slot without a table.
const (
	portBits = 15
	portBase = 1 << 15
)

// openSlot begins a connection in slot i, with its next tuple.
func (l *client) openSlot(i uint32) {
	c := &l.conns[i]
	next := (c.tuple + l.stride) & (l.tuples - 1)
	// RFC 9293 §3.4.1: the clock makes it greater than that of the last connection with the same addresses.
	iss := uint32(l.now >> 6)
	*c = conn{tuple: next, sndUna: iss, sndNxt: iss, sndMax: iss, begun: l.now, state: opening, queued: c.queued}
	delete(l.partial, i)
	l.opening++
	l.want(i, sendSYN)
}

// fail counts an error and begins the slot anew, after a pause so that a refusing server is not flooded.
func (l *client) fail(i uint32, counter *uint64, reset bool) {
	c := &l.conns[i]
	*counter++
	l.leave(c)
	c.phase = quiet
	if reset {
		c.state = draining
		l.want(i, sendRST)
		return
	}
	c.state, c.todo = closed, 0
	l.timers[i] = l.now + int64(reopenAfter)
}

// leave keeps the count of connections on their way.
func (l *client) leave(c *conn) {
	switch c.state {
	case opening:
		l.opening--
	case open:
		l.established--
	}
}

// finish is called when both ends have closed in order.
func (l *client) finish(i uint32) {
	c := &l.conns[i]
	c.state, c.todo = closed, 0
	l.timers[i] = 0
	if !l.stopping {
		l.openSlot(i)
	}
}

// want queues a connection to send.
func (l *client) want(i uint32, what todo) {
	c := &l.conns[i]
	c.todo |= what
	if !c.queued {
		c.queued = true
		l.pending[l.tail&l.mask] = i
		l.tail++
	}
}
