//go:build !nodpdk

package ring

/*
#cgo pkg-config: libdpdk
#include <stdlib.h>
#include <rte_errno.h>
#include <rte_ring.h>

static int fs_ring_errno(void) { return rte_errno; }

static unsigned fs_enqueue_burst(struct rte_ring *r, void *p, unsigned n) { return rte_ring_enqueue_burst(r, (void *const *)p, n, NULL); }
static unsigned fs_enqueue_bulk(struct rte_ring *r, void *p, unsigned n)  { return rte_ring_enqueue_bulk(r, (void *const *)p, n, NULL); }
static unsigned fs_dequeue_burst(struct rte_ring *r, void *p, unsigned n) { return rte_ring_dequeue_burst(r, (void **)p, n, NULL); }
static unsigned fs_dequeue_bulk(struct rte_ring *r, void *p, unsigned n)  { return rte_ring_dequeue_bulk(r, (void **)p, n, NULL); }

#cgo noescape fs_enqueue_burst
#cgo nocallback fs_enqueue_burst
#cgo noescape fs_enqueue_bulk
#cgo nocallback fs_enqueue_bulk
#cgo noescape fs_dequeue_burst
#cgo nocallback fs_dequeue_burst
#cgo noescape fs_dequeue_bulk
#cgo nocallback fs_dequeue_bulk
*/
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Mode is who may use a ring at the same time; the default is many producers and many consumers.
type Mode uint

// The modes, to be combined.
const (
	SP Mode = C.RING_F_SP_ENQ // one producer
	SC Mode = C.RING_F_SC_DEQ // one consumer
)

// Ring is a queue of words.
type Ring struct {
	r *C.struct_rte_ring
}

// New makes a ring that holds size-1 words, size being a power of two, in the memory of a NUMA node (-1: any).
// Errors: EEXIST (the name is taken), EINVAL (size), ENAMETOOLONG, ENOMEM, ENOSPC.
func New(name string, size, socket int, mode Mode) (*Ring, error) {
	if size <= 1 || size&(size-1) != 0 {
		return nil, fmt.Errorf("ring %q: size %d is not a power of two above 1: %w", name, size, syscall.EINVAL)
	}
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	r := C.rte_ring_create(c, C.unsigned(size), C.int(socket), C.unsigned(mode))
	if r == nil {
		return nil, fmt.Errorf("ring %q: rte_ring_create: %w", name, syscall.Errno(C.fs_ring_errno()))
	}
	return &Ring{r}, nil
}

// Lookup finds a ring that another process made. Error: ENOENT.
func Lookup(name string) (*Ring, error) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	r := C.rte_ring_lookup(c)
	if r == nil {
		return nil, fmt.Errorf("ring %q: rte_ring_lookup: %w", name, syscall.Errno(C.fs_ring_errno()))
	}
	return &Ring{r}, nil
}

// EnqueueBurst puts in as many of the words as there is room for, in order, and returns how many.
func (r *Ring) EnqueueBurst(words []uintptr) int {
	return int(C.fs_enqueue_burst(r.r, unsafe.Pointer(unsafe.SliceData(words)), C.unsigned(len(words))))
}

// EnqueueBulk puts in all of the words or none, and returns whether it did.
func (r *Ring) EnqueueBulk(words []uintptr) bool {
	return len(words) == 0 || C.fs_enqueue_bulk(r.r, unsafe.Pointer(unsafe.SliceData(words)), C.unsigned(len(words))) != 0
}

// DequeueBurst takes out up to len(words), and returns how many.
func (r *Ring) DequeueBurst(words []uintptr) int {
	return int(C.fs_dequeue_burst(r.r, unsafe.Pointer(unsafe.SliceData(words)), C.unsigned(len(words))))
}

// DequeueBulk takes out len(words) or none, and returns whether it did.
func (r *Ring) DequeueBulk(words []uintptr) bool {
	return len(words) == 0 || C.fs_dequeue_bulk(r.r, unsafe.Pointer(unsafe.SliceData(words)), C.unsigned(len(words))) != 0
}

// Close frees the ring. See the package's text for when it may be called.
func (r *Ring) Close() {
	C.rte_ring_free(r.r)
	r.r = nil
}
