// The steps of an exchange: send the filled frames, give back the last burst, take fresh mbufs, receive. The functions
// stand in that order.
#ifndef FSTACK_BURST_H
#define FSTACK_BURST_H

#include <stdbool.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "exchange.h"

// Mempool caches belong to an lcore id, and DPDK keeps that id per thread. A goroutine changes threads, so the
// id is set for the time of a call. Two loops of one process that claim the same id do not share the cache: the
// second goes without.
struct fs_lcore_claim {
	bool taken;
	char pad[RTE_CACHE_LINE_SIZE - sizeof(bool)];
};
extern struct fs_lcore_claim fs_lcore_claims[RTE_MAX_LCORE];

static inline bool lcore_enter(const struct fs_queue *q)
{
	if (q->lcore >= RTE_MAX_LCORE || __atomic_exchange_n(&fs_lcore_claims[q->lcore].taken, true, __ATOMIC_ACQUIRE))
		return false;
	RTE_PER_LCORE(_lcore_id) = q->lcore;
	return true;
}

static inline void lcore_leave(const struct fs_queue *q, bool entered)
{
	if (!entered)
		return;
	RTE_PER_LCORE(_lcore_id) = LCORE_ID_ANY;
	__atomic_store_n(&fs_lcore_claims[q->lcore].taken, false, __ATOMIC_RELEASE);
}

// set_offloads turns the frame's wishes into the mbuf's; false: they contradict each other.
static inline bool set_offloads(struct rte_mbuf *m, const struct fs_frame *f)
{
	uint64_t ol = f->flags & FS_TX_IPV6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;

	if (f->l2 < RTE_ETHER_HDR_LEN || f->l3 < 20 || f->l2 + f->l3 + f->l4 > f->len)
		return false;
	if (f->flags & FS_TX_IP_CSUM)
		ol |= RTE_MBUF_F_TX_IP_CKSUM;
	if (f->flags & FS_TX_UDP_CSUM)
		ol |= RTE_MBUF_F_TX_UDP_CKSUM;
	else if (f->flags & (FS_TX_TCP_CSUM | FS_TX_TSO))
		ol |= RTE_MBUF_F_TX_TCP_CKSUM;
	if (f->flags & FS_TX_TSO) {
		if (f->mss == 0 || f->l4 < 20 || (f->flags & FS_TX_UDP_CSUM))
			return false;
		ol |= RTE_MBUF_F_TX_TCP_SEG;
		m->l4_len = f->l4;
		m->tso_segsz = f->mss;
	}
	m->ol_flags |= ol;
	m->l2_len = f->l2;
	m->l3_len = f->l3;
	return true;
}

#define FS_TX_ANY (FS_TX_IP_CSUM | FS_TX_TCP_CSUM | FS_TX_UDP_CSUM | FS_TX_TSO)

// build links the slots of one frame, tx[i] onwards, into one mbuf and moves *next behind them. It returns NULL
// if the frame cannot be sent.
static inline struct rte_mbuf *build(struct fs_queue *q, uint32_t i, uint32_t taken, uint32_t *next)
{
	struct fs_frame *f = &q->tx[i];
	struct rte_mbuf *head = f->ref, *last = head;
	uint32_t len = f->len;
	uint16_t segs = 1;
	bool fits = f->len <= f->cap;

	head->data_len = f->len;
	for (; (q->tx[i].flags & FS_MORE) && i + 1 < taken; segs++) {
		const struct fs_frame *g = &q->tx[++i];
		last->next = g->ref;
		last = g->ref;
		last->data_len = g->len;
		len += g->len;
		fits &= g->len <= g->cap;
	}
	*next = i + 1;
	last->next = NULL;
	head->nb_segs = segs;
	head->pkt_len = len;
	head->ol_flags = 0;
	if (unlikely(!fits || f->len < RTE_ETHER_HDR_LEN || (len > q->max_frame && !(f->flags & FS_TX_TSO)))) {
		q->counters.drop_tx_bad_length++;
		return NULL;
	}
	if ((f->flags & FS_TX_ANY) && unlikely(!set_offloads(head, f))) {
		q->counters.drop_tx_bad_offload++;
		return NULL;
	}
	if (unlikely(segs > 1 && !q->multi_segs)) {
		// The slots behind the first lose their mbufs here: a frame that is kept must be whole in its first.
		if (rte_pktmbuf_linearize(head) != 0) {
			q->counters.drop_tx_bad_length++;
			return NULL;
		}
		f->len = head->data_len;
		f->flags &= ~FS_MORE;
		while (i > (uint32_t)(f - q->tx))
			q->tx[i--].ref = NULL;
	}
	return head;
}

// fs_packets are the packets that taken slots make up, and where each begins.
struct fs_packets {
	uint32_t n;
	uint64_t offloads; // all that they ask for
	struct rte_mbuf *m[FS_TX_SLOTS];
	uint16_t first[FS_TX_SLOTS + 1];
};

// collect builds the packets of the first taken slots.
static inline void collect(struct fs_queue *q, uint32_t taken, struct fs_packets *p)
{
	uint32_t next;

	p->n = 0;
	p->offloads = 0;
	for (uint32_t i = 0; i < taken; i = next) {
		struct rte_mbuf *head = q->tx[i].ref, *m = build(q, i, taken, &next);
		if (unlikely(m == NULL)) {
			rte_pktmbuf_free(head);
			for (uint32_t j = i; j < next; j++)
				q->tx[j].ref = NULL;
			continue;
		}
		p->offloads |= m->ol_flags;
		p->first[p->n] = i;
		p->m[p->n++] = m;
	}
	p->first[p->n] = taken;
}

// refuse drops packet i, which will never be sent.
static inline void refuse(struct fs_queue *q, struct fs_packets *p, uint32_t i)
{
	rte_pktmbuf_free(p->m[i]);
	for (uint32_t j = p->first[i]; j < p->first[i + 1]; j++)
		q->tx[j].ref = NULL;
}

// keep moves the slots of the packets behind the first done to the front, and returns how many there are.
static inline uint32_t keep(struct fs_queue *q, const struct fs_packets *p, uint32_t done)
{
	uint32_t kept = 0;

	for (uint32_t i = p->first[done]; i < p->first[p->n]; i++)
		if (q->tx[i].ref != NULL)
			q->tx[kept++] = q->tx[i];
	return kept;
}

// send_taken sends the first taken slots and returns how many it kept, moved to the front.
static inline uint32_t send_taken(struct fs_queue *q, uint32_t taken)
{
	struct fs_packets p;
	uint32_t done = 0;

	collect(q, taken, &p);
	while (done < p.n) {
		uint32_t want = p.n - done, good = want, sent;
		// rte_eth_tx_prepare may be repeated on a frame that was not sent: it computes the same again.
		if (p.offloads)
			good = rte_eth_tx_prepare(q->port, q->queue, p.m + done, want);
		sent = good ? rte_eth_tx_burst(q->port, q->queue, p.m + done, good) : 0;
		done += sent;
		if (sent < good) {
			q->counters.tx_retries++;
			break;
		}
		if (good < want) {
			q->counters.drop_tx_refused++;
			refuse(q, &p, done++);
		}
	}
	return keep(q, &p, done);
}

// own has a cache line at hand to be written. The compiler has no such prefetch for the oldest x86 that DPDK supports;
// a CPU that does not know it takes it for a no-op.
static inline void own(const void *p)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

static inline void fill(struct fs_frame *f, struct rte_mbuf *m)
{
	uint32_t len = f->len;

	f->data = rte_pktmbuf_mtod(m, void *);
	f->ref = m;
	f->len = 0;
	f->cap = rte_pktmbuf_tailroom(m);
	f->flags = 0;
	// The peer's CPU may have read these lines last: own them again by the time that the next frame is written, which
	// is about as long as the last one in this slot.
	own(f->data);
	for (uint32_t at = RTE_CACHE_LINE_SIZE; at < len; at += RTE_CACHE_LINE_SIZE)
		own((char *)f->data + at);
}

// refill gives fresh mbufs to the slots from kept to taken and to those that had none. If there are too few, the
// empty slots end up last.
static inline void refill(struct fs_queue *q, uint32_t kept, uint32_t taken)
{
	struct rte_mbuf *m[FS_TX_SLOTS];
	uint32_t have = q->have, need = taken - kept + FS_TX_SLOTS - have, got = need, g = 0, i = kept;

	if (need == 0)
		return;
	if (unlikely(rte_pktmbuf_alloc_bulk(q->pool, m, need) != 0)) {
		for (got = 0; got < need && (m[got] = rte_pktmbuf_alloc(q->pool)) != NULL;)
			got++;
		q->counters.no_mbuf_for_tx += need - got;
	}
	while (i < taken && g < got)
		fill(&q->tx[i++], m[g++]);
	if (unlikely(i < taken)) {
		memmove(&q->tx[i], &q->tx[taken], (have - taken) * sizeof(q->tx[0]));
		have -= taken - i;
	}
	while (g < got)
		fill(&q->tx[have++], m[g++]);
	q->have = have;
}

static inline uint16_t verdict(uint64_t ol)
{
	// NONE says that the sum in the packet is not right (a local sender left it out) but the data is good.
	static const uint8_t ip[4] = {0, FS_RX_IP_BAD, FS_RX_IP_GOOD, FS_RX_IP_GOOD};
	static const uint8_t l4[4] = {0, FS_RX_L4_BAD, FS_RX_L4_GOOD, FS_RX_L4_GOOD};
	uint16_t flags = ip[(ol & RTE_MBUF_F_RX_IP_CKSUM_BAD ? 1 : 0) | (ol & RTE_MBUF_F_RX_IP_CKSUM_GOOD ? 2 : 0)] |
			 l4[(ol & RTE_MBUF_F_RX_L4_CKSUM_BAD ? 1 : 0) | (ol & RTE_MBUF_F_RX_L4_CKSUM_GOOD ? 2 : 0)];

	return ol & RTE_MBUF_F_RX_RSS_HASH ? flags | FS_RX_HASH : flags;
}

static inline void free_burst(struct fs_queue *q)
{
	if (q->held > 0)
		rte_pktmbuf_free_bulk(q->burst, q->held);
	q->held = 0;
}

// spread puts the pieces of a packet into the rx slots from slots on, and returns where the next begins.
static inline uint32_t spread(struct fs_queue *q, struct rte_mbuf *m, uint16_t flags, uint32_t slots)
{
	uint32_t hash = m->hash.rss;

	for (; m != NULL; m = m->next) {
		struct fs_frame *f = &q->rx[slots++];
		f->data = rte_pktmbuf_mtod(m, void *);
		f->ref = m;
		f->len = m->data_len;
		f->cap = m->data_len;
		f->flags = m->next != NULL ? flags | FS_MORE : flags;
		f->hash = hash;
	}
	return slots;
}

// prefetch has a packet's headers, and the beginning of its payload, at hand when they are read.
static inline void prefetch(const struct rte_mbuf *m)
{
	rte_prefetch0(rte_pktmbuf_mtod(m, void *));
	rte_prefetch0(rte_pktmbuf_mtod_offset(m, void *, RTE_CACHE_LINE_SIZE));
}

// receive takes a burst and spreads it over the rx slots, a piece in each.
static inline uint32_t receive(struct fs_queue *q)
{
	uint32_t n = rte_eth_rx_burst(q->port, q->queue, q->burst, FS_BURST), slots = 0;

	q->held = n;
	for (uint32_t i = 0; i < n && i < 4; i++)
		prefetch(q->burst[i]);
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = q->burst[i];

		if (i + 4 < n)
			prefetch(q->burst[i + 4]);
		if (unlikely(slots + m->nb_segs > FS_RX_SLOTS)) {
			q->counters.drop_rx_too_many_pieces++;
			continue;
		}
		slots = spread(q, m, verdict(m->ol_flags), slots);
	}
	return slots;
}

#endif
