//go:build !nodpdk

package dpdk

/*
#cgo noescape fs_exchange
#cgo nocallback fs_exchange
#cgo noescape fs_flush
#cgo nocallback fs_flush
#include <stdlib.h>
#include <rte_ethdev.h>
#include "eal.h"
#include "exchange.h"
#include "cross.h"
*/
import "C"

import (
	"unsafe"

	"github.com/fstack-go/fstack/stack"
)

// QueuePair is one receive and one transmit queue of a port, with the frames between them and a loop. It belongs
// to that loop, except where its methods say otherwise.
type QueuePair struct {
	queue    stack.Queue
	c        *C.struct_fs_queue
	tx       []stack.Frame // all slots, in C memory
	rx       []stack.Frame
	port     *Port
	index    int
	node     int // NUMA node of its frames
	rxFD     int
	event    bool   // rxFD is an eventfd
	restarts uint32 // of the device, when rxFD was found

	// On a port that processes share:
	e      *C.struct_fs_end
	slot   int
	mode   Mode
	to     []peer // by slot
	handed bool   // frames wait in fs_end.hand
}

var (
	_ stack.Device  = (*QueuePair)(nil)
	_ stack.Sleeper = (*QueuePair)(nil)
)

// QueuePair is the device of a loop: queue pair i of the port. It is the same at each call.
func (p *Port) QueuePair(i int) (*QueuePair, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.usable(); err != nil {
		return nil, err
	}
	if p.shared != nil {
		return nil, p.refuse("queue pair", "the port is shared by processes: SlotQueue opens it")
	}
	if i < 0 || i >= p.config.Queues {
		return nil, p.refuse("queue pair", "%d wanted, but the port has 0 to %d", i, p.config.Queues-1)
	}
	if p.queues == nil {
		p.queues = make([]*QueuePair, p.config.Queues)
	}
	if p.queues[i] != nil {
		return p.queues[i], nil
	}
	q := &QueuePair{port: p, index: i, node: p.pools[i].socket, rxFD: -1}
	q.c = (*C.struct_fs_queue)(C.calloc(1, C.sizeof_struct_fs_queue))
	q.c.port, q.c.queue, q.c.pool = p.cid(), C.uint16_t(i), p.pools[i].pool
	q.c.lcore = C.uint32_t(p.lcoreOf(i))
	q.c.max_frame = C.uint32_t(p.config.MTU + frameHeader)
	if p.setup.tx_offloads&txSeg != 0 {
		q.c.multi_segs = 1
	}
	if rc := C.fs_queue_open(q.c); rc < 0 {
		C.free(unsafe.Pointer(q.c))
		return nil, &Error{Op: "queue pair", Port: p.id, Err: errnoOf(rc, 0)}
	}
	q.begin()
	q.findFD()
	p.queues[i] = q
	return q, nil
}

// begin makes the frames known that C has opened.
func (q *QueuePair) begin() {
	q.tx = unsafe.Slice((*stack.Frame)(unsafe.Pointer(q.c.tx)), C.FS_TX_SLOTS)
	q.rx = unsafe.Slice((*stack.Frame)(unsafe.Pointer(q.c.rx)), C.FS_RX_SLOTS)
	q.queue = stack.MakeQueue(q.tx)
	q.queue.Limit(int(q.c.have))
}

// Queue implements stack.Device.
func (q *QueuePair) Queue() *stack.Queue { return &q.queue }

// Exchange implements stack.Device.
func (q *QueuePair) Exchange() {
	if q.c == nil { // closed
		return
	}
	if q.e != nil {
		q.exchangeShared()
		return
	}
	taken := len(q.queue.Taken())
	r := uint64(C.fs_exchange(q.number(), C.uint32_t(taken)))
	q.queue.Rx = q.rx[:r>>32]
	q.sent(taken, r)
}

// number is the C queue as fs_exchange takes it.
func (q *QueuePair) number() C.uintptr_t { return C.uintptr_t(uintptr(unsafe.Pointer(q.c))) }

// Flush implements stack.Device.
func (q *QueuePair) Flush() {
	if q.e != nil {
		q.flushShared()
	} else if taken := len(q.queue.Taken()); taken > 0 {
		q.sent(taken, uint64(C.fs_flush(q.number(), C.uint32_t(taken))))
	}
}

// sent unpacks FS_RESULT.
func (q *QueuePair) sent(taken int, r uint64) {
	q.queue.Sent(taken - int(r&0xffff))
	q.queue.Limit(int(r >> 16 & 0xffff))
}

// Info implements stack.Device. It may be called from anywhere.
func (q *QueuePair) Info() stack.DeviceInfo {
	p := q.port
	return stack.DeviceInfo{
		Name: p.name, Driver: p.driver, MAC: p.mac, MTU: p.config.MTU, Offloads: p.offers,
		Socket: q.node, Queue: q.index, Queues: p.config.Queues,
	}
}

// Counters are the queue pair's own. They may be read from anywhere; they are exact between two exchanges, and zero once
// it is closed.
func (q *QueuePair) Counters() QueueCounters {
	eal.mu.Lock() // close frees them
	defer eal.mu.Unlock()
	if q.c == nil {
		return QueueCounters{}
	}
	return *(*QueueCounters)(unsafe.Pointer(&q.c.counters))
}

// Close implements stack.Device: it sends what is in the queue, if the device takes it, and closes the port with the
// last of its queue pairs, unless processes share it.
func (q *QueuePair) Close() error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	p := q.port
	if q.c == nil || p.closed || !eal.started {
		return nil
	}
	q.Flush()
	q.free()
	if q.e != nil { // others may go on
		return nil
	}
	for _, other := range p.queues {
		if other != nil {
			return nil
		}
	}
	return p.close()
}

// free gives back all frames. What was in the queue is lost.
func (q *QueuePair) free() {
	if q.e != nil {
		C.fs_end_close(q.e)
		q.port.ends[q.slot] = nil
	} else {
		C.fs_queue_close(q.c)
		C.free(unsafe.Pointer(q.c))
		q.port.queues[q.index] = nil
	}
	q.c, q.rx, q.tx, q.rxFD = nil, nil, nil, -1
	q.queue = stack.MakeQueue(nil)
}
