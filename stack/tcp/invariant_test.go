package tcp

import "fmt"

// invariants looks through all that the TCP holds and returns what does not agree.
func (t *TCP) invariants() error {
	var u Usage
	var halves, waits, orphans, armed, kept uint32
	walk := func(i uint32, what string, q *queue) error {
		n, last := uint32(0), uint32(0)
		for c := q.head; c != 0; c = t.chunks.at(c).next {
			if t.chunks.at(c).len() == 0 && q.len > 0 {
				return fmt.Errorf("pcb %d: empty chunk in %s", i, what)
			}
			n += uint32(t.chunks.at(c).len())
			last = c
			if u.Chunks++; u.Chunks > int(t.chunks.used) {
				return fmt.Errorf("pcb %d: more chunks in queues than in use", i)
			}
		}
		tail := q.tail
		if q.tail&lent != 0 {
			tail = t.chunks.loan(q.tail).tail
			end := uint32(0)
			for l := q.tail; l != 0; l = t.chunks.loan(l).next {
				n += uint32(len(t.chunks.loan(l).b))
				kept += t.chunks.loan(l).cost
				end = l
			}
			if end != t.chunks.loan(q.tail).last || len(t.chunks.loan(q.tail).b) == 0 {
				return fmt.Errorf("pcb %d: %s has loans from %#x to %#x and says %#x", i, what, q.tail, end, t.chunks.loan(q.tail).last)
			}
		}
		if n != q.len || last != tail {
			return fmt.Errorf("pcb %d: %s of %d bytes says %d, ends at chunk %d and says %d", i, what, n, q.len, last, q.tail)
		}
		return nil
	}
	for i := uint32(1); i < t.pcbs.fresh; i++ {
		p := t.pcbs.at(i)
		if p.state == stateFree {
			continue
		}
		u.PCBs++
		if err := walk(i, "send queue", &p.snd); err != nil {
			return err
		}
		if err := walk(i, "receive queue", &p.rcv); err != nil {
			return err
		}
		if p.flags&flagInTable != 0 {
			u.Entries++
			if j, _ := t.table.find(&p.key, p.hash); j != i {
				return fmt.Errorf("pcb %d: the table finds %d", i, j)
			}
		}
		if p.wheelAt != 0 {
			armed++
		}
		for _, at := range []int64{p.timeLoss, p.timeAck, p.timeKeep, t.paceAt(p)} {
			if at != 0 && (p.wheelAt == 0 || p.wheelAt > at) {
				return fmt.Errorf("pcb %d in %v: deadline %d, but on the wheel at %d", i, p.state, at, p.wheelAt)
			}
		}
		if p.ext != 0 && p.state != stateListen {
			u.Extras++
		} else if p.flags&(flagPaced|flagPaceWait|flagsLimited) != 0 {
			return fmt.Errorf("pcb %d in %v: flags %#x without an extra", i, p.state, p.flags)
		}
		if p.flags&flagHalf != 0 {
			halves++
		}
		if p.flags&flagOrphan != 0 {
			orphans++
		}
		if p.flags&(flagOpen|flagHalf|flagQueued|flagOrphan) == 0 {
			return fmt.Errorf("pcb %d in %v belongs to nobody: flags %#x, parent %d", i, p.state, p.flags, p.parent)
		}
		if p.state.in(statesSynced|statesHalf) != (p.flags&flagInTable != 0) {
			return fmt.Errorf("pcb %d in %v: in table %v", i, p.state, p.flags&flagInTable != 0)
		}
		if p.rcv.len > p.rcvBuf+65536 {
			return fmt.Errorf("pcb %d: %d bytes wait in a queue of %d", i, p.rcv.len, p.rcvBuf)
		}
		if p.state.in(statesSynced) {
			sent := p.rec.Nxt - p.sndSeq()
			if p.flags&flagFinSent != 0 && p.rec.Nxt == p.sndEnd()+1 {
				sent--
			}
			if sent > p.snd.len {
				return fmt.Errorf("pcb %d in %v: %d bytes in flight, %d in the queue", i, p.state, sent, p.snd.len)
			}
			if at := p.nxt(); at.chunk != 0 {
				if want := t.chunks.seek(&p.snd, sent); !t.samePlace(at, want) {
					return fmt.Errorf("pcb %d: the next byte is at %v, want %v", i, at, want)
				}
			} else if sent != 0 {
				return fmt.Errorf("pcb %d: %d bytes in flight and no place of the next", i, sent)
			}
		}
		if p.ooo == 0 {
			continue
		}
		u.OutOfOrder++
		o := t.ooo.at(p.ooo)
		bytes, count, last, edge := uint32(0), uint16(0), uint32(0), p.rcvNxt
		for j := o.first; j != 0; j = t.ranges.at(j).next {
			r := t.ranges.at(j)
			if !after(r.start, edge) || !after(r.end, r.start) || r.end-r.start != r.q.len {
				return fmt.Errorf("pcb %d: range %d…%d of %d bytes behind %d", i, r.start, r.end, r.q.len, edge)
			}
			if err := walk(i, "range", &r.q); err != nil {
				return err
			}
			bytes, count, last, edge = bytes+r.q.len, count+1, j, r.end
			u.Ranges++
		}
		if bytes != o.bytes || count != o.count || last != o.last || count == 0 && !o.fin {
			return fmt.Errorf("pcb %d: %d bytes in %d ranges, said to be %d in %d", i, bytes, count, o.bytes, o.count)
		}
		for _, b := range o.recent {
			if b.Start == b.End {
				continue
			}
			found := false
			for j := o.first; j != 0; j = t.ranges.at(j).next {
				r := t.ranges.at(j)
				found = found || r.start == b.Start && r.end == b.End
			}
			if !found {
				return fmt.Errorf("pcb %d: block %d…%d is told but not there", i, b.Start, b.End)
			}
		}
	}
	older, since := uint32(0), uint32(0)
	for i := t.waits.oldest; i != 0; i = t.waits.at(i).newer {
		w := t.waits.at(i)
		if w.older != older || waits > 0 && before(w.since, since) || w.flags == 0 {
			return fmt.Errorf("record %d: behind %d of %d, says %d and %d; flags %#x", i, older, since, w.older, w.since, w.flags)
		}
		if j, p := t.table.find(&w.key, w.hash); j != i|inTimeWait || p != nil {
			return fmt.Errorf("record %d: the table finds %#x", i, j)
		}
		if t.binds.at(w.bind).port != w.localPort() {
			return fmt.Errorf("record %d: of port %d, holds %d", i, w.localPort(), t.binds.at(w.bind).port)
		}
		older, since = i, w.since
		waits++
		u.Entries++
	}
	if older != t.waits.newest {
		return fmt.Errorf("record %d is the last, said to be %d", older, t.waits.newest)
	}
	if c := &t.chunks; kept != c.kept || c.used+kept > c.most || kept > 0 && c.used+kept >= c.ready {
		return fmt.Errorf("%d chunks are kept for loans, said to be %d; %d in use of %d, %d usable", kept, c.kept, c.used, c.most, c.ready-1)
	}
	h := Usage{
		PCBs: int(t.pcbs.used), Extras: int(t.extras.used), Chunks: int(t.chunks.used), OutOfOrder: int(t.ooo.used), Ranges: int(t.ranges.used), Entries: int(t.table.count),
	}
	if h != u || int(armed) != t.wheel.armed || halves != t.halfOpen || waits != t.waits.used || orphans != t.orphans {
		return fmt.Errorf("in use %+v, found %+v; armed %d, found %d; half open %d/%d, TIME-WAIT %d/%d, orphans %d/%d", h, u, t.wheel.armed, armed,
			t.halfOpen, halves, t.waits.used, waits, t.orphans, orphans)
	}
	return nil
}

// samePlace compares places: the end of a chunk is the start of the next.
func (t *TCP) samePlace(a, b cursor) bool {
	norm := func(c cursor) cursor {
		for c.chunk != 0 && c.off == t.chunks.at(c.chunk).end && t.chunks.at(c.chunk).next != 0 {
			c.chunk = t.chunks.at(c.chunk).next
			c.off = t.chunks.at(c.chunk).start
		}
		return c
	}
	return norm(a) == norm(b)
}
