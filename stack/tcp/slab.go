package tcp

import (
	"fmt"
	"reflect"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slab is a table of T off the Go heap, addressed by index. It reserves address space for its limit at once and
// makes it usable as it grows, so that elements never move and growing copies nothing. Index 0 is no element.
type slab[T any] struct {
	base  unsafe.Pointer
	mem   []byte
	ready uint32 // elements that the usable part holds, the one at index 0 included
	fresh uint32 // lowest index never handed out
	free  uint32 // head of the list of elements given back, linked through their first four bytes
	used  uint32
	limit uint32 // highest index
}

const (
	slabStepMin = 64 << 10
	slabStepMax = 2 << 20 // a huge page
)

// open reserves room for limit elements. T must be at least four bytes and hold no Go pointer.
func (s *slab[T]) open(limit int) error {
	var t T
	if hasPointers(reflect.TypeOf(t)) || unsafe.Sizeof(t) < 4 {
		panic(fmt.Sprintf("tcp: %T does not belong off the heap", t))
	}
	size := (limit + 1) * int(unsafe.Sizeof(t))
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("mmap of %d MiB of address space for %T: %w", size>>20, t, err)
	}
	unix.Madvise(mem, unix.MADV_HUGEPAGE) // fewer TLB misses where the kernel has it
	*s = slab[T]{base: unsafe.Pointer(unsafe.SliceData(mem)), mem: mem, fresh: 1, limit: uint32(limit)}
	return nil
}

func (s *slab[T]) close() {
	if s.mem != nil {
		unix.Munmap(s.mem)
	}
	*s = slab[T]{}
}

// at is the element at index i, 1 ≤ i, handed out before.
func (s *slab[T]) at(i uint32) *T {
	var t T
	return (*T)(unsafe.Add(s.base, uintptr(i)*unsafe.Sizeof(t)))
}

// alloc hands out an element with undefined content, or returns 0 when the limit or the memory is reached.
func (s *slab[T]) alloc() uint32 {
	i := s.free
	if i != 0 {
		s.free = *(*uint32)(unsafe.Pointer(s.at(i)))
	} else {
		if s.fresh >= s.ready && !s.grow() {
			return 0
		}
		i = s.fresh
		s.fresh++
	}
	s.used++
	return i
}

// release takes an element back. Its first four bytes are overwritten.
func (s *slab[T]) release(i uint32) {
	*(*uint32)(unsafe.Pointer(s.at(i))) = s.free
	s.free = i
	s.used--
}

// grow makes the next step usable: as much again as there is, within the step's bounds.
func (s *slab[T]) grow() bool {
	var t T
	size := int(unsafe.Sizeof(t))
	have := min(int(s.ready)*size, len(s.mem)) &^ (unix.Getpagesize() - 1)
	step := min(max(have, slabStepMin, size), slabStepMax)
	end := min(have+step, len(s.mem))
	if step == slabStepMax { // end where a huge page ends
		edge := (uintptr(s.base) + uintptr(end)) &^ (slabStepMax - 1)
		if to := int(edge - uintptr(s.base)); to >= int(s.ready+1)*size {
			end = to
		}
	}
	end = min((end+unix.Getpagesize()-1)&^(unix.Getpagesize()-1), len(s.mem))
	if s.fresh > s.limit || unix.Mprotect(s.mem[:end], unix.PROT_READ|unix.PROT_WRITE) != nil {
		return false
	}
	s.ready = min(uint32(end/size), s.limit+1)
	return s.fresh < s.ready
}

// valid tells whether i was handed out once, and so may be looked at.
func (s *slab[T]) valid(i uint32) bool { return i != 0 && i < s.fresh }

func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return hasPointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Bool, reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32,
		reflect.Int64, reflect.Uint64, reflect.Int, reflect.Uint, reflect.Uintptr, reflect.Float32, reflect.Float64:
		return false
	}
	return true
}
