package tcp

import (
	"github.com/fstack-go/fstack/stack/tcp/recovery"
)

// reassembly is what a connection has beyond a gap: ranges in order of their sequence numbers, none touching the next,
// and which of them changed last, for SACK.
type reassembly struct {
	first, last uint32 // oooRange
	count       uint16
	fin         bool // the stream ends at finSeq
	finSeq      uint32
	bytes       uint32
	recent      [4]recovery.Block // latest first; Start == End: none
}

type oooRange struct {
	next       uint32
	start, end uint32
	q          queue
}

// rangesMost bounds the memory that short segments can pin, and the time to find a place among them.
const rangesMost = 512

// inputGap takes a segment in that does not simply continue, and acknowledges at once (RFC 5681 §4.2).
func (t *TCP) inputGap(i uint32, p *pcb, s *segment, fin bool) {
	n := uint32(len(s.payload))
	if p.ooo == 0 {
		if p.ooo = t.ooo.alloc(); p.ooo == 0 {
			t.counters.DropOutOfOrder++
			t.ackAtOnce(i, p)
			return
		}
		*t.ooo.at(p.ooo) = reassembly{}
	}
	o := t.ooo.at(p.ooo)
	if s.seq != p.rcvNxt {
		t.counters.RxOutOfOrder++
	}
	if fin {
		o.fin, o.finSeq = true, s.seq+n
	}
	if n > 0 {
		p.dataIn++
		t.store(p, o, s.seq, s.payload)
	}
	edge := p.rcvNxt
	if t.drain(p, o); p.rcvNxt != edge {
		fin := o.fin && o.finSeq == p.rcvNxt
		if o.count == 0 && !o.fin {
			t.dropGaps(p)
		}
		if fin {
			t.inputFin(i, p)
		} else {
			t.wakeReader(i, p)
		}
		if p.flags&flagInTable != 0 { // else it was done on the way to TIME-WAIT
			t.ackAtOnce(i, p) // RFC 5681 §4.2: also when a gap is filled
		}
		return
	}
	if o.count == 0 && !o.fin { // nothing could be kept
		t.dropGaps(p)
	}
	t.ackAtOnce(i, p)
}

// store keeps [seq, seq+len(b)) without what is there already.
func (t *TCP) store(p *pcb, o *reassembly, seq uint32, b []byte) {
	end := seq + uint32(len(b))
	// Find the last range that begins at or before seq: usually the very last.
	prev, next := uint32(0), o.first
	if o.last != 0 && afterEq(seq, t.ranges.at(o.last).start) {
		prev, next = o.last, 0
	} else {
		for next != 0 && beforeEq(t.ranges.at(next).start, seq) {
			prev, next = next, t.ranges.at(next).next
		}
	}
	if prev != 0 {
		r := t.ranges.at(prev)
		if afterEq(r.end, end) { // all of it is known: RFC 2883 §4
			t.duplicate(p, seq, end)
			t.counters.RxOld++
			t.counters.RxOldBytes += uint64(len(b))
			o.touch(r.start, r.end)
			return
		}
		if after(r.end, seq) {
			t.duplicate(p, seq, r.end)
			b = b[r.end-seq:]
			seq = r.end
		}
	}
	// Ranges that the new bytes swallow go; from one that they only reach into, they are cut off.
	for next != 0 {
		r := t.ranges.at(next)
		if after(r.start, end) || r.start == end {
			break
		}
		if after(r.end, end) {
			t.duplicate(p, r.start, end)
			b = b[:r.start-seq]
			break
		}
		t.duplicate(p, r.start, r.end)
		next = t.dropRange(o, prev, next)
	}
	if t.pressed() {
		t.counters.DropOutOfOrder++
		return
	}
	// Append to the range before, or make one.
	at := prev
	if prev == 0 || t.ranges.at(prev).end != seq {
		if o.count >= rangesMost {
			t.counters.DropOutOfOrder++
			return
		}
		if at = t.ranges.alloc(); at == 0 {
			t.counters.DropOutOfOrder++
			return
		}
		*t.ranges.at(at) = oooRange{next: next, start: seq, end: seq}
		if prev != 0 {
			t.ranges.at(prev).next = at
		} else {
			o.first = at
		}
		if next == 0 {
			o.last = at
		}
		o.count++
	}
	r := t.ranges.at(at)
	k := uint32(t.chunks.append(&r.q, b))
	r.end += k
	o.bytes += k
	if k < uint32(len(b)) {
		t.counters.DropNoMemory++
	}
	if r.start == r.end { // not a byte found room
		t.unlink(o, at)
		return
	}
	if next != 0 && t.ranges.at(next).start == r.end { // the gap to the next is closed
		n := t.ranges.at(next)
		t.chunks.join(&r.q, &n.q)
		r.end = n.end
		r.next = n.next
		if o.last == next {
			o.last = at
		}
		t.ranges.release(next)
		o.count--
	}
	o.touch(r.start, r.end)
}

// drain moves what continues the stream to the receive queue.
func (t *TCP) drain(p *pcb, o *reassembly) {
	for o.first != 0 {
		r := t.ranges.at(o.first)
		if r.start != p.rcvNxt {
			return
		}
		n := r.end - r.start
		t.chunks.join(&p.rcv, &r.q)
		t.received(p, n)
		o.bytes -= n
		o.forget(r.start, r.end)
		next := r.next
		t.ranges.release(o.first)
		o.first = next
		if next == 0 {
			o.last = 0
		}
		o.count--
	}
}

// dropRange forgets a range that newer bytes replace and returns the next one.
func (t *TCP) dropRange(o *reassembly, prev, i uint32) uint32 {
	r := t.ranges.at(i)
	next := r.next
	o.bytes -= r.q.len
	t.chunks.clear(&r.q)
	if prev != 0 {
		t.ranges.at(prev).next = next
	} else {
		o.first = next
	}
	if o.last == i {
		o.last = prev
	}
	t.ranges.release(i)
	o.count--
	return next
}

func (t *TCP) unlink(o *reassembly, i uint32) {
	prev := uint32(0)
	for at := o.first; at != i; at = t.ranges.at(at).next {
		prev = at
	}
	t.dropRange(o, prev, i)
}

// dropGaps gives back all that is out of order.
func (t *TCP) dropGaps(p *pcb) {
	if p.ooo == 0 {
		return
	}
	o := t.ooo.at(p.ooo)
	for o.first != 0 {
		t.dropRange(o, 0, o.first)
	}
	t.ooo.release(p.ooo)
	p.ooo = 0
}

// touch puts a range first among those to be told (RFC 2018 §4), in place of those that it holds.
func (o *reassembly) touch(start, end uint32) {
	keep := [4]recovery.Block{{Start: start, End: end}}
	n := 1
	for _, b := range o.recent {
		if b.Start != b.End && (before(b.Start, start) || after(b.End, end)) && n < len(keep) {
			keep[n] = b
			n++
		}
	}
	o.recent = keep
}

// forget removes those that are in order now.
func (o *reassembly) forget(start, end uint32) {
	var keep [4]recovery.Block
	n := 0
	for _, b := range o.recent {
		if b.Start != b.End && (before(b.Start, start) || after(b.End, end)) {
			keep[n] = b
			n++
		}
	}
	o.recent = keep
}

// duplicate remembers what the next ACK reports as received twice (RFC 2883).
func (t *TCP) duplicate(p *pcb, start, end uint32) {
	if p.flags&flagSACK != 0 && t.dsackLater.Start == t.dsackLater.End {
		t.dsackLater = recovery.Block{Start: start, End: end}
	}
}

// recentBlocks fills list with the SACK blocks to send and returns how many.
func (t *TCP) recentBlocks(p *pcb, list []recovery.Block) (n int) {
	if p.ooo == 0 {
		return 0
	}
	for _, b := range t.ooo.at(p.ooo).recent {
		if b.Start == b.End || n == len(list) {
			break
		}
		list[n] = b
		n++
	}
	return n
}

// blocksLen is the length of the SACK option of the next segment.
func (t *TCP) blocksLen(p *pcb) uint32 {
	var list [4]recovery.Block
	room := 40
	if p.flags&flagStamp != 0 {
		room -= stampRoom
	}
	n := t.recentBlocks(p, list[:(room-4)/8])
	if n == 0 {
		return 0
	}
	return uint32(4 + 8*n)
}
