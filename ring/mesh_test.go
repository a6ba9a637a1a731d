//go:build !nodpdk

package ring_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	. "github.com/fstack-go/fstack/ring"
)

func TestMeshConnectsEachToEach(t *testing.T) {
	m, err := NewMesh("m0", 4, 8, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	same, err := LookupMesh("m0")
	if err != nil {
		t.Fatal(err)
	}
	for from := range 4 {
		for to := range 4 {
			r := m.Ring(from, to)
			if from == to {
				if r != nil {
					t.Errorf("slot %d has a ring to itself", from)
				}
				continue
			}
			if !r.Empty() || r.Len() != 0 || r.Free() != 7 {
				t.Errorf("new ring %d→%d: %d words, room for %d", from, to, r.Len(), r.Free())
			}
			r.EnqueueBulk([]uintptr{uintptr(10*from + to)})
		}
	}
	for from := range 4 {
		for to := range 4 {
			if from == to {
				continue
			}
			r, out := same.Ring(from, to), make([]uintptr, 2)
			if r.Empty() || r.Len() != 1 || r.Free() != 6 || r.DequeueBurst(out) != 1 || out[0] != uintptr(10*from+to) {
				t.Errorf("ring %d→%d gave %v", from, to, out)
			}
		}
	}
	if m.Ring(0, 4) != nil || m.Ring(-1, 0) != nil || m.Slots() != 4 {
		t.Error("rings beyond the slots")
	}
}

// TestRepair has both ends of a slot's rings stand as after a kill, in the middle of a call: what was in comes out, once.
func TestRepair(t *testing.T) {
	m, err := NewMesh("m1", 3, 8, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out, in := m.Ring(1, 0), m.Ring(2, 1)
	out.EnqueueBulk([]uintptr{1, 2, 3})
	in.EnqueueBulk([]uintptr{4, 5, 6})
	out.BreakProducer()
	in.BreakConsumer()
	if out.Len() != 3 || in.Len() != 3 {
		t.Errorf("the other ends see %d and %d words, want 3", out.Len(), in.Len())
	}
	if out.EnqueueBulk([]uintptr{7}) {
		t.Log("the broken ring takes words still") // 3+4 of 7 are used: it must not
		t.Fail()
	}
	m.Repair(1)
	m.Repair(-1)
	m.Repair(3)
	if !out.EnqueueBulk([]uintptr{7, 8, 9, 10}) || out.EnqueueBulk([]uintptr{11}) {
		t.Error("a repaired ring of 7 words with 3 must take 4")
	}
	words := make([]uintptr, 8)
	if n := out.DequeueBurst(words); n != 7 || words[0] != 1 || words[3] != 7 {
		t.Errorf("%v", words[:n])
	}
	if n := in.DequeueBurst(words); n != 3 || words[0] != 4 {
		t.Errorf("%v", words[:n])
	}
}

func TestMeshErrors(t *testing.T) {
	for _, bad := range [][2]int{{1, 8}, {129, 8}, {2, 12}, {2, 1}, {2, 1 << 21}, {-1, 8}} {
		if _, err := NewMesh("m2", bad[0], bad[1], -1); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d slots of %d: %v, want EINVAL", bad[0], bad[1], err)
		}
	}
	if _, err := LookupMesh("m2"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no mesh: %v, want ENOENT", err)
	}
	m, err := NewMesh("m2", 2, 8, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewMesh("m2", 2, 8, -1); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("the name again: %v, want EEXIST", err)
	}
	if _, err := NewMesh("m3", 128, 1<<16, -1); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("more than there is memory: %v, want ENOMEM", err)
	}
	for _, c := range []struct {
		layout, version uint32
		says            string
	}{{99, 0, "same build"}, {0, 0x14050000, "DPDK 20.05.0"}} {
		undo := m.Claim(c.layout, c.version)
		if _, err := LookupMesh("m2"); !errors.Is(err, syscall.EPROTO) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("another build: %v, want EPROTO that says %q", err, c.says)
		}
		undo()
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := LookupMesh("m2"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a closed mesh: %v, want ENOENT", err)
	}
}
