// Lending: how an mbuf goes to another process and comes back.
//
//	ours ──lend──► ring ──► theirs, as long as their burst lasts ──► ring ──take_back──► ours
//
// Only who lent an mbuf counts its references and frees it. What makes this hold when a process is killed at any
// instruction: fs_lent says with whom an mbuf is; it is written before the word is in the ring, with a note of it in
// fs_end.lend, and cleared before the word that brings it back is out of the ring.
#ifndef FSTACK_LEND_H
#define FSTACK_LEND_H

#include "burst.h"
#include "cross.h"

// enter is called before an end's own process touches anything of the port: false, not now. The primary, which pauses
// a port, has a barrier in all processes between its paused and its look at this at (pause.c): none is needed here.
static inline bool enter(struct fs_end *e)
{
	__atomic_store_n(&e->at, FS_INSIDE, __ATOMIC_RELAXED);
	rte_compiler_barrier();
	if (likely(!__atomic_load_n(&e->port->paused, __ATOMIC_ACQUIRE)))
		return true;
	__atomic_store_n(&e->at, FS_OUTSIDE, __ATOMIC_RELEASE);
	return false;
}

static inline void leave(struct fs_end *e)
{
	__atomic_store_n(&e->at, FS_OUTSIDE, __ATOMIC_RELEASE);
}

// into_driver and out_of_driver are around a driver's calls: who reclaims wants to know.
static inline void into_driver(struct fs_end *e)
{
	e->at = FS_IN_DRIVER;
	rte_compiler_barrier();
}

static inline void out_of_driver(struct fs_end *e)
{
	rte_compiler_barrier();
	e->at = FS_INSIDE;
}

static inline struct fs_lent *fs_lent(const struct fs_slots *all, struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, all->lent_offset, struct fs_lent *);
}

// lend puts n mbufs (at most FS_BURST) into the ring to a slot, and returns how many it took; -1: nobody is there.
// The others stay with the caller.
static inline int lend(struct fs_end *e, uint32_t to, struct rte_mbuf **m, const uint16_t *flags, uint32_t n, uint32_t what)
{
	struct fs_port *p = e->port;
	struct rte_ring *r = fs_mesh_ring(p->mesh, e->slot, to);
	uintptr_t word[FS_BURST];
	uint32_t done;

	e->lend.to = to;
	e->lend.base = r->prod.tail;
	e->lend.n = n;
	memcpy(e->lend.m, m, n * sizeof(m[0]));
	rte_compiler_barrier();
	// Busy before up is read: who clears up and then sees nobody busy knows that nothing more will come.
	__atomic_store_n(&e->lend.busy, 1, __ATOMIC_SEQ_CST);
	if (unlikely(!__atomic_load_n(&p->up[to], __ATOMIC_SEQ_CST))) {
		__atomic_store_n(&e->lend.busy, 0, __ATOMIC_RELEASE);
		return -1;
	}
	for (uint32_t i = 0; i < n; i++) {
		*fs_lent(p->all, m[i]) = (struct fs_lent){to + 1, flags != NULL ? flags[i] : 0};
		word[i] = (uintptr_t)m[i] | what;
	}
	done = rte_ring_sp_enqueue_burst(r, (void **)word, n, NULL);
	for (uint32_t i = done; i < n; i++)
		fs_lent(p->all, m[i])->to = 0;
	__atomic_store_n(&e->lend.busy, 0, __ATOMIC_RELEASE);
	e->lent += done;
	for (uint32_t i = 0; i < done && e->queue_pool != NULL; i++)
		e->lent_queue += m[i]->pool == e->queue_pool;
	if (done > 0)
		fs_wake(p, to);
	return done;
}

// take_back ends the loan of an mbuf that a slot gave back; false: it was not lent to it.
static inline bool take_back(struct fs_end *e, struct rte_mbuf *m, uint32_t from)
{
	struct fs_lent *l = fs_lent(e->port->all, m);

	if (unlikely(l->to != from + 1)) {
		e->q.counters.drop_ring_word++;
		return false;
	}
	l->to = 0;
	e->lent--;
	e->lent_queue -= m->pool == e->queue_pool;
	e->q.counters.came_back++;
	return true;
}

#endif
