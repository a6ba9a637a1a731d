// The layout of a mesh in shared memory: a head, then the rings, so that C on the packet path finds a ring by adding.
#ifndef FSTACK_MESH_H
#define FSTACK_MESH_H

#include <stddef.h>
#include <stdint.h>

#include <rte_ring.h>
#include <rte_version.h>

enum {
	FS_MESH_MAGIC = 0x6873656d, // "mesh"
	FS_MESH_LAYOUT = 1          // another number for each change of what processes share here
};

struct fs_mesh {
	uint32_t magic, layout, dpdk; // dpdk: RTE_VERSION of who made it
	uint32_t slots;               // ends, each with a ring to every other
	uint32_t words;               // size of each ring, a power of two
	uint32_t stride;              // bytes from ring to ring
} __rte_cache_aligned;

// fs_mesh_ring is the ring that slot from puts into and slot to takes out of; from and to differ.
static inline struct rte_ring *fs_mesh_ring(const struct fs_mesh *m, uint32_t from, uint32_t to)
{
	size_t i = (size_t)from * (m->slots - 1) + to - (to > from);

	return (struct rte_ring *)((char *)(uintptr_t)m + sizeof(*m) + i * m->stride);
}

// fs_ring_empty may be called by anyone; it costs two loads.
static inline int fs_ring_empty(const struct rte_ring *r)
{
	return r->prod.tail == r->cons.tail;
}

int fs_mesh_make(const char *name, uint32_t slots, uint32_t words, int socket, struct fs_mesh **mesh);
int fs_mesh_lookup(const char *name, struct fs_mesh **mesh);
int fs_mesh_free(struct fs_mesh *m, const char *name);
void fs_mesh_repair(struct fs_mesh *m, uint32_t slot);

#endif
