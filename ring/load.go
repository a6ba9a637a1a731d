//go:build !nodpdk

package ring

/*
#include <stddef.h>
#include <rte_ring.h>

enum {
	FS_PROD_TAIL = offsetof(struct rte_ring, prod.tail),
	FS_CONS_TAIL = offsetof(struct rte_ring, cons.tail)
};
*/
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// tails are the counts of words that were ever put in and ever taken out. They are plain words of shared memory, so a
// look at them is no call into C.
func (r *Ring) tails() (in, out *atomic.Uint32) {
	p := unsafe.Pointer(r.r)
	return (*atomic.Uint32)(unsafe.Add(p, C.FS_PROD_TAIL)), (*atomic.Uint32)(unsafe.Add(p, C.FS_CONS_TAIL))
}

// Empty tells whether the ring has no word, at some moment during the call.
func (r *Ring) Empty() bool {
	in, out := r.tails()
	return in.Load() == out.Load()
}

// Len is how many words are in the ring, at some moment during the call.
func (r *Ring) Len() int {
	in, out := r.tails()
	taken := out.Load() // first: a word may come in between, but none may be counted as taken that is not in yet
	return min(int(in.Load()-taken), r.Cap())
}

// Cap is how many words fit.
func (r *Ring) Cap() int { return int(r.r.capacity) }

// Free is how many words fit now; for the producer it can only grow.
func (r *Ring) Free() int { return r.Cap() - r.Len() }
