//go:build nodpdk

package ring

import (
	"errors"
	"fmt"
	"unsafe"
)

var errStub = fmt.Errorf("built without DPDK (tag nodpdk): %w", errors.ErrUnsupported)

// Mesh is a ring from each of a number of slots to each other: there is none.
type Mesh struct{ _ [0]func() }

// MaxSlots is the most ends of a mesh.
const MaxSlots = 128

// NewMesh makes a mesh.
func NewMesh(string, int, int, int) (*Mesh, error) { return nil, errStub }

// LookupMesh finds a mesh.
func LookupMesh(string) (*Mesh, error) { return nil, errStub }

// Slots is the number of ends.
func (m *Mesh) Slots() int { return 0 }

// Repair puts the rings of a slot right.
func (m *Mesh) Repair(int) {}

// Pointer is the mesh in C memory.
func (m *Mesh) Pointer() unsafe.Pointer { return nil }

// Close frees the mesh.
func (m *Mesh) Close() error { return errStub }
