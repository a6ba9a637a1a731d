//go:build !nodpdk

package dpdk

/*
#include <stdlib.h>
#include "cross.h"
#include "reclaim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/fstack-go/fstack/ring"
	"github.com/fstack-go/fstack/stack"
)

// The shared part of a port. In the primary it is made with the port, in a secondary found.

func (p *Port) zoneName() string { return fmt.Sprintf("fstack_port_%d", p.id) }
func (p *Port) meshName() string { return fmt.Sprintf("fstack_mesh_%d", p.id) }

// share makes the rings, and the pools of the queues, before the device is set up with these.
func (p *Port) share() error {
	m := p.config.Mesh
	if m != eal.mesh {
		return p.refuse("mesh", "it is not this process's")
	}
	if p.config.Queues > C.FS_MAX_QUEUES {
		return p.refuse("queues", "%d wanted, but a port that processes share has at most %d", p.config.Queues, C.FS_MAX_QUEUES)
	}
	var err error
	if p.rings, err = ring.NewMesh(p.meshName(), m.Slots(), int(m.s.words), p.socketOf(0)); err != nil {
		return err
	}
	if err := p.call("rte_memzone "+p.zoneName(), func() C.int {
		return C.fs_port_make(m.s, p.cid(), C.uint32_t(p.config.Queues), C.uint32_t(p.config.RxDesc+p.config.TxDesc),
			(*C.struct_fs_mesh)(p.rings.Pointer()), &p.shared)
	}); err != nil {
		return err
	}
	p.ends = make([]*QueuePair, m.Slots())
	for q := range p.config.Queues {
		socket := p.socketOf(q)
		pl, err := p.createPool(fmt.Sprintf("fstack_p%d_q%d", p.id, q), socket, p.queueMbufs())
		if err != nil {
			return err
		}
		p.pools = append(p.pools, &pool{pl, socket})
		p.shared.queue_pool[q] = pl
	}
	return nil
}

// queueMbufs is the size of the pool of a queue: all that can be out at once on this side, and what others may have.
func (p *Port) queueMbufs() int {
	c := &p.config
	if c.Mbufs != 0 {
		return c.Mbufs
	}
	others := min(max(p.config.Mesh.Slots()/2/c.Queues, 1), 4) * int(p.config.Mesh.s.words)
	return roundPool(c.RxDesc + c.TxDesc + C.FS_TX_SLOTS + C.FS_BURST + poolCache*3/2 + others)
}

// find is share in a secondary.
func (p *Port) find() error {
	at, err := zone(p.zoneName(), 0, false)
	if err != nil {
		return fmt.Errorf("port %d: the primary process does not share it: %w", p.id, err)
	}
	p.shared = (*C.struct_fs_port)(at)
	if err := checkHead(fmt.Sprintf("port %d", p.id), &p.shared.head, C.FS_PORT_MAGIC, C.sizeof_struct_fs_end); err != nil {
		return err
	}
	if p.rings, err = ring.LookupMesh(p.meshName()); err != nil {
		return err
	}
	p.ends = make([]*QueuePair, p.config.Mesh.Slots())
	for q := range p.config.Queues {
		p.pools = append(p.pools, &pool{p.shared.queue_pool[q], int(p.shared.queue_pool[q].socket_id)})
	}
	return nil
}

// unshare is for the end of the port, when all other processes have ended; the device is stopped, not yet closed. What
// nobody will give back any more is swept into the pools, and what the device still has it frees as it closes.
func (p *Port) unshare() {
	if eal.mesh.findMemory() != nil {
		return
	}
	var r C.struct_fs_reclaimed
	for _, pl := range p.distinct() {
		C.fs_forget_lent(p.shared, pl)
		C.fs_sweep(p.shared, pl, &eal.mesh.memory, 0, &r)
	}
}

// freeShared ends what unshare left.
func (p *Port) freeShared() error {
	var errs []error
	if p.shared != nil {
		errs = append(errs, freeZone(p.zoneName()))
	}
	if p.rings != nil {
		errs = append(errs, p.rings.Close())
	}
	p.shared, p.rings, p.ends = nil, nil, nil
	p.config.Mesh.stale = true
	return errors.Join(errs...)
}

// slotError says why an end cannot be opened or switched.
func (p *Port) slotError(op string, slot int, mode Mode, rc C.int) error {
	err := syscall.Errno(-rc)
	text := ""
	switch err {
	case 0:
		return nil
	case syscall.EBUSY:
		text = fmt.Sprintf("slot %d has it", p.shared.owner[mode.queue]-1)
	case syscall.ENOENT:
		text = "the primary process has made no memory for this: MakeSlotPool"
	case syscall.EAGAIN:
		text = "a queue is still being given up"
	}
	return &Error{Op: fmt.Sprintf("%s slot %d, %v", op, slot, mode), Port: p.id, Err: err, Log: text}
}

func (p *Port) checkSlot(slot int) error {
	if err := p.usable(); err != nil {
		return err
	}
	if p.shared == nil {
		return p.refuse("slot", "the port is not shared: it was opened without Mesh")
	}
	if n := int(p.shared.slots); slot < 0 || slot >= n {
		return p.refuse("slot", "%d wanted, but there are 0 to %d", slot, n-1)
	}
	return nil
}

func (p *Port) checkMode(slot int, mode Mode) error {
	n := int(p.shared.slots)
	switch {
	case mode.via && (mode.slot < 0 || mode.slot >= n || mode.slot == slot):
		return p.refuse("mode", "slot %d by way of %d: must be another of 0 to %d", slot, mode.slot, n-1)
	case !mode.via && (mode.queue < 0 || mode.queue >= p.config.Queues):
		return p.refuse("queue", "%d wanted, but the port has 0 to %d", mode.queue, p.config.Queues-1)
	}
	return nil
}

// SlotQueue is the device of the loop that is a slot, on a port that was opened with a Mesh: the process that is the slot
// calls it, or the primary for the slot of a process that has ended and that it has reclaimed. It is the same at each
// call until it is closed; then only its present mode counts. Errors: EBUSY (another slot polls the queue), ENOENT (the
// primary has made no memory for this slot's mode).
func (p *Port) SlotQueue(slot int, mode Mode) (*QueuePair, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.checkSlot(slot); err != nil {
		return nil, err
	}
	if p.ends[slot] != nil {
		return p.ends[slot], nil
	}
	if err := p.checkMode(slot, mode); err != nil {
		return nil, err
	}
	e := C.fs_port_end(p.shared, C.uint32_t(slot))
	e.q.max_frame = C.uint32_t(p.config.MTU + frameHeader)
	e.q.multi_segs = 0
	if p.setup.tx_offloads&txSeg != 0 {
		e.q.multi_segs = 1
	}
	via, queue := mode.c(slot)
	if rc := C.fs_end_open(e, via, queue); rc < 0 {
		return nil, p.slotError("open", slot, mode, rc)
	}
	q := &QueuePair{port: p, index: mode.Queue(), node: int(e.q.pool.socket_id), rxFD: -1, c: &e.q, e: e, slot: slot, mode: mode}
	q.begin()
	q.to = make([]peer, p.shared.slots)
	for s := range q.to {
		if s != slot {
			q.to[s] = peer{out: p.rings.Ring(slot, s), in: p.rings.Ring(s, slot)}
		}
	}
	q.findFD()
	p.ends[slot] = q
	return q, nil
}

// c is the mode as C has it.
func (m Mode) c(slot int) (via, queue C.uint32_t) {
	if m.via {
		return C.uint32_t(m.slot), 0
	}
	return C.uint32_t(slot), C.uint32_t(m.queue)
}

// Slot is the slot that the queue pair is of, -1 on a port that is not shared.
func (q *QueuePair) Slot() int {
	if q.e == nil {
		return -1
	}
	return q.slot
}

// Mode is how the queue pair of a shared port receives and sends.
func (q *QueuePair) Mode() Mode { return q.mode }

// SetMode switches how the queue pair receives and sends. The loop's goroutine calls it between two turns: the frames
// received last are not valid after it, and those that the device has not taken are lost. A queue that is left is free
// for another slot a few exchanges later, when all its mbufs have come back: see Port.Owner. Errors: as SlotQueue's,
// EAGAIN (a queue that was left before is not free yet), EINVAL (from one queue to another, or the port is not shared).
func (q *QueuePair) SetMode(mode Mode) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	p := q.port
	if err := p.checkSlot(q.slot); err != nil {
		return err
	}
	if q.c == nil {
		return p.refuse("mode", "the queue pair is closed")
	}
	if err := p.checkMode(q.slot, mode); err != nil {
		return err
	}
	via, queue := mode.c(q.slot)
	if rc := C.fs_end_mode(q.e, via, queue, C.uint32_t(len(q.queue.Taken()))); rc < 0 {
		return p.slotError("switch", q.slot, mode, rc)
	}
	q.mode, q.index = mode, mode.Queue()
	q.queue = stack.MakeQueue(q.tx)
	q.queue.Limit(int(q.c.have))
	q.findFD()
	return nil
}

// MakeSlotPool makes the memory that a slot needs for sending by way of another one. It is for the primary, before the
// slot is switched to that mode or opened in it; if it was made before, that is fine.
func (p *Port) MakeSlotPool(slot int) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.checkSlot(slot); err != nil {
		return err
	}
	if !p.primary {
		return &Error{Op: "MakeSlotPool", Port: p.id, Err: syscall.EPERM, Log: "only the primary process makes pools"}
	}
	if p.shared.slot_pool[slot] != nil {
		return nil
	}
	n := roundPool(C.FS_TX_SLOTS + int(p.config.Mesh.s.words) + poolCache*3/2)
	socket := p.pools[slot%len(p.pools)].socket
	pl, err := p.createPool(fmt.Sprintf("fstack_p%d_t%d", p.id, slot), socket, n)
	if err != nil {
		return err
	}
	p.pools = append(p.pools, &pool{pl, socket})
	p.shared.slot_pool[slot] = pl
	p.config.Mesh.stale = true
	return p.config.Mesh.findMemory()
}

// Owner is the slot that polls a queue of a shared port, -1 if none does.
func (p *Port) Owner(queue int) int {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if p.usable() != nil || p.shared == nil || queue < 0 || queue >= p.config.Queues {
		return -1
	}
	return int(C.fs_port_owner(p.shared, C.uint32_t(queue)))
}

// SlotMbufs counts the mbufs in use of the pools that only a slot uses now, and how many there are in all.
func (p *Port) SlotMbufs(slot int) (inUse, total int) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if p.checkSlot(slot) != nil {
		return 0, 0
	}
	count := func(pl *C.struct_rte_mempool) {
		inUse += int(C.rte_mempool_in_use_count(pl))
		total += int(pl.size)
	}
	if pl := p.shared.slot_pool[slot]; pl != nil {
		count(pl)
	}
	for q := range p.config.Queues {
		if C.fs_port_owner(p.shared, C.uint32_t(q)) == C.int(slot) {
			count(p.shared.queue_pool[q])
		}
	}
	return inUse, total
}

// SlotCounters are those of a slot's queue pair, in whatever process it is or was; a new process goes on counting.
func (p *Port) SlotCounters(slot int) QueueCounters {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if p.checkSlot(slot) != nil {
		return QueueCounters{}
	}
	return *(*QueueCounters)(unsafe.Pointer(&C.fs_port_end(p.shared, C.uint32_t(slot)).q.counters))
}
