package tcp

// A received segment stays in the device's frame until the turn ends. What is in order is therefore lent to the receive
// queue first: an application that reads in the same turn copies it from there, once. settle copies what is left into
// chunks, when the turn ends.
//
//	chunk ─► chunk ─► loan ─► loan      head is the first chunk or 0; tail the first loan: it knows the last chunk

// lent marks the number of a loan where that of a chunk may stand: in a queue's tail.
const lent = 1 << 31

// loan is a piece of a frame at the end of a queue.
type loan struct {
	b    []byte // not read yet
	next uint32 // loan of the same queue, 0: none
	last uint32 // of a queue's first loan: its last one
	tail uint32 // of a queue's first loan: the last chunk before, 0: none
	cost uint32 // chunks that are kept free for it
}

func (m *chunks) loan(i uint32) *loan { return &m.loans[i&^lent] }

// lend puts b at the end of a queue by reference, or returns false if there would be no chunks to settle with. The bytes
// must stay until then.
func (m *chunks) lend(q *queue, b []byte) bool {
	cost := uint32(1)
	if len(b) > chunkData {
		cost = uint32(len(b)+chunkData-1) / chunkData
	}
	m.kept += cost
	if n := m.used + m.kept; n > m.most || n >= m.ready && !m.growTo(n) {
		m.kept -= cost
		return false
	}
	i := lent | uint32(len(m.loans))
	m.loans = append(m.loans, loan{b: b, last: i, tail: q.tail, cost: cost})
	if q.tail&lent != 0 {
		first := m.loan(q.tail)
		m.loan(first.last).next = i
		first.last = i
	} else {
		q.tail = i
	}
	q.len += uint32(len(b))
	return true
}

// readLent is read for a queue that has no more chunks, but loans.
func (m *chunks) readLent(q *queue, p []byte) (n int) {
	for {
		l := m.loan(q.tail)
		k := copy(p[n:], l.b)
		n += k
		if l.b = l.b[k:]; len(l.b) > 0 || !m.popLent(q) {
			return n
		}
	}
}

// peekLent is peek for the loans of a queue.
func (m *chunks) peekLent(q *queue, skip int, p []byte) (n int) {
	for i := q.tail; i != 0 && n < len(p); i = m.loan(i).next {
		if b := m.loan(i).b; skip >= len(b) {
			skip -= len(b)
		} else {
			n += copy(p[n:], b[skip:])
			skip = 0
		}
	}
	return n
}

// dropLent removes n bytes from the loans of a queue that has no chunks.
func (m *chunks) dropLent(q *queue, n uint32) {
	for n > 0 {
		l := m.loan(q.tail)
		k := min(n, uint32(len(l.b)))
		n -= k
		if l.b = l.b[k:]; len(l.b) == 0 {
			m.popLent(q)
		}
	}
}

// popLent gives back the first loan of a queue that has no chunks. It returns whether there is another.
func (m *chunks) popLent(q *queue) bool {
	l := m.loan(q.tail)
	m.kept -= l.cost
	if q.tail = l.next; q.tail == 0 {
		return false
	}
	m.loan(q.tail).last, m.loan(q.tail).tail = l.last, 0
	return true
}

// settleQueue copies what a queue was lent to chunks of its own.
func (m *chunks) settleQueue(q *queue) {
	first := m.loan(q.tail)
	i := q.tail
	for q.tail = first.tail; i != 0; {
		l := m.loan(i)
		q.len -= uint32(len(l.b))
		m.kept -= l.cost
		m.append(q, l.b)
		i = l.next
	}
}

// growTo makes n chunks usable.
func (m *chunks) growTo(n uint32) bool {
	for n >= m.ready {
		if !m.grow() {
			return false
		}
	}
	return true
}

// lendLeast is the shortest payload that is lent to a queue without loans: less is copied sooner than noted.
const lendLeast = 512

// takeIn takes in what is in order: lent if it can be, else copied. It returns how much.
func (t *TCP) takeIn(i uint32, p *pcb, s *segment) (n uint32) {
	had := p.rcv.tail&lent != 0
	if !t.lending || s.rest == 0 && len(s.payload) < lendLeast && !had {
		return uint32(t.chunks.append(&p.rcv, s.payload))
	}
	if !had {
		t.borrowers = append(t.borrowers, i)
	}
	n, ok := t.takePiece(p, s.payload)
	if s.rest == 0 {
		return n
	}
	for f := range s.more {
		if !ok {
			break
		}
		var k uint32
		k, ok = t.takePiece(p, s.more[f].Bytes())
		n += k
	}
	return n
}

func (t *TCP) takePiece(p *pcb, b []byte) (uint32, bool) {
	if len(b) == 0 || t.chunks.lend(&p.rcv, b) {
		return uint32(len(b)), true
	}
	k := t.chunks.append(&p.rcv, b)
	return uint32(k), k == len(b)
}

// settle ends the turn's loans.
func (t *TCP) settle() {
	for _, i := range t.borrowers {
		if p := t.pcbs.at(i); p.rcv.tail&lent != 0 {
			t.chunks.settleQueue(&p.rcv)
		}
	}
	t.borrowers = t.borrowers[:0]
	t.chunks.loans = t.chunks.loans[:1]
}
