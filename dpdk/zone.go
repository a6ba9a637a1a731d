//go:build !nodpdk

package dpdk

/*
#include <stdlib.h>
#include "cross.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"
)

// SharedZone is a piece of memory that all processes of a file prefix share, at the same address in each: the primary
// makes it, of zeros, on a cache line's boundary, and has it again by the same name and size; a secondary finds what
// the primary made. It may hold no Go pointer. Errors: ENOENT (a secondary, and the primary made none), EEXIST (it has
// another size), ENOMEM, ENAMETOOLONG.
func SharedZone(name string, size int) ([]byte, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return nil, errNotStarted
	}
	if size <= 0 || name == "" || strings.HasPrefix(name, "fstack_") {
		return nil, fmt.Errorf("shared zone %q of %d bytes: the size must be positive, and names in fstack_ are taken: %w", name, size, syscall.EINVAL)
	}
	p, err := zone(name, size, eal.config.proc() == Primary)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), size), nil
}

// zone is C's fs_zone; size 0: any.
func zone(name string, size int, create bool) (unsafe.Pointer, error) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	var p unsafe.Pointer
	flag := C.int(0)
	if create {
		flag = 1
	}
	if err := call("rte_memzone "+name, NoPort, nil, func() C.int { return C.fs_zone(c, C.size_t(size), flag, &p) }); err != nil {
		return nil, err
	}
	return p, nil
}

func freeZone(name string) error {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return call("rte_memzone_free "+name, NoPort, nil, func() C.int { return C.fs_zone_free(c) })
}
