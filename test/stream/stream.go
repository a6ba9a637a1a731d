// Package stream has bytes that both ends of a test can make for themselves: the same for each seed.
package stream

import (
	"encoding/binary"
	"io"
)

// New returns n bytes made from a seed.
func New(seed uint64, n int64) io.Reader { return &reader{state: seed | 1, left: n} }

type reader struct {
	state uint64
	left  int64
	word  [8]byte
	have  int // bytes at the end of word that were not taken yet
}

func (r *reader) Read(p []byte) (n int, err error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.left)]
	n = copy(p, r.word[8-r.have:])
	r.have -= n
	for ; len(p)-n >= 8; n += 8 {
		binary.LittleEndian.PutUint64(p[n:], r.next())
	}
	if n < len(p) {
		binary.LittleEndian.PutUint64(r.word[:], r.next())
		r.have = 8 - copy(p[n:], r.word[:])
		n = len(p)
	}
	r.left -= int64(n)
	return n, nil
}

// next is xorshift64.
func (r *reader) next() uint64 {
	x := r.state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	r.state = x
	return x
}
