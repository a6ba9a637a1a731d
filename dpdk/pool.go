//go:build !nodpdk

package dpdk

/*
#include <stdlib.h>
#include <rte_ethdev.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include "eal.h"
#include "exchange.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"syscall"
	"unsafe"
)

const (
	poolCache   = 256  // mbufs that an lcore keeps at hand
	dataRoom    = 2048 // bytes of frame in an mbuf, unless the MTU needs more
	driverExtra = 32
	maxMTU      = 65535 - C.RTE_PKTMBUF_HEADROOM - 64*2 // so that a frame fits into one mbuf (its size is 16 bits)
)

// pool is a memory pool of mbufs on one NUMA node, for those queues of a port that lcores of that node poll.
type pool struct {
	pool   *C.struct_rte_mempool
	socket int
}

func (p *Port) lcoreOf(queue int) int {
	if p.config.Lcores != nil {
		return p.config.Lcores[queue]
	}
	l := eal.config.Lcores
	return l[queue%len(l)]
}

// socketOf is the NUMA node of the lcore that polls a queue, else the device's.
func (p *Port) socketOf(queue int) int {
	if s := LcoreSocket(p.lcoreOf(queue)); s >= 0 {
		return s
	}
	return int(C.rte_eth_dev_socket_id(p.cid()))
}

func (p *Port) poolName(socket int) string { return fmt.Sprintf("fstack_p%d_s%d", p.id, socket) }

func (p *Port) makePools() error {
	p.pools = p.pools[:0]
	queues := map[int]int{} // of each node
	for q := range p.config.Queues {
		queues[p.socketOf(q)]++
	}
	for q := range p.config.Queues {
		socket := p.socketOf(q)
		pl := p.lookupPool(socket)
		if pl == nil {
			var err error
			if pl, err = p.createPool(p.poolName(socket), socket, p.poolMbufs(queues[socket])); err != nil {
				return err
			}
		}
		p.pools = append(p.pools, &pool{pl, socket})
	}
	return nil
}

func (p *Port) lookupPool(socket int) *C.struct_rte_mempool {
	name := C.CString(p.poolName(socket))
	defer C.free(unsafe.Pointer(name))
	return C.rte_mempool_lookup(name)
}

// poolMbufs is the size of a pool for some queues.
func (p *Port) poolMbufs(queues int) int {
	if p.config.Mbufs != 0 {
		return p.config.Mbufs
	}
	// All that can be out at once, and one more cache than there are queues, for the control plane's sake.
	return roundPool(queues*(p.config.RxDesc+p.config.TxDesc+C.FS_TX_SLOTS+C.FS_BURST) + (queues+1)*poolCache*3/2)
}

// roundPool is a ring's best size.
func roundPool(n int) int { return 1<<bits.Len(uint(n)) - 1 }

// createPool makes a pool of n mbufs. Reclaiming knows how its handler, ring_mp_mc, keeps what is free.
func (p *Port) createPool(poolName string, socket, n int) (*C.struct_rte_mempool, error) {
	// Drivers count a second VLAN tag, the CRC or a header of their own (virtio's has 12 bytes) to the frame.
	room := max(dataRoom, (p.config.MTU+frameHeader+driverExtra+63)&^63) + C.RTE_PKTMBUF_HEADROOM
	name, ops := C.CString(poolName), C.CString("ring_mp_mc")
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(ops))
	var pl *C.struct_rte_mempool
	if err := p.call("rte_pktmbuf_pool_create", func() C.int {
		pl = C.rte_pktmbuf_pool_create_by_ops(name, C.uint(n), C.uint(min(poolCache, n*2/3)), 0, C.uint16_t(room), C.int(socket), ops)
		if pl == nil {
			return -1
		}
		return 0
	}); err != nil {
		if errors.Is(err, syscall.ENOMEM) {
			err = fmt.Errorf("%w: %d mbufs of %d bytes need %d MB: %s", err, n, room, n*(room+192)>>20, mendMemory)
		}
		return nil, err
	}
	return pl, nil
}

// findPools is makePools in a secondary process.
func (p *Port) findPools() error {
	for q := range p.config.Queues {
		var found *pool
		for _, socket := range []int{p.socketOf(q), int(C.rte_eth_dev_socket_id(p.cid())), 0} {
			if pl := p.lookupPool(socket); pl != nil {
				found = &pool{pl, socket}
				break
			}
		}
		if found == nil {
			return &Error{Op: "rte_mempool_lookup", Port: p.id, Err: syscall.ENOENT, Log: "the primary process has made no pool"}
		}
		p.pools = append(p.pools, found)
	}
	return nil
}

// distinct are the port's pools, each once.
func (p *Port) distinct() (d []*C.struct_rte_mempool) {
	for _, pl := range p.pools {
		if !slices.Contains(d, pl.pool) {
			d = append(d, pl.pool)
		}
	}
	return d
}

// Mbufs counts the mbufs of the port's pools that are in use, in queues or held, and how many there are in all. It
// may be off by a few while queues are polled.
func (p *Port) Mbufs() (inUse, total int) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if p.closed || !eal.started {
		return 0, 0
	}
	return p.mbufs()
}

func (p *Port) mbufs() (inUse, total int) {
	for _, pl := range p.distinct() {
		inUse += int(C.rte_mempool_in_use_count(pl))
		total += int(pl.size)
	}
	return inUse, total
}

// freePools frees the pools. One whose mbufs are still out is left alone and reported.
func (p *Port) freePools() error {
	var err error
	for _, pl := range p.distinct() {
		if n := C.rte_mempool_in_use_count(pl); n > 0 {
			err = &Error{Op: "rte_mempool_free", Port: p.id, Err: syscall.EBUSY, Log: fmt.Sprintf("%d mbufs have not come back", n)}
			continue
		}
		C.rte_mempool_free(pl)
	}
	p.pools = nil
	C.free(unsafe.Pointer(p.setup.rss_key))
	p.setup.rss_key = nil
	return err
}
