//go:build !nodpdk

// Reclaiming a slot whose process has ended, at whatever instruction: the steps in order, while all others go on.
//
//  1. Nobody lends to it any more, and whoever was about to has done so (grace).
//  2. Its rings are as if its last calls had not been made (fs_mesh_repair), and so is its last loan (undo).
//  3. What others lent it goes back to them (return_foreign): all of their mbufs that say they are lent to it, save
//     those whose way back is in its rings already. What it lent to others stays with them.
//  4. Its pools are swept: sweep.c.

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lend.h"
#include "reclaim.h"

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

// grace waits until nobody is in the midst of lending that looked at up before it was cleared. -ETIMEDOUT: a process does
// not go on (it is stopped, or was killed and not reclaimed yet).
static int grace(struct fs_port *p, uint32_t slot, uint32_t wait_ms)
{
	for (uint32_t x = 0; x < p->slots; x++) {
		if (x == slot || !__atomic_load_n(&p->up[x], __ATOMIC_RELAXED))
			continue;
		for (uint32_t i = 0; __atomic_load_n(&p->end[x].lend.busy, __ATOMIC_ACQUIRE); i++) {
			if (i > wait_ms * 10)
				return -ETIMEDOUT;
			if (i > 0)
				nap();
		}
	}
	return 0;
}

// undo clears the marks of mbufs that were about to be lent when the process ended and did not get into the ring.
static void undo(struct fs_port *p, uint32_t slot)
{
	struct fs_end *e = &p->end[slot];
	uint32_t done;

	if (!e->lend.busy)
		return;
	done = fs_mesh_ring(p->mesh, slot, e->lend.to)->prod.tail - e->lend.base;
	for (uint32_t i = done; i < e->lend.n; i++)
		fs_lent(p->all, e->lend.m[i])->to = 0;
	e->lend.busy = 0;
}

// empty_ring takes all out of a ring that leads to the ended slot: loans that it gave back are over; what others lent it
// is found by return_foreign.
static void empty_ring(struct fs_port *p, struct rte_ring *r)
{
	uintptr_t word[FS_BURST];

	for (uint32_t n; (n = rte_ring_sc_dequeue_burst(r, (void **)word, FS_BURST, NULL)) > 0;)
		for (uint32_t i = 0; i < n; i++)
			if ((word[i] & FS_WORD_BITS) == FS_WORD_RETURN)
				fs_lent(p->all, (struct rte_mbuf *)(word[i] & ~(uintptr_t)FS_WORD_BITS))->to = 0;
}

struct foreign {
	const struct fs_slots *all;
	uint32_t to, n, cap;
	uintptr_t *m;
};

static void find_foreign(struct rte_mempool *mp __rte_unused, void *arg, void *m, unsigned int i __rte_unused)
{
	struct foreign *f = arg;

	if (fs_lent(f->all, m)->to == f->to && f->n < f->cap)
		f->m[f->n++] = (uintptr_t)m;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

// returns_in lists the mbufs whose return is in a ring. Its producer has ended; its consumer may go on meanwhile, which
// clears an mbuf's mark before it takes the word out: what is not listed here because it is out has no mark later.
static uint32_t returns_in(struct rte_ring *r, uintptr_t *m)
{
	uintptr_t *slot = (uintptr_t *)&r[1];
	uint32_t n = 0, end = r->prod.tail;

	for (uint32_t i = __atomic_load_n(&r->cons.tail, __ATOMIC_ACQUIRE); i != end; i++)
		if ((slot[i & r->mask] & FS_WORD_BITS) == FS_WORD_RETURN)
			m[n++] = slot[i & r->mask] & ~(uintptr_t)FS_WORD_BITS;
	qsort(m, n, sizeof(m[0]), by_address);
	return n;
}

// return_foreign gives slot x back what it lent to the ended one. -EAGAIN: it does not empty its ring; another call
// goes on with the rest.
static int return_foreign(struct fs_port *p, uint32_t slot, uint32_t x, uint32_t wait_ms, struct fs_reclaimed *out)
{
	struct rte_ring *r = fs_mesh_ring(p->mesh, slot, x);
	struct foreign f = {.all = p->all, .to = slot + 1};
	uintptr_t *coming;
	uint32_t n_coming, naps = 0;
	int rc = 0;

	for (uint32_t q = 0; q < p->queues; q++)
		if (p->owner[q] == x + 1)
			f.cap += p->queue_pool[q]->size;
	if (p->slot_pool[x] != NULL)
		f.cap += p->slot_pool[x]->size;
	if (f.cap == 0)
		return 0;
	f.m = malloc(f.cap * sizeof(f.m[0]));
	coming = malloc(r->size * sizeof(coming[0]));
	if (f.m == NULL || coming == NULL) {
		free(f.m);
		free(coming);
		return -ENOMEM;
	}
	n_coming = returns_in(r, coming);
	rte_smp_rmb();
	for (uint32_t q = 0; q < p->queues; q++)
		if (p->owner[q] == x + 1)
			rte_mempool_obj_iter(p->queue_pool[q], find_foreign, &f);
	if (p->slot_pool[x] != NULL)
		rte_mempool_obj_iter(p->slot_pool[x], find_foreign, &f);
	for (uint32_t i = 0; i < f.n && rc == 0;) {
		uintptr_t word = f.m[i] | FS_WORD_RETURN;

		if (bsearch(&f.m[i], coming, n_coming, sizeof(coming[0]), by_address) != NULL) {
			i++;
		} else if (rte_ring_sp_enqueue_burst(r, (void **)&word, 1, NULL) == 1) {
			out->returned++;
			i++;
		} else if (!p->up[x]) { // nobody is there: who reclaims it sweeps what has no mark
			fs_lent(p->all, (struct rte_mbuf *)f.m[i])->to = 0;
			i++;
		} else if (++naps > wait_ms * 10) {
			rc = -EAGAIN;
		} else {
			fs_wake(p, x);
			nap();
		}
	}
	if (f.n > 0)
		fs_wake(p, x);
	free(f.m);
	free(coming);
	return rc;
}

// fs_reclaim puts all of a port right that slot's process left. It may be called again after an error: it goes on.
int fs_reclaim(struct fs_port *p, uint32_t slot, const struct fs_memory *m, uint32_t wait_ms, struct fs_reclaimed *out)
{
	struct fs_end *e = &p->end[slot];
	int rc, inside;

	fs_slot_down(p, slot);
	if (!p->seen[slot])
		return 0;
	rc = grace(p, slot, wait_ms);
	if (rc != 0)
		return rc;
	fs_mesh_repair(p->mesh, slot);
	undo(p, slot);
	for (uint32_t x = 0; x < p->slots; x++)
		if (x != slot)
			empty_ring(p, fs_mesh_ring(p->mesh, x, slot));
	for (uint32_t x = 0; x < p->slots; x++) {
		if (x == slot)
			continue;
		rc = return_foreign(p, slot, x, wait_ms, out);
		if (rc != 0)
			return rc;
	}
	inside = e->was == FS_IN_DRIVER;
	out->in_driver |= inside;
	if (p->slot_pool[slot] != NULL)
		rc = fs_sweep(p, p->slot_pool[slot], m, inside, out);
	for (uint32_t q = 0; q < p->queues && rc == 0; q++) {
		if (p->owner[q] != slot + 1)
			continue;
		p->suspect[q] |= inside;
		rc = fs_sweep(p, p->queue_pool[q], m, inside, out);
		if (rc == 0)
			__atomic_store_n(&p->owner[q], 0, __ATOMIC_RELEASE);
	}
	if (rc == 0) {
		p->all->line[slot].asleep = 0;
		e->was = e->hands = e->guests = e->back = e->relays = e->releasing = 0;
	}
	return rc;
}

static void forget(struct rte_mempool *mp __rte_unused, void *p, void *m, unsigned int i __rte_unused)
{
	fs_lent(((struct fs_port *)p)->all, m)->to = 0;
}

// fs_forget_lent is for the end of a port: nobody has anything of the pool any more.
void fs_forget_lent(struct fs_port *p, struct rte_mempool *pool)
{
	rte_mempool_obj_iter(pool, forget, p);
}
