// What the primary does about a slot whose process has ended.
#ifndef FSTACK_RECLAIM_H
#define FSTACK_RECLAIM_H

#include "cross.h"

struct fs_range {
	const char *from, *to;
	uint32_t ring; // 1: an rte_ring, of which only the words between its tails count
};

// fs_memory is where mbufs may be referred to from outside of pools and ends: all of DPDK's memory but those.
struct fs_memory {
	struct fs_range *range;
	uint32_t n, cap;
};

struct fs_reclaimed {
	uint32_t returned; // mbufs of others that went back to them
	uint32_t swept;    // own mbufs that were out and are free again
	uint32_t kept;     // own mbufs that others, or the device, still have
	uint32_t in_driver; // the process ended inside a driver's code
};

int fs_memory_find(struct fs_memory *m);
void fs_memory_free(struct fs_memory *m);
int fs_reclaim(struct fs_port *p, uint32_t slot, const struct fs_memory *m, uint32_t wait_ms, struct fs_reclaimed *out);
int fs_sweep(struct fs_port *p, struct rte_mempool *pool, const struct fs_memory *m, int inside, struct fs_reclaimed *out);
void fs_forget_lent(struct fs_port *p, struct rte_mempool *pool);

#endif
