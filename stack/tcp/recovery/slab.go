package recovery

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slab is memory for values of one size, outside of Go's heap, so that the garbage collector has nothing to look
// at. Address space for the limit is reserved at once; pages are made usable as they are first needed. Index 0 is no
// value. A value given back keeps its content but for its first four bytes, which link the free ones.
type slab[T any] struct {
	mem   []T
	raw   []byte
	free  uint32 // first of the values given back
	ready uint32 // values below it are usable memory
	fresh uint32 // values from it on were never used
	used  int
}

const slabStep = 1 << 18 // bytes made usable at a time

func newSlab[T any](limit int) (s slab[T], err error) {
	var v T
	n := limit + 1
	size := (n*int(unsafe.Sizeof(v)) + slabStep - 1) &^ (slabStep - 1)
	s.raw, err = unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return s, fmt.Errorf("reserve %d bytes of address space for recovery: %w", size, err)
	}
	s.mem = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(s.raw))), n)
	s.fresh = 1
	return s, nil
}

func (s *slab[T]) close() error {
	raw := s.raw
	*s = slab[T]{}
	if raw == nil {
		return nil
	}
	return unix.Munmap(raw)
}

func (s *slab[T]) at(i uint32) *T { return &s.mem[i] }

// alloc takes a value; its content is what it was left with. 0: the limit is reached or the system has no memory.
func (s *slab[T]) alloc() uint32 {
	i := s.free
	if i == 0 {
		return s.extend()
	}
	s.free = *(*uint32)(unsafe.Pointer(&s.mem[i]))
	s.used++
	return i
}

func (s *slab[T]) extend() uint32 {
	i := s.fresh
	if int(i) >= len(s.mem) {
		return 0
	}
	if i >= s.ready {
		size := int(unsafe.Sizeof(s.mem[0]))
		from := int(s.ready) * size &^ (slabStep - 1)
		to := min((int(i+1)*size+slabStep-1)&^(slabStep-1), len(s.raw)) // i may lie across two steps
		if unix.Mprotect(s.raw[from:to], unix.PROT_READ|unix.PROT_WRITE) != nil {
			return 0
		}
		s.ready = uint32(to / size)
	}
	s.fresh++
	s.used++
	return i
}

func (s *slab[T]) release(i uint32) {
	*(*uint32)(unsafe.Pointer(&s.mem[i])) = s.free
	s.free = i
	s.used--
}
