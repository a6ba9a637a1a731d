package tcp

import "unsafe"

// chunkData is how many payload bytes a chunk holds: with its header it fills 2 KiB.
const (
	chunkSize = 2048
	chunkData = chunkSize - 8
)

// chunk is a piece of a send, receive or out-of-order queue.
type chunk struct {
	next  uint32
	start uint16 // data[start:end] is in use
	end   uint16
	data  [chunkData]byte
}

func (c *chunk) bytes() []byte { return c.data[c.start:c.end] }
func (c *chunk) len() int      { return int(c.end - c.start) }
func (c *chunk) room() int     { return chunkData - int(c.end) }

// chunks is the memory of all queues. most says how many chunks may be in use.
type chunks struct {
	slab[chunk]
	most  uint32
	kept  uint32 // of those, not in use, but kept free for loans
	loans []loan // of this turn; the first one stands for none
}

// take hands out an empty chunk, or 0 at the limit.
func (m *chunks) take() uint32 {
	if n := m.used + m.kept; n >= m.most || n+1 >= m.ready && !m.grow() {
		return 0
	}
	i := m.alloc()
	if i != 0 {
		c := m.at(i)
		c.next, c.start, c.end = 0, 0, 0
	}
	return i
}

// queue is a chain of chunks, first byte first. A receive queue may go on with loans: then tail is the first of them.
type queue struct {
	head, tail uint32
	len        uint32 // bytes
}

// append copies p to the end and returns how much memory there was for.
func (m *chunks) append(q *queue, p []byte) (n int) {
	if q.tail&lent != 0 {
		m.settleQueue(q)
	}
	if q.tail != 0 {
		c := m.at(q.tail)
		n = copy(c.data[c.end:], p)
		c.end += uint16(n)
	}
	for n < len(p) {
		i := m.take()
		if i == 0 {
			break
		}
		c := m.at(i)
		k := copy(c.data[:], p[n:])
		c.end = uint16(k)
		n += k
		if q.tail != 0 {
			m.at(q.tail).next = i
		} else {
			q.head = i
		}
		q.tail = i
	}
	q.len += uint32(n)
	return n
}

// read copies from the start of the queue and drops what it copied.
func (m *chunks) read(q *queue, p []byte) (n int) {
	for n < len(p) && q.head != 0 {
		c := m.at(q.head)
		k := copy(p[n:], c.data[c.start:c.end])
		n += k
		c.start += uint16(k)
		if c.start == c.end {
			m.pop(q)
		}
	}
	if q.tail&lent != 0 && n < len(p) {
		n += m.readLent(q, p[n:])
	}
	q.len -= uint32(n)
	return n
}

// peek copies from the queue, beginning skip bytes behind its start.
func (m *chunks) peek(q *queue, skip int, p []byte) (n int) {
	for i := q.head; i != 0 && n < len(p); {
		c := m.at(i)
		b := c.data[c.start:c.end]
		if skip >= len(b) {
			skip -= len(b)
		} else {
			n += copy(p[n:], b[skip:])
			skip = 0
		}
		i = c.next
	}
	if q.tail&lent != 0 && n < len(p) {
		n += m.peekLent(q, skip, p[n:])
	}
	return n
}

// drop removes n bytes from the start of the queue, which has them.
func (m *chunks) drop(q *queue, n uint32) {
	q.len -= n
	for n > 0 {
		if q.head == 0 {
			m.dropLent(q, n)
			return
		}
		c := m.at(q.head)
		if k := uint32(c.len()); n < k {
			c.start += uint16(n)
			return
		} else {
			n -= k
		}
		m.pop(q)
	}
}

// pop releases the first chunk.
func (m *chunks) pop(q *queue) {
	i := q.head
	q.head = m.at(i).next
	if q.head == 0 {
		if q.tail&lent == 0 {
			q.tail = 0
		} else {
			m.loan(q.tail).tail = 0
		}
	}
	m.release(i)
}

// join moves all of from to the end of q. What fits into q's last chunk is copied there, so that short pieces cannot
// pin a chunk each: two neighbours always hold more than one chunk's worth.
func (m *chunks) join(q, from *queue) {
	if q.tail&lent != 0 {
		m.settleQueue(q)
	}
	for from.head != 0 && q.tail != 0 {
		c, last := m.at(from.head), m.at(q.tail)
		if c.len() > last.room() {
			break
		}
		n := copy(last.data[last.end:], c.bytes())
		last.end += uint16(n)
		q.len += uint32(n)
		from.len -= uint32(n)
		m.pop(from)
	}
	if from.head == 0 {
		return
	}
	if q.tail != 0 {
		m.at(q.tail).next = from.head
	} else {
		q.head = from.head
	}
	q.tail = from.tail
	q.len += from.len
	*from = queue{}
}

// clear releases everything.
func (m *chunks) clear(q *queue) {
	for q.head != 0 {
		m.pop(q)
	}
	for q.tail != 0 && m.popLent(q) {
	}
	q.len = 0
}

// cursor is a place in a queue: a byte of a chunk. Chunk 0 is the start of the queue.
type cursor struct {
	chunk uint32
	off   uint16
}

// seek returns the place n bytes behind the start of the queue, which has them.
func (m *chunks) seek(q *queue, n uint32) cursor {
	i := q.head
	for i != 0 {
		c := m.at(i)
		if k := uint32(c.len()); n < k {
			return cursor{i, c.start + uint16(n)}
		} else if c.next == 0 {
			return cursor{i, c.end}
		} else {
			n -= k
		}
		i = c.next
	}
	return cursor{}
}

// copyOut fills p from a place on and returns the place behind.
func (m *chunks) copyOut(q *queue, at cursor, p []byte) cursor {
	if at.chunk == 0 {
		at.chunk = q.head
		if at.chunk == 0 {
			return cursor{}
		}
		at.off = m.at(at.chunk).start
	}
	for {
		c := m.at(at.chunk)
		k := copy(p, c.data[at.off:c.end])
		at.off += uint16(k)
		p = p[k:]
		if len(p) == 0 || c.next == 0 {
			return at
		}
		at.chunk = c.next
		at.off = m.at(c.next).start
	}
}

const _ = uint(chunkSize-unsafe.Sizeof(chunk{})) + uint(unsafe.Sizeof(chunk{})-chunkSize)
