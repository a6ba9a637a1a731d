package recovery

import (
	"unsafe"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// record is a range of sequence numbers that was sent at one time and has one fate. It may cover many segments: a TSO
// super segment, or all that was sent in one turn of the loop. Times are µs modulo 2^32.
type record struct {
	seq, end   uint32
	next, prev uint32 // in order of sequence
	later      uint32 // in the queue that it is in: sent or lost
	sooner     uint32

	stamp
	_ [12]byte
}

// stamp is what a record remembers of its last transmission.
type stamp struct {
	sent        uint32 // when
	delivered   uint32 // State.delivered then (P.delivered), and so on
	deliveredAt uint32
	firstSent   uint32
	lostTotal   uint32
	inFlight    uint32 // bytes in flight with it
	flags       recordFlags
}

const _ = uint(64-unsafe.Sizeof(record{})) + uint(unsafe.Sizeof(record{})-64) // one cache line

type recordFlags uint8

const (
	recSacked recordFlags = 1 << iota // arrived; in no queue
	recLost                           // in the queue lost; neither: in the queue sent
	recResent                         // was sent more than once
	recShort                          // does not end where a full segment ends: nothing may be joined to it
	recFIN
	recSYN
	recAppLimited
)

func (r *record) len() uint32 { return r.end - r.seq }

// queue is a list of records in the order in which they entered.
type queue struct{ first, last uint32 }

// flight is the part of a connection's state that is needed while data is in flight, or while it is not yet known
// whether a loss was real.
type flight struct {
	scoreboard

	// What follows is set before it is used, as flags say; a new flight does not clear it.
	ptoFrom                uint32   // when the probe timer was last restarted, µs
	deliveredAt, firstSent uint32   // delivery rate: C.delivered_time, C.first_sent_time
	blocks                 [4]Block // of the last ACK with SACK, with flightBlocks: repeated ones are not looked for again

	// RACK, RFC 8985 §5.2, with rackRTT.
	rackSent, rackEnd uint32 // the most recently sent segment that arrived
	reorderAt         uint32 // with flightReorder: when the reordering timer is due
	tlpEnd            uint32 // with flightTLP: SND.NXT when the probe was sent
	dsackRound        uint32 // with flightDSACK

	resentEnd uint32 // with flightResent: from here on the order of sequence is the order of time

	// Recovery. Everything up to recover was sent before the loss; with flightRecover.
	recover      uint32
	recoverFS    uint32 // PRR, RFC 9937 §6.2
	prrDelivered uint32
	prrOut       uint32
	undoResent   uint32   // of resentLen, not yet reported as duplicates
	undoStamp    uint32   // time in ms of the first retransmission of the episode, with flightStamp
	undoFrom     uint32   // Una when the episode began
	undoUntil    uint32   // when this is acknowledged, undo is over; with flightEnded
	undo         cc.State // with flightUndo: congestion control before the loss
}

// scoreboard is the part of a flight that a new one clears: one cache line and a half.
type scoreboard struct {
	head, tail uint32 // records in order of sequence
	sent       queue  // in flight, by time of transmission: RACK's list (RFC 8985 §6.2)
	lost       queue  // to be sent again
	sackedLen  uint32 // bytes selectively acknowledged; without SACK, one segment for each duplicate ACK
	lostLen    uint32 // bytes in the queue lost
	records    uint32
	finger     uint32 // record at which SACK news was found last
	dupAcks    uint32 // ACKs in a row that did not move Una but told of an arrival
	resentLen  uint32 // bytes sent again in this episode
	rackRTT    uint32 // RACK.rtt, µs; 0: none arrived yet
	fack       uint32 // highest sequence number that arrived
	rtoFrom    uint32 // when the RTO was last restarted, µs
	appLimited uint32 // C.app_limited, with flightAppLimited
	flags      flightFlags
}

type flightFlags uint16

const (
	flightResent     flightFlags = 1 << iota // something below resentEnd is in flight again
	flightReorder                            // reorderAt is set
	flightTLP                                // a probe is outstanding
	flightTLPResent                          // which repeated old data
	flightDSACK                              // dsackRound is set
	flightUndo                               // undo holds the state before the loss
	flightStamp                              // undoStamp is set
	flightEnded                              // the episode is over, undo still possible
	flightRecover                            // recover is set
	flightForce                              // the next range goes out whatever the window says
	flightFRTO                               // a timeout may have been spurious (RFC 5682)
	flightFRTONew                            // F-RTO step 2b: new data goes before retransmissions
	flightAppLimited                         // appLimited is set
	flightBlocks                             // blocks is set
)

// flightQuiet are the flags with which the short way through OnAck is right.
const flightQuiet = flightAppLimited | flightRecover | flightBlocks

func (e *Engine) rec(i uint32) *record { return e.records.at(i) }

// push appends to a queue.
func (e *Engine) push(q *queue, i uint32, r *record) {
	r.later, r.sooner = 0, q.last
	if q.last != 0 {
		e.rec(q.last).later = i
	} else {
		q.first = i
	}
	q.last = i
}

// pushAfter inserts into a queue behind the record p, 0: at its head.
func (e *Engine) pushAfter(q *queue, p, i uint32, r *record) {
	if p == q.last {
		e.push(q, i, r)
		return
	}
	next := q.first
	if p != 0 {
		next = e.rec(p).later
		e.rec(p).later = i
	} else {
		q.first = i
	}
	r.sooner, r.later = p, next
	e.rec(next).sooner = i
}

// pull takes a record out of a queue.
func (e *Engine) pull(q *queue, r *record) {
	if r.sooner != 0 {
		e.rec(r.sooner).later = r.later
	} else {
		q.first = r.later
	}
	if r.later != 0 {
		e.rec(r.later).sooner = r.sooner
	} else {
		q.last = r.sooner
	}
}

// queue is where a record that has not arrived stands.
func (f *flight) queue(r *record) *queue {
	if r.flags&recLost != 0 {
		return &f.lost
	}
	return &f.sent
}

// disorder marks that up to end the order of sequence may not be the order of time.
func (f *flight) disorder(end uint32) {
	if f.flags&flightResent == 0 || seqLT(f.resentEnd, end) {
		f.resentEnd = end
	}
	f.flags |= flightResent
}

// drop frees a record that is in no queue.
func (e *Engine) drop(f *flight, i uint32, r *record) {
	if r.prev != 0 {
		e.rec(r.prev).next = r.next
	} else {
		f.head = r.next
	}
	if r.next != 0 {
		e.rec(r.next).prev = r.prev
	} else {
		f.tail = r.prev
	}
	if f.finger == i {
		f.finger = r.prev
	}
	f.records--
	e.records.release(i)
}

// split cuts a record in two at a sequence number inside it; both parts have the fate of the whole. false: no record
// is left.
func (e *Engine) split(f *flight, i uint32, at uint32) bool {
	j := e.records.alloc()
	if j == 0 {
		return false
	}
	r, n := e.rec(i), e.rec(j)
	*n = *r
	r.end, n.seq = at, at
	r.flags &^= recFIN | recShort
	n.flags &^= recSYN
	n.prev, n.next = i, r.next
	if r.next != 0 {
		e.rec(r.next).prev = j
	} else {
		f.tail = j
	}
	r.next = j
	if r.flags&recSacked == 0 {
		e.pushAfter(f.queue(r), i, j, n)
	}
	f.records++
	return true
}
