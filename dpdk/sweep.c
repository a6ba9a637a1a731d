//go:build !nodpdk

// Mark and sweep, over a pool whose only user has ended. Marked is what somebody else has: mbufs that are lent, by
// their own word; and those in a driver's descriptors. Where a driver keeps these is its own affair, so all of DPDK's
// memory is searched for words that are an mbuf's address, as a conservative garbage collector does; pools, rings of
// pools and what this package shares are left out. All other mbufs go back into the pool, as new.

#include <errno.h>
#include <stdlib.h>

#include <rte_memory.h>
#include <rte_memzone.h>

#include "lend.h"
#include "reclaim.h"

static int add_range(struct fs_memory *m, const char *from, const char *to, uint32_t ring)
{
	if (m->n == m->cap) {
		uint32_t cap = m->cap * 2 + 16;
		struct fs_range *r = realloc(m->range, cap * sizeof(*r));
		if (r == NULL)
			return -ENOMEM;
		m->range = r;
		m->cap = cap;
	}
	m->range[m->n++] = (struct fs_range){from, to, ring};
	return 0;
}

static int add_memory(const struct rte_memseg_list *list, const struct rte_memseg *s, size_t len, void *m)
{
	return list->external ? 0 : add_range(m, s->addr, (char *)s->addr + len, 0);
}

static void add_zone(const struct rte_memzone *z, void *m)
{
	size_t len = strlen(z->name);
	int skip = strncmp(z->name, "MP_", 3) == 0 || strncmp(z->name, "RG_MP_", 6) == 0 || strncmp(z->name, "fstack_", 7) == 0 ||
		   // virtio's headers; its commands are copied there with a tail of whatever was on the stack
		   (strncmp(z->name, "port", 4) == 0 && len > 4 && strcmp(z->name + len - 4, "_hdr") == 0);

	if (skip || strncmp(z->name, "RG_", 3) == 0)
		add_range(m, z->addr, (char *)z->addr + z->len, skip ? 2 : 1);
}

static int by_start(const void *a, const void *b)
{
	const char *x = ((const struct fs_range *)a)->from, *y = ((const struct fs_range *)b)->from;

	return (x > y) - (x < y);
}

// fs_memory_find lists where to search. It takes DPDK's locks, which a process that was killed may hold for ever: so it is
// for a time when all is well, and its result is kept.
int fs_memory_find(struct fs_memory *m)
{
	struct fs_memory zones = {0}, all = {0};
	uint32_t z = 0;
	int rc = rte_memseg_contig_walk(add_memory, &all);

	if (rc == 0)
		rte_memzone_walk(add_zone, &zones);
	qsort(all.range, all.n, sizeof(all.range[0]), by_start);
	qsort(zones.range, zones.n, sizeof(zones.range[0]), by_start);
	for (uint32_t i = 0; i < all.n && rc == 0; i++) {
		const char *from = all.range[i].from;

		for (; z < zones.n && zones.range[z].from < all.range[i].to && rc == 0; z++) {
			const struct fs_range *r = &zones.range[z];
			if (from < r->from)
				rc = add_range(m, from, r->from, 0);
			if (r->ring == 1 && rc == 0)
				rc = add_range(m, r->from, r->to, 1);
			from = r->to;
		}
		if (from < all.range[i].to && rc == 0)
			rc = add_range(m, from, all.range[i].to, 0);
	}
	fs_memory_free(&all);
	fs_memory_free(&zones);
	return rc < 0 ? -ENOMEM : 0;
}

void fs_memory_free(struct fs_memory *m)
{
	free(m->range);
	*m = (struct fs_memory){0};
}

struct marks {
	struct fs_port *port;
	uint32_t n;       // mbufs of the pool
	uintptr_t *m;     // in order
	uint8_t *marked;
	uintptr_t low, high; // of all: most words are outside
	uintptr_t size;   // of an mbuf with its data
	int inside;       // also words that point into an mbuf count
};

static void list_mbuf(struct rte_mempool *mp __rte_unused, void *arg, void *m, unsigned int i __rte_unused)
{
	struct marks *k = arg;

	k->m[k->n++] = (uintptr_t)m;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

// find is the mbuf that a word means, -1: none.
static int64_t find(const struct marks *k, uintptr_t word)
{
	uint32_t low = 0, high = k->n;

	while (low < high) { // the first above word
		uint32_t mid = low + (high - low) / 2;
		if (k->m[mid] <= word)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || (k->inside ? word - k->m[low - 1] >= k->size : word != k->m[low - 1]))
		return -1;
	return low - 1;
}

static void mark(struct marks *k, uintptr_t word)
{
	while (word >= k->low && word < k->high) {
		int64_t i = find(k, word);

		if (i < 0 || k->marked[i])
			return;
		k->marked[i] = 1;
		word = (uintptr_t)((struct rte_mbuf *)k->m[i])->next;
	}
}

static void mark_range(struct marks *k, const struct fs_range *r)
{
	const uintptr_t *w = (const uintptr_t *)r->from, *end = (const uintptr_t *)r->to;

	if (r->ring) {
		const struct rte_ring *ring = (const struct rte_ring *)r->from;
		w = (const uintptr_t *)&ring[1];
		for (uint32_t i = ring->cons.tail; i != ring->prod.tail; i++)
			mark(k, w[i & ring->mask]);
		return;
	}
	for (; w < end; w++)
		if (unlikely(*w >= k->low && *w < k->high))
			mark(k, *w);
}

// renew makes the pool hold the unmarked mbufs, and nothing else.
static void renew(struct rte_mempool *pool, const struct marks *k, uint32_t were_free, struct fs_reclaimed *out)
{
	struct rte_ring *ring = pool->pool_data; // of the handler ring_mp_mc, which createPool asks for
	uint32_t n_free = 0;

	for (uint32_t l = 0; l < RTE_MAX_LCORE; l++) {
		struct rte_mempool_cache *c = rte_mempool_default_cache(pool, l);
		if (c != NULL)
			c->len = 0;
	}
	rte_ring_reset(ring);
	for (uint32_t i = 0; i < k->n; i++) {
		struct rte_mbuf *m = (struct rte_mbuf *)k->m[i];

		if (k->marked[i])
			continue;
		fs_lent(k->port->all, m)->to = 0;
		rte_mbuf_refcnt_set(m, 1);
		m->next = NULL;
		m->nb_segs = 1;
		m->ol_flags = 0;
		rte_ring_enqueue(ring, m);
		n_free++;
	}
	out->kept += k->n - n_free;
	out->swept += n_free > were_free ? n_free - were_free : 0;
}

// fs_sweep frees what nobody has of a pool whose user has ended. inside: the process ended in a driver's code, whose
// tables may be half written: whatever points into an mbuf keeps it.
int fs_sweep(struct fs_port *p, struct rte_mempool *pool, const struct fs_memory *m, int inside, struct fs_reclaimed *out)
{
	struct marks k = {.port = p, .inside = inside, .size = pool->elt_size};
	uint32_t were_free = rte_mempool_avail_count(pool);

	k.m = malloc(pool->size * sizeof(k.m[0]));
	k.marked = calloc(pool->size, 1);
	if (k.m == NULL || k.marked == NULL) {
		free(k.m);
		free(k.marked);
		return -ENOMEM;
	}
	rte_mempool_obj_iter(pool, list_mbuf, &k);
	qsort(k.m, k.n, sizeof(k.m[0]), by_address);
	k.low = k.m[0];
	k.high = k.m[k.n - 1] + k.size;
	for (uint32_t i = 0; i < k.n; i++) {
		if (fs_lent(p->all, (struct rte_mbuf *)k.m[i])->to == 0)
			continue;
		mark(&k, k.m[i]);
		for (struct rte_mbuf *seg = (struct rte_mbuf *)k.m[i]; seg != NULL; seg = seg->next)
			rte_mbuf_refcnt_set(seg, 1); // the burst that it came in had another, and has ended too
	}
	for (uint32_t i = 0; i < m->n; i++)
		mark_range(&k, &m->range[i]);
	renew(pool, &k, were_free, out);
	free(k.m);
	free(k.marked);
	return 0;
}
