//go:build !nodpdk

// How another process than the primary asks a virtio device for interrupts. Its driver has no call for that there, but
// it is a word in the queue's ring, which the peer reads: the primary finds it, and the others write it.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_memzone.h>

#include "lend.h"

// look copies a ring as it is with interrupts on or off.
static int look(uint16_t port, uint16_t queue, int on, const struct rte_memzone *z, uint16_t *copy)
{
	int rc = on ? rte_eth_dev_rx_intr_enable(port, queue) : rte_eth_dev_rx_intr_disable(port, queue);

	memcpy(copy, z->addr, z->len);
	return rc;
}

// fs_arm_find looks for the word that the driver writes to switch a queue's interrupts: the only one that is the same
// whenever they are off, and another while they are on. It returns whether there is one.
int fs_arm_find(struct fs_port *p, uint32_t queue)
{
	struct fs_arm *arm = &p->arm[queue];
	char name[RTE_MEMZONE_NAMESIZE];
	const struct rte_memzone *z;
	uint16_t *off, *on, *again, port = p->end[0].q.port;
	uint32_t found = 0;

	arm->word = NULL;
	snprintf(name, sizeof(name), "port%u_vq%u", port, 2 * queue); // the receive queues are the even ones
	z = rte_memzone_lookup(name);
	if (z == NULL)
		return 0;
	off = malloc(3 * z->len);
	if (off == NULL)
		return 0;
	on = off + z->len / 2;
	again = on + z->len / 2;
	if (look(port, queue, 0, z, off) == 0 && look(port, queue, 1, z, on) == 0 && look(port, queue, 0, z, again) == 0)
		for (uint32_t i = 0; i < z->len / 2; i++)
			if (off[i] != on[i] && off[i] == again[i]) {
				found++;
				*arm = (struct fs_arm){(uint16_t *)z->addr + i, on[i], off[i]};
			}
	free(off);
	if (found != 1)
		arm->word = NULL;
	return found == 1;
}

static int switch_interrupt(struct fs_end *e, bool on)
{
	const struct fs_arm *arm = &e->port->arm[e->q.queue];

	if (arm->word != NULL) {
		__atomic_store_n(arm->word, on ? arm->on : arm->off, __ATOMIC_RELAXED);
		return 0;
	}
	return on ? rte_eth_dev_rx_intr_enable(e->q.port, e->q.queue) : rte_eth_dev_rx_intr_disable(e->q.port, e->q.queue);
}

// fs_end_arm switches the interrupts of the queue that an end polls. The fence is between that and the last look at the
// queue, before the sleep. During a pause it does nothing: who sleeps is woken at its end.
int fs_end_arm(struct fs_end *e, bool on)
{
	int rc = 0;

	if (enter(e)) {
		rc = switch_interrupt(e, on);
		leave(e);
	}
	rte_smp_mb();
	return rc;
}
