//go:build !nodpdk

// An end of a shared port: how it is opened, switched between its modes, and closed. And the memory that ends are in.

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <rte_memzone.h>
#include <rte_version.h>

#include "lend.h"

// fs_zone makes a zone of zeros, or finds one that is there. -EEXIST: it is there, in another size.
int fs_zone(const char *name, size_t size, int make, void **p)
{
	const struct rte_memzone *z = rte_memzone_lookup(name);

	if (z == NULL) {
		if (!make)
			return -ENOENT;
		z = rte_memzone_reserve_aligned(name, size, SOCKET_ID_ANY, 0, RTE_CACHE_LINE_SIZE);
		if (z == NULL)
			return -rte_errno;
		memset(z->addr, 0, z->len);
	}
	if (size != 0 && RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE) != RTE_ALIGN_CEIL(z->len, RTE_CACHE_LINE_SIZE))
		return -EEXIST;
	*p = z->addr;
	return 0;
}

int fs_zone_free(const char *name)
{
	const struct rte_memzone *z = rte_memzone_lookup(name);

	return z == NULL ? -ENOENT : rte_memzone_free(z);
}

static void finish_head(struct fs_head *h, uint32_t magic, size_t size)
{
	h->layout = FS_LAYOUT;
	h->size = size;
	h->dpdk = RTE_VERSION;
	__atomic_store_n(&h->magic, magic, __ATOMIC_RELEASE); // last: who finds it finds it whole
}

// fs_head_check: 0, or what differs: -ENODATA (no such thing, or not finished), -EPROTO (layout), -ENOEXEC (DPDK).
int fs_head_check(const struct fs_head *h, uint32_t magic, size_t size)
{
	if (__atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) != magic)
		return -ENODATA;
	if (h->layout != FS_LAYOUT || h->size != size)
		return -EPROTO;
	return h->dpdk == RTE_VERSION ? 0 : -ENOEXEC;
}

int fs_slots_make(uint32_t slots, uint32_t words, struct fs_slots **s)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "fstack_lent", .size = sizeof(struct fs_lent), .align = __alignof__(uint32_t),
	};
	int offset = rte_mbuf_dynfield_register(&field), rc;

	if (offset < 0)
		return -rte_errno;
	rc = fs_zone("fstack_slots", sizeof(**s), 1, (void **)s);
	if (rc != 0)
		return rc;
	(*s)->slots = slots;
	(*s)->words = words;
	(*s)->lent_offset = offset;
	finish_head(&(*s)->head, FS_SLOTS_MAGIC, sizeof(**s));
	return 0;
}

int fs_port_make(struct fs_slots *all, uint16_t port, uint32_t queues, uint32_t descriptors, struct fs_mesh *mesh, struct fs_port **p)
{
	char name[RTE_MEMZONE_NAMESIZE];
	int rc;

	snprintf(name, sizeof(name), "fstack_port_%u", port);
	rc = fs_zone(name, sizeof(**p) + all->slots * sizeof((*p)->end[0]), 1, (void **)p);
	if (rc != 0)
		return rc;
	(*p)->slots = all->slots;
	(*p)->queues = queues;
	(*p)->descriptors = descriptors;
	(*p)->primary = getpid();
	(*p)->all = all;
	(*p)->mesh = mesh;
	for (uint32_t i = 0; i < FS_MAX_QUEUES; i++)
		(*p)->rx_fd[i] = -1;
	for (uint32_t i = 0; i < all->slots; i++) {
		struct fs_end *e = &(*p)->end[i];
		e->port = *p;
		e->slot = e->via = i;
		e->q.port = port;
		e->q.lcore = i;
	}
	finish_head(&(*p)->head, FS_PORT_MAGIC, sizeof((*p)->end[0]));
	return 0;
}

struct fs_end *fs_port_end(struct fs_port *p, uint32_t slot)
{
	return &p->end[slot];
}

// fs_slot_down notes that a slot's process has ended.
void fs_slot_down(struct fs_port *p, uint32_t slot)
{
	struct fs_end *e = &p->end[slot];

	__atomic_store_n(&p->up[slot], 0, __ATOMIC_SEQ_CST);
	e->was = RTE_MAX(e->was, e->at);
	e->at = FS_OUTSIDE;
}

// fs_port_owner is the slot that polls a queue, -1: none.
int fs_port_owner(struct fs_port *p, uint32_t queue)
{
	return (int)__atomic_load_n(&p->owner[queue], __ATOMIC_ACQUIRE) - 1;
}

struct count {
	const struct fs_slots *all;
	uint32_t n;
};

static void count_lent(struct rte_mempool *mp __rte_unused, void *arg, void *m, unsigned int i __rte_unused)
{
	struct count *c = arg;

	c->n += fs_lent(c->all, m)->to != 0;
}

// lent_of counts what is lent of a pool, NULL: none.
static uint32_t lent_of(const struct fs_end *e, struct rte_mempool *pool)
{
	struct count c = {.all = e->port->all};

	if (pool != NULL)
		rte_mempool_obj_iter(pool, count_lent, &c);
	return c.n;
}

// lend_max is how many mbufs of a pool may be with others: the device's descriptors, what waits to be sent, a burst and
// the cache must stay.
static uint32_t lend_max(const struct rte_mempool *pool, uint32_t descriptors)
{
	uint32_t stay = descriptors + FS_TX_SLOTS + FS_BURST + pool->cache_size * 3 / 2;

	return pool->size > stay + 2 * FS_BURST ? pool->size - stay : 2 * FS_BURST;
}

// enter_mode makes the end direct, on a queue that nobody else polls, or has another slot receive and send for it.
// -EBUSY: somebody polls the queue. -ENOENT: there is no pool for this.
static int enter_mode(struct fs_end *e, uint32_t via, uint32_t queue)
{
	struct fs_port *p = e->port;
	struct rte_mempool *pool = via == e->slot ? p->queue_pool[queue] : p->slot_pool[e->slot];
	uint16_t nobody = 0;

	if (pool == NULL)
		return -ENOENT;
	if (via == e->slot) {
		if (!__atomic_compare_exchange_n(&p->owner[queue], &nobody, e->slot + 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) &&
		    nobody != e->slot + 1)
			return -EBUSY;
		e->q.queue = queue;
		e->queue_pool = pool;
		e->suspect = p->suspect[queue];
		e->lent_queue = lent_of(e, pool);
		e->releasing = 0;
	}
	e->via = via;
	e->q.pool = pool;
	e->lent = lent_of(e, p->slot_pool[e->slot]) + (e->queue_pool != NULL ? lent_of(e, e->queue_pool) : 0);
	e->lend_max = lend_max(pool, via == e->slot ? p->descriptors : 0);
	return 0;
}

int fs_end_open(struct fs_end *e, uint32_t via, uint32_t queue)
{
	bool entered;
	int rc;

	if (!fs_enter_within(e, FS_PAUSE_MS))
		return -ETIMEDOUT;
	e->queue_pool = NULL;
	e->releasing = e->hands = e->guests = e->back = e->relays = e->was = e->lend.busy = 0;
	e->q.have = e->q.held = 0;
	rc = enter_mode(e, via, queue);
	if (rc != 0) {
		leave(e);
		return rc;
	}
	entered = lcore_enter(&e->q);
	rc = fs_queue_open(&e->q);
	lcore_leave(&e->q, entered);
	if (rc == 0) {
		e->port->seen[e->slot] = 1;
		__atomic_store_n(&e->port->up[e->slot], 1, __ATOMIC_SEQ_CST);
	}
	leave(e);
	return rc;
}

// let_go frees all slots to send and gives back the last burst; what was taken but not sent is lost.
static void let_go(struct fs_end *e, uint32_t taken)
{
	struct fs_queue *q = &e->q;
	uint32_t kept;

	fs_lend_hands(e);
	kept = fs_end_flush(e, taken) & 0xffff;
	q->counters.drop_tx_queue_gave_up += kept;
	free_burst(q);
	memcpy(e->giveback + e->back, e->guest, e->guests * sizeof(e->guest[0]));
	e->back += e->guests;
	e->guests = 0;
	fs_push_back(e);
	for (uint32_t i = 0; i < q->have; i++)
		rte_pktmbuf_free_seg(q->tx[i].ref);
	q->have = 0;
}

// fs_end_mode switches the mode between two exchanges. The queue that a direct end leaves is given up by a later
// exchange. Errors as of enter_mode, and -EAGAIN: a queue is being given up still.
int fs_end_mode(struct fs_end *e, uint32_t via, uint32_t queue, uint32_t taken)
{
	bool entered, leaves = e->via == e->slot;
	int rc;

	if (e->via == via && (via != e->slot || e->q.queue == queue))
		return 0;
	if (e->releasing)
		return -EAGAIN;
	if (via == e->slot ? e->port->queue_pool[queue] == NULL : e->port->slot_pool[e->slot] == NULL)
		return -ENOENT;
	if (via == e->slot && leaves)
		return -EINVAL; // from queue to queue only by way of another slot
	if (via == e->slot && e->port->owner[queue] != 0)
		return -EBUSY;
	if (!fs_enter_within(e, FS_PAUSE_MS))
		return -ETIMEDOUT;
	let_go(e, taken);
	entered = lcore_enter(&e->q);
	rc = enter_mode(e, via, queue);
	if (rc == 0 && leaves)
		e->releasing = 1;
	refill(&e->q, 0, 0);
	lcore_leave(&e->q, entered);
	leave(e);
	return rc;
}

// fs_end_close gives everything back that it can; the rest is for who reclaims the slot.
void fs_end_close(struct fs_end *e)
{
	struct fs_port *p = e->port;
	bool entered;

	__atomic_store_n(&p->up[e->slot], 0, __ATOMIC_SEQ_CST);
	if (!fs_enter_within(e, FS_PAUSE_MS)) // the device will not come back
		return;
	let_go(e, 0);
	entered = lcore_enter(&e->q);
	if (e->queue_pool != NULL) {
		rte_mempool_cache_flush(rte_mempool_default_cache(e->queue_pool, e->q.lcore), e->queue_pool);
		if (e->lent_queue == 0)
			__atomic_store_n(&p->owner[e->q.queue], 0, __ATOMIC_RELEASE);
	}
	if (p->slot_pool[e->slot] != NULL)
		rte_mempool_cache_flush(rte_mempool_default_cache(p->slot_pool[e->slot], e->q.lcore), p->slot_pool[e->slot]);
	lcore_leave(&e->q, entered);
	free(e->q.tx);
	free(e->q.rx);
	e->q.tx = e->q.rx = NULL;
	e->queue_pool = NULL;
	leave(e);
}
