//go:build !nodpdk

// The hot path of a port that several processes share: an exchange that also lends, takes and gives back mbufs.
// The functions stand in that order.

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lend.h"

int fs_wake_fds[FS_MAX_SLOTS] = {[0 ... FS_MAX_SLOTS - 1] = -1};

// fs_wake wakes a slot that sleeps. The fence is between the word that went into the ring and the look at asleep; the
// sleeper has one between its asleep and its last look at the rings.
void fs_wake(struct fs_port *p, uint32_t slot)
{
	static const uint64_t one = 1;

	rte_smp_mb();
	if (unlikely(__atomic_load_n(&p->all->line[slot].asleep, __ATOMIC_RELAXED)) && fs_wake_fds[slot] >= 0)
		if (write(fs_wake_fds[slot], &one, sizeof(one)) < 0) // EAGAIN: it is signalled already
			errno = 0;
}

// drop_hand takes back what could not be lent.
static void drop_hand(struct rte_mbuf **m, uint32_t n, uint64_t *counter)
{
	*counter += n;
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free(m[i]);
}

// to_lend is the mbuf to lend for a frame: a copy, if it cannot be lent because it is already, or is not ours.
static struct rte_mbuf *to_lend(struct fs_end *e, const struct fs_hand *h, const struct rte_mbuf *last)
{
	struct rte_mbuf *m = h->m;

	if (h->given)
		return m;
	if (unlikely(m == last || fs_lent(e->port->all, m)->to != 0)) {
		m = rte_pktmbuf_copy(m, e->q.pool, 0, UINT32_MAX);
		if (m == NULL)
			e->q.counters.drop_hand_no_mbuf++;
		else // copied too
			fs_lent(e->port->all, m)->to = 0;
		return m;
	}
	rte_pktmbuf_refcnt_update(m, 1); // the burst's own goes at its end
	return m;
}

// lend_some lends up to a burst of those frames, from hand i on, that go to the slot of hand i. It returns how many there
// were.
static uint32_t lend_some(struct fs_end *e, uint32_t i)
{
	struct fs_counters *c = &e->q.counters;
	struct rte_mbuf *m[FS_BURST], *last = NULL;
	uint16_t flags[FS_BURST];
	uint32_t n = 0, had = 0, to = e->hand[i].to;
	int done;

	for (; i < e->hands && had < FS_BURST; i++) {
		struct fs_hand *h = &e->hand[i];
		if (h->m == NULL || h->to != to)
			continue;
		had++;
		flags[n] = h->flags;
		m[n] = to_lend(e, h, last);
		n += m[n] != NULL;
		last = h->m;
		h->m = NULL;
	}
	if (n == 0)
		return had;
	if (unlikely(e->lent + n > e->lend_max)) {
		drop_hand(m, n, &c->drop_hand_lent_too_many);
		return had;
	}
	done = lend(e, to, m, flags, n, FS_WORD_FRAME);
	if (unlikely(done < 0)) {
		drop_hand(m, n, &c->drop_hand_nobody);
		return had;
	}
	c->handed_out += done;
	drop_hand(m + done, n - done, &c->drop_hand_ring_full);
	return had;
}

// fs_lend_hands lends what fs_end.hand holds: to each slot in order, in bursts.
void fs_lend_hands(struct fs_end *e)
{
	for (uint32_t i = 0; i < e->hands; i++)
		while (lend_some(e, i) == FS_BURST)
			;
	e->hands = 0;
}

// post_taken is send_taken for a slot whose frames another one sends.
static uint32_t post_taken(struct fs_end *e, uint32_t taken)
{
	struct fs_queue *q = &e->q;
	struct fs_packets p;
	uint32_t done = 0;

	collect(q, taken, &p);
	while (done < p.n) {
		uint32_t n = RTE_MIN(p.n - done, (uint32_t)FS_BURST);
		int took = lend(e, e->via, p.m + done, NULL, n, FS_WORD_SEND);

		if (unlikely(took < 0)) {
			q->counters.drop_tx_nobody_sends += p.n - done;
			while (done < p.n)
				refuse(q, &p, done++);
			break;
		}
		done += took;
		q->counters.sent_by_other += took;
		if ((uint32_t)took < n) {
			q->counters.tx_retries++;
			break;
		}
	}
	return keep(q, &p, done);
}

static uint32_t send_or_post(struct fs_end *e, uint32_t taken)
{
	uint32_t kept;

	if (taken == 0)
		return 0;
	if (e->via != e->slot)
		return post_taken(e, taken);
	into_driver(e);
	kept = send_taken(&e->q, taken);
	out_of_driver(e);
	return kept;
}

// fs_push_back puts foreign mbufs into the rings that lead back to their owners. What finds no room waits: it is never lost.
void fs_push_back(struct fs_end *e)
{
	uint32_t left = 0, i = 0;

	while (i < e->back) {
		uint32_t to = e->giveback[i].from, n = 0, took;
		struct rte_ring *r = fs_mesh_ring(e->port->mesh, e->slot, to);
		uintptr_t word[FS_BURST];

		while (n < FS_BURST && i + n < e->back && e->giveback[i + n].from == to) {
			word[n] = (uintptr_t)e->giveback[i + n].m | FS_WORD_RETURN;
			n++;
		}
		took = rte_ring_sp_enqueue_burst(r, (void **)word, n, NULL);
		if (took > 0)
			fs_wake(e->port, to);
		if (unlikely(took < n))
			e->q.counters.returns_waited += n - took;
		for (uint32_t j = i + took; j < i + n; j++)
			e->giveback[left++] = e->giveback[j];
		i += n;
	}
	e->back = left;
}

// give_back ends the last burst's hold of foreign frames.
static inline void give_back(struct fs_end *e)
{
	if (e->guests > 0) {
		memcpy(e->giveback + e->back, e->guest, e->guests * sizeof(e->guest[0])); // take left room for them
		e->back += e->guests;
		e->guests = 0;
	}
	if (e->back > 0)
		fs_push_back(e);
}

// send_relays sends the copies of other slots' frames. The device gets one chance: nobody waits for another's frames.
static void send_relays(struct fs_end *e)
{
	struct fs_queue *q = &e->q;
	uint32_t n = e->relays, good, sent;

	if (n == 0)
		return;
	e->relays = 0;
	into_driver(e);
	good = rte_eth_tx_prepare(q->port, q->queue, e->relay, n);
	sent = good ? rte_eth_tx_burst(q->port, q->queue, e->relay, good) : 0;
	out_of_driver(e);
	q->counters.sent_for_other += sent;
	drop_hand(e->relay + sent, n - sent, &q->counters.drop_sent_for_other);
}

// relay copies a frame that a slot wants sent: the driver will free the mbuf, so it must be ours.
static inline void relay(struct fs_end *e, struct rte_mbuf *m)
{
	struct rte_mbuf *c = e->via == e->slot ? rte_pktmbuf_copy(m, e->q.pool, 0, UINT32_MAX) : NULL;

	if (unlikely(c == NULL)) {
		e->q.counters.drop_sent_for_other++;
		return;
	}
	fs_lent(e->port->all, c)->to = 0; // copied too
	e->relay[e->relays++] = c;
	if (e->relays == FS_BURST)
		send_relays(e);
}

// take_from takes what a slot has put into our ring, until a burst is full or the ring empty.
static uint32_t take_from(struct fs_end *e, uint32_t from, struct rte_ring *r, uint32_t slots)
{
	for (int rounds = 0; rounds < 32; rounds++) {
		uintptr_t word[FS_BURST];
		struct rte_mbuf *ours[FS_BURST];
		uint32_t used, n_ours = 0, n = rte_ring_dequeue_burst_start(r, (void **)word, FS_BURST, NULL);

		if (n == 0)
			break;
		for (used = 0; used < n; used++)
			rte_prefetch0((void *)(word[used] & ~(uintptr_t)FS_WORD_BITS));
		for (used = 0; used < n; used++) {
			struct rte_mbuf *m = (struct rte_mbuf *)(word[used] & ~(uintptr_t)FS_WORD_BITS);
			uint32_t what = word[used] & FS_WORD_BITS;

			if (what == FS_WORD_RETURN) {
				if (likely(take_back(e, m, from)))
					ours[n_ours++] = m;
				continue;
			}
			if (unlikely(e->back + e->guests == FS_GIVEBACK))
				break; // whose mbufs wait to go home, takes no more
			if (what == FS_WORD_SEND) {
				relay(e, m);
				e->giveback[e->back++] = (struct fs_guest){m, from};
				continue;
			}
			if (unlikely(what != FS_WORD_FRAME)) {
				e->q.counters.drop_ring_word++;
				continue;
			}
			if (e->guests == FS_BURST || slots + m->nb_segs > FS_RX_SLOTS)
				break;
			e->guest[e->guests++] = (struct fs_guest){m, from};
			rte_prefetch0(rte_pktmbuf_mtod(m, void *));
			slots = spread(&e->q, m, fs_lent(e->port->all, m)->flags, slots);
		}
		rte_ring_dequeue_finish(r, used);
		if (n_ours > 0)
			rte_pktmbuf_free_bulk(ours, n_ours);
		if (used < n)
			break;
	}
	return slots;
}

// take looks at the rings of all slots, each turn another one first.
static inline uint32_t take(struct fs_end *e, uint32_t slots)
{
	const struct fs_port *p = e->port;
	uint32_t from = e->next_source;

	for (uint32_t i = 0; i < p->slots; i++) {
		struct rte_ring *r;

		if (++from >= p->slots)
			from = 0;
		if (!p->seen[from] || from == e->slot)
			continue;
		r = fs_mesh_ring(p->mesh, from, e->slot);
		if (!fs_ring_empty(r))
			slots = take_from(e, from, r, slots);
	}
	e->next_source = e->next_source + 1 < p->slots ? e->next_source + 1 : 0;
	e->q.counters.handed_in += e->guests;
	if (e->relays > 0)
		send_relays(e);
	if (e->back > 0) // the loop may sleep now
		fs_push_back(e);
	return slots;
}

// release gives the queue up once nothing of its pool is with anybody else.
static void release(struct fs_end *e)
{
	struct rte_mempool *pool = e->queue_pool;

	if (e->lent_queue > 0)
		return;
	rte_mempool_cache_flush(rte_mempool_default_cache(pool, e->q.lcore), pool);
	e->queue_pool = NULL;
	e->releasing = 0;
	__atomic_store_n(&e->port->owner[e->q.queue], 0, __ATOMIC_RELEASE);
}

// drop_first drops the first frame behind the end of another process in the driver's code: net_tap may tell the length of
// one and give the bytes of another. What comes behind it is right.
static uint32_t drop_first(struct fs_end *e)
{
	struct rte_mbuf *m;

	if (rte_eth_rx_burst(e->q.port, e->q.queue, &m, 1) == 1) {
		rte_pktmbuf_free(m);
		e->suspect = e->port->suspect[e->q.queue] = 0;
	}
	return 0;
}

uint64_t fs_cross_exchange(struct fs_end *e, uint32_t taken)
{
	struct fs_queue *q = &e->q;
	bool entered;
	uint32_t kept, rx = 0;

	if (unlikely(!enter(e)))
		return FS_RESULT(taken, q->have, 0);
	entered = lcore_enter(q);
	if (e->hands > 0)
		fs_lend_hands(e);
	kept = send_or_post(e, taken);
	free_burst(q);
	give_back(e);
	refill(q, kept, taken);
	if (e->via == e->slot) {
		into_driver(e);
		rx = likely(!e->suspect) ? receive(q) : drop_first(e);
		out_of_driver(e);
	}
	rx = take(e, rx);
	if (unlikely(e->releasing))
		release(e);
	lcore_leave(q, entered);
	leave(e);
	return FS_RESULT(kept, q->have, rx);
}

// fs_end_flush is fs_cross_flush for who is inside.
uint64_t fs_end_flush(struct fs_end *e, uint32_t taken)
{
	struct fs_queue *q = &e->q;
	bool entered = lcore_enter(q);
	uint32_t kept;

	if (e->hands > 0)
		fs_lend_hands(e);
	kept = send_or_post(e, taken);
	refill(q, kept, taken);
	lcore_leave(q, entered);
	return FS_RESULT(kept, q->have, 0);
}

uint64_t fs_cross_flush(struct fs_end *e, uint32_t taken)
{
	uint64_t result = FS_RESULT(taken, e->q.have, 0);

	if (likely(enter(e))) {
		result = fs_end_flush(e, taken);
		leave(e);
	}
	return result;
}

// fs_inject copies bytes into an mbuf of ours that is then handed over: 0, -ENOMEM, -EBUSY. There must be room in hand.
int fs_inject(struct fs_end *e, const void *b, uint32_t len, uint32_t to, uint32_t flags)
{
	struct fs_queue *q = &e->q;
	struct rte_mbuf *head = NULL, *last = NULL;
	bool entered;
	int rc = 0;

	if (unlikely(!enter(e))) {
		q->counters.drop_hand_paused++;
		return -EBUSY;
	}
	entered = lcore_enter(q);
	do {
		struct rte_mbuf *m = rte_pktmbuf_alloc(q->pool);
		uint32_t n;

		if (m == NULL) {
			rte_pktmbuf_free(head);
			q->counters.drop_hand_no_mbuf++;
			rc = -ENOMEM;
			goto out;
		}
		n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_append(m, n), b, n);
		b = (const char *)b + n;
		len -= n;
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += n;
		}
		last = m;
	} while (len > 0);
	head->hash.rss = 0;
	e->hand[e->hands++] = (struct fs_hand){head, to, flags, 1};
out:
	lcore_leave(q, entered);
	leave(e);
	return rc;
}
