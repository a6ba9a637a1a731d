//go:build !nodpdk

#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_memzone.h>

#include "mesh.h"

int fs_mesh_make(const char *name, uint32_t slots, uint32_t words, int socket, struct fs_mesh **mesh)
{
	ssize_t ring = rte_ring_get_memsize(words);
	const struct rte_memzone *zone;
	struct fs_mesh *m;
	int rc;

	if (ring < 0)
		return ring;
	ring = RTE_ALIGN_CEIL(ring, RTE_CACHE_LINE_SIZE);
	zone = rte_memzone_reserve_aligned(name, sizeof(*m) + (size_t)ring * slots * (slots - 1), socket, 0, RTE_CACHE_LINE_SIZE);
	if (zone == NULL)
		return -rte_errno;
	m = zone->addr;
	*m = (struct fs_mesh){.layout = FS_MESH_LAYOUT, .dpdk = RTE_VERSION, .slots = slots, .words = words, .stride = ring};
	for (uint32_t from = 0; from < slots; from++) {
		for (uint32_t to = 0; to < slots; to++) {
			char text[RTE_RING_NAMESIZE];

			if (from == to)
				continue;
			snprintf(text, sizeof(text), "%.16s_%u_%u", name, from, to);
			rc = rte_ring_init(fs_mesh_ring(m, from, to), text, words, RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (rc != 0) {
				rte_memzone_free(zone);
				return rc;
			}
			fs_mesh_ring(m, from, to)->memzone = zone;
		}
	}
	__atomic_store_n(&m->magic, FS_MESH_MAGIC, __ATOMIC_RELEASE); // last: who looks it up finds it whole
	*mesh = m;
	return 0;
}

int fs_mesh_lookup(const char *name, struct fs_mesh **mesh)
{
	const struct rte_memzone *zone = rte_memzone_lookup(name);

	if (zone == NULL)
		return -ENOENT;
	*mesh = zone->addr;
	return 0;
}

int fs_mesh_free(struct fs_mesh *m, const char *name)
{
	m->magic = 0;
	return rte_memzone_free(rte_memzone_lookup(name));
}

// A producer that died inside an enqueue has moved the head, and perhaps written some words, but not the tail, which is
// all that the consumer sees; a consumer that died inside a dequeue has not moved its tail, which is all that the
// producer sees. Setting the heads back leaves the ring as if neither call had been made.
void fs_mesh_repair(struct fs_mesh *m, uint32_t slot)
{
	for (uint32_t other = 0; other < m->slots; other++) {
		struct rte_ring *r;

		if (other == slot)
			continue;
		r = fs_mesh_ring(m, slot, other);
		r->prod.head = r->prod.tail;
		r = fs_mesh_ring(m, other, slot);
		r->cons.head = r->cons.tail;
	}
}
