//go:build !race

package posix

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxFiles is how many descriptors, files and registrations a table has room for, each.
const maxFiles = 1 << 24

// reserve returns n zero values in address space of their own, off the Go heap: pages cost nothing until they
// are touched. T must have no Go pointer. It returns nil if the system would not give so much.
func reserve[T any](n int) []T {
	size := n * int(unsafe.Sizeof(*new(T)))
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// giveBack ends what reserve began; s must not be used again.
func giveBack[T any](s []T) {
	unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T)))))
}
