//go:build !nodpdk

package dpdk

/*
#include "cross.h"
#include "reclaim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/ring"
	"github.com/fstack-go/fstack/stack"
)

// Mesh is what the processes share that share ports: slots, the rings between them, and who sleeps.
type Mesh struct {
	s      *C.struct_fs_slots
	memory C.struct_fs_memory // of the primary, for Reclaim
	stale  bool
}

const slotsZone = "fstack_slots"

// NewMesh prepares for processes that share ports. It is for the primary, before it opens them.
func NewMesh(c MeshConfig) (*Mesh, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if c.RingSize == 0 {
		c.RingSize = 1024
	}
	most := min(ring.MaxSlots, C.FS_MAX_SLOTS)
	switch {
	case !eal.started:
		return nil, errNotStarted
	case eal.config.proc() != Primary:
		return nil, fmt.Errorf("mesh: only the primary process makes it: %w", syscall.EPERM)
	case c.Slots < 2 || c.Slots > most:
		return nil, fmt.Errorf("mesh: %d slots, must be 2 to %d: %w", c.Slots, most, syscall.EINVAL)
	case c.RingSize < 64 || c.RingSize > 1<<16 || c.RingSize&(c.RingSize-1) != 0:
		return nil, fmt.Errorf("mesh: rings of %d words, must be a power of two from 64 to %d: %w", c.RingSize, 1<<16, syscall.EINVAL)
	}
	if _, err := zone(slotsZone, 0, false); err == nil {
		return nil, fmt.Errorf("mesh: there is one already: %w", syscall.EEXIST)
	}
	m := &Mesh{stale: true}
	if err := call("rte_memzone "+slotsZone, NoPort, nil, func() C.int {
		return C.fs_slots_make(C.uint32_t(c.Slots), C.uint32_t(c.RingSize), &m.s)
	}); err != nil {
		return nil, err
	}
	eal.mesh = m
	return m, nil
}

// LookupMesh finds the mesh in a secondary. Errors: ENOENT (the primary made none); EPROTO (it is of another build).
func LookupMesh() (*Mesh, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return nil, errNotStarted
	}
	p, err := zone(slotsZone, 0, false)
	if err != nil {
		return nil, fmt.Errorf("mesh: the primary process has made none: %w", err)
	}
	m := &Mesh{s: (*C.struct_fs_slots)(p)}
	if err := checkHead("mesh", &m.s.head, C.FS_SLOTS_MAGIC, C.sizeof_struct_fs_slots); err != nil {
		return nil, err
	}
	eal.mesh = m
	return m, nil
}

// checkHead tells whether this program may use what the primary made.
func checkHead(what string, h *C.struct_fs_head, magic C.uint32_t, size C.size_t) error {
	switch syscall.Errno(-C.fs_head_check(h, magic, size)) {
	case 0:
		return nil
	case syscall.ENODATA:
		return fmt.Errorf("%s: the primary process has not finished it: %w", what, syscall.EAGAIN)
	case syscall.ENOEXEC:
		return fmt.Errorf("%s: the primary process runs DPDK %s, this one %s: both must be the same: %w", what, release(h.dpdk), release(C.RTE_VERSION), syscall.EPROTO)
	}
	return fmt.Errorf("%s: the primary process has it in layout %d with %d bytes, this one in %d with %d: both must be of the same build: %w",
		what, h.layout, h.size, C.FS_LAYOUT, size, syscall.EPROTO)
}

// release is RTE_VERSION as people write it.
func release(v C.uint32_t) string { return fmt.Sprintf("%d.%02d.%d", v>>24, v>>16&0xff, v>>8&0xff) }

// Slots is how many processes can be there.
func (m *Mesh) Slots() int { return int(m.s.slots) }

// SetEvents tells the eventfd of each slot, as this process has it: non-blocking, the same eventfds in all processes;
// -1: none. Who puts something into a sleeping slot's ring writes to its. It is called before the loop starts, or by
// the loop's goroutine.
func (m *Mesh) SetEvents(fds []int) error {
	if len(fds) != m.Slots() {
		return fmt.Errorf("mesh: %d eventfds for %d slots: %w", len(fds), m.Slots(), syscall.EINVAL)
	}
	for i, fd := range fds {
		C.fs_wake_fds[i] = C.int(fd)
	}
	return nil
}

// Sleeper wakes the loop of a slot when something is in its rings: for stack.Stack.AddSleeper.
func (m *Mesh) Sleeper(slot int) stack.Sleeper { return ringSleeper{m, slot} }

type ringSleeper struct {
	m    *Mesh
	slot int
}

// RxFD implements stack.Sleeper.
func (s ringSleeper) RxFD() int { return int(C.fs_wake_fds[s.slot]) }

// ArmRx implements stack.Sleeper.
func (s ringSleeper) ArmRx(on bool) error {
	asleep := (*uint32)(unsafe.Pointer(&s.m.s.line[s.slot].asleep))
	if on {
		atomic.StoreUint32(asleep, 1) // a full fence, too: the loop looks at the rings again after it
		return nil
	}
	atomic.StoreUint32(asleep, 0)
	if fd := s.RxFD(); fd >= 0 {
		var count [8]byte
		unix.Read(fd, count[:]) // EAGAIN: nobody wrote
	}
	return nil
}

// Down marks a slot whose process has ended: from now on nobody hands frames to it. It is for the primary, at once.
func (m *Mesh) Down(slot int) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	for _, p := range eal.ports {
		if p.shared != nil && uint(slot) < uint(m.Slots()) {
			C.fs_slot_down(p.shared, C.uint32_t(slot))
		}
	}
}

// reclaimWait is how long Reclaim waits for another process to do its part, in milliseconds.
const reclaimWait = 100

// Reclaim puts right, on all open ports, what the process of a slot left that has ended, in whatever way: its rings, the
// mbufs that it had of others, its own pools, its queues. The others go on meanwhile. It is for the primary, and only
// once the process is gone. After an error (ETIMEDOUT, EAGAIN: another process stands still) it may be called again.
func (m *Mesh) Reclaim(slot int) (Reclaimed, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	var total Reclaimed
	switch {
	case !eal.started:
		return total, errNotStarted
	case eal.config.proc() != Primary:
		return total, fmt.Errorf("mesh: only the primary process reclaims: %w", syscall.EPERM)
	case uint(slot) >= uint(m.Slots()):
		return total, fmt.Errorf("mesh: slot %d of %d: %w", slot, m.Slots(), syscall.EINVAL)
	}
	if err := m.findMemory(); err != nil {
		return total, err
	}
	var errs []error
	for _, p := range eal.ports {
		if p.shared == nil {
			continue
		}
		if p.ends[slot] != nil {
			errs = append(errs, &Error{Op: "reclaim", Port: p.id, Err: syscall.EBUSY, Log: fmt.Sprintf("slot %d is this process", slot)})
			continue
		}
		var r C.struct_fs_reclaimed
		if rc := C.fs_reclaim(p.shared, C.uint32_t(slot), &m.memory, reclaimWait, &r); rc < 0 {
			errs = append(errs, &Error{Op: fmt.Sprintf("reclaim slot %d", slot), Port: p.id, Err: syscall.Errno(-rc), Log: "another process stands still"})
		}
		if r.in_driver != 0 && p.tears() {
			p.torn = true
		}
		if p.torn {
			if err := p.restart(); err != nil {
				errs = append(errs, err)
			} else {
				total.Restarted++
			}
		}
		total.Returned += int(r.returned)
		total.Swept += int(r.swept)
		total.Kept += int(r.kept)
		total.InDriver = total.InDriver || r.in_driver != 0
	}
	return total, errors.Join(errs...)
}

// findMemory lists DPDK's memory for sweeps, when it has changed.
func (m *Mesh) findMemory() error {
	if !m.stale {
		return nil
	}
	C.fs_memory_free(&m.memory)
	if rc := C.fs_memory_find(&m.memory); rc < 0 {
		return fmt.Errorf("mesh: list of DPDK's memory: %w", syscall.Errno(-rc))
	}
	m.stale = false
	return nil
}
