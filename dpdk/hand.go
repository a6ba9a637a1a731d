//go:build !nodpdk

package dpdk

/*
#cgo noescape fs_cross_exchange
#cgo nocallback fs_cross_exchange
#cgo noescape fs_cross_flush
#cgo nocallback fs_cross_flush
#cgo noescape fs_inject
#cgo nocallback fs_inject
#include "cross.h"
*/
import "C"

import (
	"unsafe"

	"github.com/fstack-go/fstack/ring"
	"github.com/fstack-go/fstack/stack"
)

var _ stack.Hander = (*QueuePair)(nil)

// peer is another slot, as a queue pair sees it.
type peer struct {
	out, in *ring.Ring
	pending int // frames for it that wait in fs_end.hand
}

// exchangeShared is Exchange on a shared port.
func (q *QueuePair) exchangeShared() {
	taken := len(q.queue.Taken())
	if q.mode.via && taken == 0 && q.quiet() {
		q.queue.Rx = nil
		return
	}
	r := uint64(C.fs_cross_exchange(q.e, C.uint32_t(taken)))
	q.forgetHands()
	q.queue.Rx = q.rx[:r>>32]
	q.sent(taken, r)
}

// quiet tells, without a call into C, whether an exchange of a queue pair that polls no queue would do nothing.
func (q *QueuePair) quiet() bool {
	e := q.e
	if e.hands+e.guests+e.back+e.releasing > 0 || int(q.c.have) < len(q.tx) {
		return false
	}
	for s := range q.to {
		if in := q.to[s].in; in != nil && q.seen(s) && !in.Empty() {
			return false
		}
	}
	return true
}

func (q *QueuePair) seen(slot int) bool { return q.e.port.seen[slot] != 0 }

func (q *QueuePair) flushShared() {
	taken := len(q.queue.Taken())
	if taken == 0 && q.e.hands == 0 {
		return
	}
	r := uint64(C.fs_cross_flush(q.e, C.uint32_t(taken)))
	q.forgetHands()
	q.sent(taken, r)
}

func (q *QueuePair) forgetHands() {
	if !q.handed || q.e.hands > 0 { // a pause: they wait still
		return
	}
	q.handed = false
	for s := range q.to {
		q.to[s].pending = 0
	}
}

// may tells whether a frame may be handed to a slot now, and counts it if not.
func (q *QueuePair) may(to int) bool {
	if q.e == nil || q.c == nil {
		return false
	}
	counters := &q.c.counters
	if to < 0 || to >= len(q.to) || to == q.slot || q.e.port.up[to] == 0 {
		counters.drop_hand_nobody++
		return false
	}
	q.makeRoom()
	p := &q.to[to]
	if p.out.Free() <= p.pending || q.e.hands == C.FS_HANDS {
		counters.drop_hand_ring_full++
		return false
	}
	p.pending++
	q.handed = true
	return true
}

// Hand implements stack.Hander. The frame goes into the ring at the next Exchange or Flush. One that was handed over
// before, or that another slot handed to this one, goes as a copy.
func (q *QueuePair) Hand(frame []stack.Frame, to int, flags stack.FrameFlags) bool {
	if len(frame) == 0 || !q.may(to) {
		return false
	}
	e := q.e
	h := &e.hand[e.hands]
	*(*uintptr)(unsafe.Pointer(&h.m)) = frame[0].Ref()
	h.to, h.given = C.uint16_t(to), 0
	h.flags = C.uint16_t(frame[0].Flags&^stack.More | flags | stack.RxHanded)
	e.hands++
	return true
}

// Inject implements stack.Hander.
func (q *QueuePair) Inject(b []byte, to int, flags stack.FrameFlags) bool {
	if len(b) == 0 || len(b) > 0xffff || !q.may(to) {
		return false
	}
	return C.fs_inject(q.e, unsafe.Pointer(unsafe.SliceData(b)), C.uint32_t(len(b)), C.uint32_t(to), C.uint32_t(flags|stack.RxHanded)) == 0
}

// makeRoom hands over what waits, if nothing more can.
func (q *QueuePair) makeRoom() {
	if q.e.hands < C.FS_HANDS {
		return
	}
	r := uint64(C.fs_cross_flush(q.e, 0))
	q.forgetHands()
	q.sent(0, r)
}
