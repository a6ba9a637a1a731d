package recovery

// The SACK scoreboard: RFC 2018, with RFC 2883's duplicates.

const (
	sackSteps  = 256 // records looked at for one ACK's blocks, so that a peer cannot make it costly
	sackSpares = 64  // records that a connection may have beyond two for each segment in flight
)

// dsack tells whether the first block reports a duplicate (RFC 2883 §4): it lies below the cumulative ACK, within
// the largest window, or inside the second block.
func (a *Ack) dsack() bool {
	b := a.SACK[0]
	if a.Blocks == 0 || !seqLT(b.Start, b.End) {
		return false
	}
	if seqLEQ(b.End, a.Ack) && a.Ack-b.Start <= 1<<30 {
		return true
	}
	return a.Blocks > 1 && seqLEQ(a.SACK[1].Start, b.Start) && seqLEQ(b.End, a.SACK[1].End)
}

// sackBlocks takes in an ACK's blocks, in order of sequence. Una is the new one.
func (e *Engine) sackBlocks(s *State, f *flight, w *work) {
	blocks := w.ack.SACK[:min(int(w.ack.Blocks), len(w.ack.SACK))]
	if w.dsack {
		blocks = blocks[1:]
	}
	var sorted [len(f.blocks)]Block
	n := 0
	for _, b := range blocks {
		if !seqLT(b.Start, b.End) || seqLT(s.Nxt, b.End) {
			e.counters.SACKInvalid++
			continue
		}
		if seqLEQ(b.End, s.Una) {
			continue // old news
		}
		if seqLT(b.Start, s.Una) {
			b.Start = s.Una
		}
		if f.seen(b) {
			continue
		}
		k := n
		for ; k > 0 && seqLT(b.Start, sorted[k-1].Start); k-- {
			sorted[k] = sorted[k-1]
		}
		sorted[k] = b
		n++
	}
	f.blocks = [4]Block{}
	copy(f.blocks[:], blocks)
	f.flags |= flightBlocks
	steps := 0
	for _, b := range sorted[:n] {
		if steps = e.sackBlock(s, f, w, b, steps); steps >= sackSteps {
			e.counters.SACKWorkLimit++
			f.flags &^= flightBlocks // the rest is looked for when it is repeated
			return
		}
	}
}

// seen tells whether the last ACK with blocks had this one too.
func (f *flight) seen(b Block) bool {
	if f.flags&flightBlocks != 0 {
		for i := range f.blocks {
			if f.blocks[i] == b {
				return true
			}
		}
	}
	return false
}

// sackBlock marks what a block covers and returns the steps that were taken up to now.
func (e *Engine) sackBlock(s *State, f *flight, w *work, b Block, steps int) int {
	i := f.head
	if f.finger != 0 && b.Start-s.Una > (e.rec(f.finger).seq-s.Una)/2 {
		i = f.finger
		for i != f.head && seqLT(b.Start, e.rec(i).seq) && steps < sackSteps {
			i = e.rec(i).prev
			steps++
		}
		f.finger = i // if this was too far, the next ACK goes on from here
	}
	for ; i != 0 && steps < sackSteps; steps++ {
		r := e.rec(i)
		switch {
		case !seqLT(r.seq, b.End):
			return steps
		case r.flags&recSacked != 0 || seqLEQ(r.end, b.Start):
		case seqLT(r.seq, b.Start):
			e.splitForSACK(s, f, i, b.Start) // what is in front has not arrived, nor all of it if it stays whole
		case seqLT(b.End, r.end):
			if !e.splitForSACK(s, f, i, b.End) {
				return steps
			}
			i = e.sackRecord(s, f, w, i, r)
		default:
			i = e.sackRecord(s, f, w, i, r)
		}
		i = e.rec(i).next
	}
	if i != 0 {
		f.finger = i
	}
	return steps
}

// splitForSACK splits a record at a block's edge, unless the peer has made too many of them already.
func (e *Engine) splitForSACK(s *State, f *flight, i, at uint32) bool {
	if f.records > sackSpares+2*((s.Nxt-s.Una)/uint32(s.CC.MSS)) || !e.split(f, i, at) {
		e.counters.SACKSplitLimit++
		return false
	}
	return true
}

// sackRecord marks a record as arrived and joins it to its neighbours that have. It returns the record that it is
// part of.
func (e *Engine) sackRecord(s *State, f *flight, w *work, i uint32, r *record) uint32 {
	e.pull(f.queue(r), r)
	n := r.len()
	if r.flags&recLost != 0 {
		f.lostLen -= n
	}
	e.delivered(s, f, w, r, r.end, n)
	w.sacked += n
	f.sackedLen += n
	r.flags = r.flags&^recLost | recSacked
	if p := r.prev; p != 0 && e.rec(p).flags&recSacked != 0 {
		b := e.rec(p)
		b.end = r.end
		b.flags |= r.flags
		e.drop(f, i, r)
		i, r = p, b
	}
	if j := r.next; j != 0 && e.rec(j).flags&recSacked != 0 {
		n := e.rec(j)
		r.end = n.end
		r.flags |= n.flags
		e.drop(f, j, n)
	}
	f.finger = i
	return i
}

// renege forgets all selective acknowledgments: a peer that has SACKed the first byte but does not acknowledge it
// has dropped what it had (RFC 2018 §8).
func (e *Engine) renege(s *State, f *flight) {
	e.counters.Reneged++
	for i := f.head; i != 0; i = e.rec(i).next {
		if r := e.rec(i); r.flags&recSacked != 0 {
			f.sackedLen -= r.len()
			r.flags = r.flags&^recSacked | recResent // it may have been: its round trip is ambiguous
			e.push(&f.sent, i, r)
		}
	}
	f.flags &^= flightBlocks
	f.disorder(s.Nxt)
}
