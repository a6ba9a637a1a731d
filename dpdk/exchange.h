// The C side of a queue pair: the layout that it shares with Go, and its calls.
#ifndef FSTACK_EXCHANGE_H
#define FSTACK_EXCHANGE_H

#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

enum {
	FS_BURST = 32,     // frames received by one exchange
	FS_TX_SLOTS = 256, // frames that can wait to be sent
	FS_RX_SLOTS = 1056 // pieces of received frames: a burst of frames of 64 KB in mbufs of 2 KB
};

// The flags of stack.Frame, by the names that they have there.
enum {
	FS_RX_IP_GOOD = 1 << 0,
	FS_RX_IP_BAD = 1 << 1,
	FS_RX_L4_GOOD = 1 << 2,
	FS_RX_L4_BAD = 1 << 3,
	FS_RX_HASH = 1 << 4,
	FS_TX_IP_CSUM = 1 << 5,
	FS_TX_TCP_CSUM = 1 << 6,
	FS_TX_UDP_CSUM = 1 << 7,
	FS_TX_TSO = 1 << 8,
	FS_TX_IPV6 = 1 << 9,
	FS_RX_HANDED = 1 << 11,
	FS_RX_NEWS = 1 << 12,
	FS_MORE = 1 << 15
};

// fs_frame is stack.Frame.
struct fs_frame {
	void *data;
	struct rte_mbuf *ref;
	uint16_t len, cap, flags, mss;
	uint32_t hash;
	uint8_t l2, l3, l4, pad;
};

// fs_counters is dpdk.QueueCounters.
struct fs_counters {
	uint64_t tx_retries;
	uint64_t drop_tx_bad_length;
	uint64_t drop_tx_bad_offload;
	uint64_t drop_tx_refused;
	uint64_t no_mbuf_for_tx;
	uint64_t drop_rx_too_many_pieces;
	uint64_t handed_out;
	uint64_t handed_in;
	uint64_t came_back;
	uint64_t sent_by_other;
	uint64_t sent_for_other;
	uint64_t returns_waited;
	uint64_t drop_hand_ring_full;
	uint64_t drop_hand_nobody;
	uint64_t drop_hand_no_mbuf;
	uint64_t drop_hand_lent_too_many;
	uint64_t drop_hand_paused;
	uint64_t drop_tx_nobody_sends;
	uint64_t drop_tx_queue_gave_up;
	uint64_t drop_sent_for_other;
	uint64_t drop_ring_word;
};

struct fs_queue {
	uint16_t port, queue;
	uint16_t have;       // tx slots that have an mbuf: the first ones
	uint16_t held;       // frames of the last burst
	uint32_t lcore;      // whose mempool cache this queue uses
	uint32_t max_frame;  // longest frame that is sent without TSO
	uint32_t multi_segs; // whether the device sends a chain
	uint32_t pad;
	struct rte_mempool *pool;
	struct fs_frame *tx, *rx;
	struct fs_counters counters;
	struct rte_mbuf *burst[FS_BURST];
};

// The results of an exchange, in one word: tx frames kept, tx slots with memory, rx slots filled.
#define FS_RESULT(kept, have, rx) ((uint64_t)(kept) | (uint64_t)(have) << 16 | (uint64_t)(rx) << 32)

int fs_queue_open(struct fs_queue *q);
void fs_queue_close(struct fs_queue *q);
// The queue is passed as a number: a pointer would be looked up among Go's at each call.
uint64_t fs_exchange(uintptr_t queue, uint32_t taken);
uint64_t fs_flush(uintptr_t queue, uint32_t taken);

#endif
