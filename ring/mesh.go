//go:build !nodpdk

package ring

/*
#include <stdlib.h>
#include "mesh.h"
*/
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Mesh is a ring from each of a number of slots to each other, all SP/SC, in one piece of shared memory. A slot is a
// process, or a loop, that puts into its own rings and takes out of those that lead to it.
type Mesh struct {
	name string
	m    *C.struct_fs_mesh
}

// MaxSlots is the most ends of a mesh.
const MaxSlots = 128

// NewMesh makes a mesh whose rings hold size-1 words each, size being a power of two, in the memory of a NUMA node
// (-1: any). It is for the primary process. Errors: EEXIST (the name is taken), EINVAL, ENAMETOOLONG, ENOMEM, ENOSPC.
func NewMesh(name string, slots, size, socket int) (*Mesh, error) {
	if slots < 2 || slots > MaxSlots {
		return nil, fmt.Errorf("mesh %q: %d slots, must be 2 to %d: %w", name, slots, MaxSlots, syscall.EINVAL)
	}
	if size <= 1 || size > 1<<20 || size&(size-1) != 0 {
		return nil, fmt.Errorf("mesh %q: ring size %d is not a power of two from 2 to %d: %w", name, size, 1<<20, syscall.EINVAL)
	}
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	x := &Mesh{name: name}
	if rc := C.fs_mesh_make(c, C.uint32_t(slots), C.uint32_t(size), C.int(socket), &x.m); rc < 0 {
		return nil, fmt.Errorf("mesh %q: rte_memzone_reserve of %d rings of %d words: %w", name, slots*(slots-1), size, syscall.Errno(-rc))
	}
	return x, nil
}

// LookupMesh finds a mesh that the primary made. Errors: ENOENT; EPROTO if another version of this package or of DPDK
// made it.
func LookupMesh(name string) (*Mesh, error) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	x := &Mesh{name: name}
	if rc := C.fs_mesh_lookup(c, &x.m); rc < 0 {
		return nil, fmt.Errorf("mesh %q: rte_memzone_lookup: %w", name, syscall.Errno(-rc))
	}
	switch {
	case x.m.magic != C.FS_MESH_MAGIC:
		return nil, fmt.Errorf("mesh %q: the primary has not finished it, or the memory is of something else: %w", name, syscall.EPROTO)
	case x.m.layout != C.FS_MESH_LAYOUT:
		return nil, fmt.Errorf("mesh %q: layout %d, this program has %d: start workers and primary from the same build: %w", name, x.m.layout, C.FS_MESH_LAYOUT, syscall.EPROTO)
	case x.m.dpdk != C.RTE_VERSION:
		return nil, fmt.Errorf("mesh %q: made by DPDK %s, this program has %s: start workers and primary with the same DPDK: %w", name, release(x.m.dpdk), release(C.RTE_VERSION), syscall.EPROTO)
	}
	return x, nil
}

// release is RTE_VERSION as people write it.
func release(v C.uint32_t) string { return fmt.Sprintf("%d.%02d.%d", v>>24, v>>16&0xff, v>>8&0xff) }

// Slots is the number of ends.
func (m *Mesh) Slots() int { return int(m.m.slots) }

// Ring is the ring that slot from puts into and slot to takes out of, nil if they are the same. It must not be closed.
func (m *Mesh) Ring(from, to int) *Ring {
	if n := m.Slots(); from == to || uint(from) >= uint(n) || uint(to) >= uint(n) {
		return nil
	}
	return &Ring{C.fs_mesh_ring(m.m, C.uint32_t(from), C.uint32_t(to))}
}

// Repair puts the rings of a slot right whose process was killed: what it was about to put in or take out, it did not.
// The caller must be sure that the process is gone.
func (m *Mesh) Repair(slot int) {
	if uint(slot) < uint(m.Slots()) {
		C.fs_mesh_repair(m.m, C.uint32_t(slot))
	}
}

// Pointer is the mesh in C memory (struct fs_mesh), for package dpdk.
func (m *Mesh) Pointer() unsafe.Pointer { return unsafe.Pointer(m.m) }

// Close frees the mesh: prohibited while another process may still use it.
func (m *Mesh) Close() error {
	c := C.CString(m.name)
	defer C.free(unsafe.Pointer(c))
	rc := C.fs_mesh_free(m.m, c)
	m.m = nil
	if rc < 0 {
		return fmt.Errorf("mesh %q: rte_memzone_free: %w", m.name, syscall.Errno(-rc))
	}
	return nil
}
