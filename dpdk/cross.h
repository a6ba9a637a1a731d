// Frames that cross to another process: what processes share of a port, and the calls of an exchange with it.
#ifndef FSTACK_CROSS_H
#define FSTACK_CROSS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_mempool.h>

#include "exchange.h"
#include "mesh.h"

enum {
	FS_SLOTS_MAGIC = 0x746f6c73, // "slot"
	FS_PORT_MAGIC = 0x74726f70,  // "port"
	FS_LAYOUT = 4,               // another number for each change of what processes share here
	FS_MAX_SLOTS = 128,          // a slot has the mempool caches of the lcore id of its number
	FS_MAX_QUEUES = 128,
	FS_PAUSE_MS = 5000, // the longest pause of a port
	FS_HANDS = 128,     // frames that can wait to be handed over
	FS_GIVEBACK = 256 // foreign mbufs that can wait to be given back
};

// A word in a ring is the address of an mbuf, which is a multiple of 64, and in its low bits what it is there for.
enum {
	FS_WORD_FRAME = 0,  // handed over, to be received
	FS_WORD_RETURN = 1, // the receiver's mbuf, which it gets back
	FS_WORD_SEND = 2,   // to be sent by the receiver
	FS_WORD_BITS = 63
};

// fs_head says what made a piece of shared memory.
struct fs_head {
	uint32_t magic, layout, size, dpdk;
};

// fs_slots is for all ports: who sleeps. Each line is written by its slot only.
struct fs_slots {
	struct fs_head head;
	uint32_t slots, words; // ends, and words of each ring
	int32_t lent_offset;   // of fs_lent in an mbuf
	struct {
		uint32_t asleep;
	} __rte_cache_aligned line[FS_MAX_SLOTS];
};

// fs_lent is a dynamic field of mbufs: whom it is lent to. Only the process that lends writes it; who has the mbuf
// reads. An mbuf is lent to one slot at a time.
struct fs_lent {
	uint16_t to;    // slot + 1; 0: to nobody
	uint16_t flags; // of the frame
};

// Where a process is, in fs_end.at.
enum {
	FS_OUTSIDE,  // of all that touches the port
	FS_INSIDE,   // an exchange or the like
	FS_IN_DRIVER // the driver's code in it
};

struct fs_hand {
	struct rte_mbuf *m;
	uint16_t to, flags;
	uint32_t given; // the mbuf itself goes; else the burst keeps a reference too
};

struct fs_guest {
	struct rte_mbuf *m;
	uint32_t from;
};

struct fs_port;

// fs_arm is the word by which a queue's interrupts are switched, NULL: none is known.
struct fs_arm {
	uint16_t *word, on, off;
};

// fs_end is one slot's end of a port. It is in shared memory, so that the primary can put right what a killed process
// left; but only who is the slot writes it.
struct fs_end {
	struct fs_queue q;

	// What is being lent now: who comes behind a killed process reads it.
	struct {
		uint32_t busy; // 1 while mbufs are marked and put into the ring
		uint32_t to, base, n; // base: the ring's producer tail before
		struct rte_mbuf *m[FS_BURST];
	} lend __rte_cache_aligned;
	uint32_t at;        // where the process is: FS_OUTSIDE …
	uint32_t was;       // where it was when it ended
	uint32_t suspect;   // the next frame that the queue gives may be another's

	struct fs_port *port;
	uint32_t slot;
	uint32_t via;                   // who receives and sends for this slot; itself: direct
	struct rte_mempool *queue_pool; // the pool of the queue that is polled or being released
	uint32_t releasing;             // the queue is given up as soon as lent_queue is 0
	uint32_t lent, lent_queue;      // mbufs that are with others, and how many of them are queue_pool's
	uint32_t lend_max;
	uint32_t next_source;
	uint32_t hands, guests, back, relays;
	struct fs_hand hand[FS_HANDS];
	struct fs_guest guest[FS_BURST];      // foreign frames of the last burst
	struct fs_guest giveback[FS_GIVEBACK]; // foreign mbufs on their way home
	struct rte_mbuf *relay[FS_BURST];     // copies of others' frames to be sent
} __rte_cache_aligned;

// fs_port is what processes share of a port.
struct fs_port {
	struct fs_head head;
	uint32_t slots, queues;
	uint32_t descriptors; // of a queue, both ways
	int32_t primary;      // its process
	uint32_t paused;      // nobody may go inside
	uint32_t restarts;    // of the device
	struct fs_slots *all;
	struct fs_mesh *mesh;
	uint16_t owner[FS_MAX_QUEUES]; // slot + 1 of who polls the queue and uses its pool, 0: nobody
	uint8_t seen[FS_MAX_SLOTS];    // somebody was there: its rings may have words
	uint8_t up[FS_MAX_SLOTS];      // somebody is there: it may be lent to
	uint8_t suspect[FS_MAX_QUEUES]; // a process has ended in the driver's code, and the device goes on as it is
	struct rte_mempool *queue_pool[FS_MAX_QUEUES];
	struct rte_mempool *slot_pool[FS_MAX_SLOTS];
	int32_t rx_fd[FS_MAX_QUEUES]; // the primary's descriptors to wait for frames, -1: none
	struct fs_arm arm[FS_MAX_QUEUES];
	struct fs_end end[] __rte_cache_aligned;
};

// fs_wake_fds are this process's descriptors of the slots' eventfds, -1: none.
extern int fs_wake_fds[FS_MAX_SLOTS];

int fs_zone(const char *name, size_t size, int make, void **p);
int fs_zone_free(const char *name);
int fs_slots_make(uint32_t slots, uint32_t words, struct fs_slots **s);
int fs_port_make(struct fs_slots *all, uint16_t port, uint32_t queues, uint32_t descriptors, struct fs_mesh *mesh, struct fs_port **p);
int fs_head_check(const struct fs_head *h, uint32_t magic, size_t size);

struct fs_end *fs_port_end(struct fs_port *p, uint32_t slot);
void fs_slot_down(struct fs_port *p, uint32_t slot);
int fs_port_owner(struct fs_port *p, uint32_t queue);
int fs_end_open(struct fs_end *e, uint32_t via, uint32_t queue);
void fs_end_close(struct fs_end *e);
int fs_end_mode(struct fs_end *e, uint32_t via, uint32_t queue, uint32_t taken);
uint64_t fs_cross_exchange(struct fs_end *e, uint32_t taken);
uint64_t fs_cross_flush(struct fs_end *e, uint32_t taken);
uint64_t fs_end_flush(struct fs_end *e, uint32_t taken);
int fs_inject(struct fs_end *e, const void *b, uint32_t len, uint32_t to, uint32_t flags);
void fs_lend_hands(struct fs_end *e);
void fs_push_back(struct fs_end *e);
void fs_wake(struct fs_port *p, uint32_t slot);

bool fs_enter_within(struct fs_end *e, uint32_t wait_ms);
int fs_port_pause(struct fs_port *p, uint32_t wait_ms);
void fs_port_resume(struct fs_port *p);

int fs_arm_find(struct fs_port *p, uint32_t queue);
int fs_end_arm(struct fs_end *e, bool on);

#endif
