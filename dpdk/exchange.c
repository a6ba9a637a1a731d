//go:build !nodpdk

// The hot path: one call sends the filled frames, gives back the last burst, takes fresh mbufs and receives.

#include <errno.h>
#include <stdlib.h>

#include "burst.h"

_Static_assert(sizeof(struct fs_frame) == 32, "fs_frame is stack.Frame");

struct fs_lcore_claim fs_lcore_claims[RTE_MAX_LCORE] __rte_cache_aligned;

uint64_t fs_exchange(uintptr_t queue, uint32_t taken)
{
	struct fs_queue *q = (struct fs_queue *)queue;
	bool entered = lcore_enter(q);
	uint32_t kept = taken ? send_taken(q, taken) : 0, rx;

	free_burst(q);
	refill(q, kept, taken);
	rx = receive(q);
	lcore_leave(q, entered);
	return FS_RESULT(kept, q->have, rx);
}

uint64_t fs_flush(uintptr_t queue, uint32_t taken)
{
	struct fs_queue *q = (struct fs_queue *)queue;
	bool entered = lcore_enter(q);
	uint32_t kept = taken ? send_taken(q, taken) : 0;

	refill(q, kept, taken);
	lcore_leave(q, entered);
	return FS_RESULT(kept, q->have, 0);
}

int fs_queue_open(struct fs_queue *q)
{
	q->tx = aligned_alloc(RTE_CACHE_LINE_SIZE, FS_TX_SLOTS * sizeof(q->tx[0]));
	q->rx = aligned_alloc(RTE_CACHE_LINE_SIZE, FS_RX_SLOTS * sizeof(q->rx[0]));
	if (q->tx == NULL || q->rx == NULL) {
		free(q->tx);
		free(q->rx);
		return -ENOMEM;
	}
	memset(q->tx, 0, FS_TX_SLOTS * sizeof(q->tx[0]));
	memset(q->rx, 0, FS_RX_SLOTS * sizeof(q->rx[0]));
	refill(q, 0, 0);
	return 0;
}

void fs_queue_close(struct fs_queue *q)
{
	free_burst(q);
	for (uint32_t i = 0; i < q->have; i++)
		rte_pktmbuf_free_seg(q->tx[i].ref);
	free(q->tx);
	free(q->rx);
	q->tx = q->rx = NULL;
	q->have = 0;
}
