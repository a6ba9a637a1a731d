//go:build !nodpdk

package dpdk

/*
#include <stdlib.h>
#include <rte_ethdev.h>
#include "eal.h"
#include "exchange.h"
#include "cross.h"

static int fs_reta_get(uint16_t port, uint16_t *queue, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 *r = calloc((size + 63) / 64, sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < size; i++)
		r[i / 64].mask |= 1ull << i % 64;
	rc = rte_eth_dev_rss_reta_query(port, r, size);
	for (uint16_t i = 0; i < size && rc == 0; i++)
		queue[i] = r[i / 64].reta[i % 64];
	free(r);
	return rc;
}

static int fs_reta_set(uint16_t port, const uint16_t *queue, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 *r = calloc((size + 63) / 64, sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < size; i++) {
		r[i / 64].mask |= 1ull << i % 64;
		r[i / 64].reta[i % 64] = queue[i];
	}
	rc = rte_eth_dev_rss_reta_update(port, r, size);
	free(r);
	return rc;
}

static int fs_rss_get(uint16_t port, uint8_t *key, uint8_t len, uint64_t *types)
{
	struct rte_eth_rss_conf c = {.rss_key = key, .rss_key_len = len};
	int rc = rte_eth_dev_rss_hash_conf_get(port, &c);

	*types = c.rss_hf;
	return rc;
}
*/
import "C"

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// ownRSS are drivers whose RSS is something else than a Toeplitz hash over a table that we set.
var ownRSS = map[string]string{
	"net_tap": "the kernel chooses the queue of a flow by what was sent last",
}

// RSS reads from the device how it spreads received packets over its queues; it is for the primary. A device that does
// not, or does not tell all, is no error: Trusted is false then.
func (p *Port) RSS() (RSS, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.usable(); err != nil {
		return RSS{}, err
	}
	var r RSS
	switch {
	case !p.primary:
		return RSS{}, &Error{Op: "rte_eth_dev_rss_hash_conf_get", Port: p.id, Err: syscall.EPERM, Log: "the primary process reads it"}
	case p.config.Queues < 2:
		r.Why = "one queue"
		return r, nil
	case ownRSS[p.driver] != "":
		r.Why = ownRSS[p.driver]
		return r, nil
	case p.setup.rss_hash == 0:
		r.Why = "the device has no RSS"
		return r, nil
	}
	var types C.uint64_t
	key := make([]byte, max(int(p.info.hash_key_size), 40))
	if err := p.call("rte_eth_dev_rss_hash_conf_get", func() C.int {
		return C.fs_rss_get(p.cid(), (*C.uint8_t)(&key[0]), C.uint8_t(len(key)), &types)
	}); err != nil {
		r.Why = err.Error()
		return r, nil
	}
	if int(p.info.hash_key_size) != 0 {
		key = key[:p.info.hash_key_size]
	}
	r.Key = key
	r.TCP4 = types&C.RTE_ETH_RSS_NONFRAG_IPV4_TCP != 0
	r.UDP4 = types&C.RTE_ETH_RSS_NONFRAG_IPV4_UDP != 0
	r.TCP6 = types&C.RTE_ETH_RSS_NONFRAG_IPV6_TCP != 0
	r.UDP6 = types&C.RTE_ETH_RSS_NONFRAG_IPV6_UDP != 0
	if p.info.reta_size > 0 {
		r.RETA = make([]uint16, p.info.reta_size)
		if err := p.call("rte_eth_dev_rss_reta_query", func() C.int {
			return C.fs_reta_get(p.cid(), (*C.uint16_t)(&r.RETA[0]), C.uint16_t(len(r.RETA)))
		}); err != nil {
			r.RETA, r.Why = nil, err.Error()
			return r, nil
		}
	}
	r.Trusted, r.Why = r.verdict(p.config.Queues)
	return r, nil
}

// verdict tells whether what the device says makes a hash that can be computed here.
func (r *RSS) verdict(queues int) (bool, string) {
	switch {
	case len(r.RETA) == 0:
		return false, "the device tells no redirection table"
	case !slices.ContainsFunc(r.Key, func(b byte) bool { return b != 0 }):
		return false, "the device tells no key"
	case len(r.Key) < 40: // that of IPv6 with ports: 36 bytes of input, and 32 bits more
		return false, fmt.Sprintf("the key has %d bytes only", len(r.Key))
	case !r.TCP4 || !r.TCP6:
		return false, "the device does not hash the ports of TCP over IPv4 and IPv6"
	}
	for _, q := range r.RETA {
		if int(q) >= queues {
			return false, fmt.Sprintf("the redirection table names queue %d of %d", q, queues)
		}
	}
	return true, ""
}

// SetRETA sets the queue of each bucket; there must be as many as RSS tells. It is for the primary.
func (p *Port) SetRETA(queue []uint16) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	if len(queue) == 0 || len(queue) != int(p.info.reta_size) {
		return p.refuse("RETA", "%d buckets given, but the device has %d", len(queue), p.info.reta_size)
	}
	if i := slices.IndexFunc(queue, func(q uint16) bool { return int(q) >= p.config.Queues }); i >= 0 {
		return p.refuse("RETA", "bucket %d to queue %d, but the port has 0 to %d", i, queue[i], p.config.Queues-1)
	}
	return p.call("rte_eth_dev_rss_reta_update", func() C.int {
		return C.fs_reta_set(p.cid(), (*C.uint16_t)(&queue[0]), C.uint16_t(len(queue)))
	})
}

// symmetricKey is one under which the hash of a flow does not change when its ends are exchanged: its bits repeat every
// 16, as the fields that are exchanged have lengths that are multiples of 16.
func symmetricKey(n int) []byte {
	return bytes.Repeat([]byte{0x6d, 0x5a}, (n+1)/2)[:n]
}

// secondaries are the virtual drivers that processes other than their primary can poll, with what the others lack.
var secondaries = map[string]string{
	"net_tap":         "",
	"net_virtio_user": "",
	"net_ring":        "",
	"net_null":        "",
	"net_vhost":       "its guests are connected to one process",
	"net_af_packet":   "its sockets' buffers are mapped in one process",
	"net_af_xdp":      "its sockets' buffers are mapped in one process",
	"net_pcap":        "its files are open in one process",
}

// SecondaryPolls tells whether secondary processes can poll the port's queues and, if not, why. Of hardware it is said
// that they can, as DPDK asks of its drivers.
func (p *Port) SecondaryPolls() (bool, string) {
	why, known := secondaries[p.driver]
	switch {
	case known:
		return why == "", why
	case strings.HasPrefix(p.driver, "net_") && p.onVdev():
		return false, "nothing is known of the virtual device's driver " + p.driver
	}
	return true, ""
}

// onVdev tells whether the port is a virtual device's, whoever plugged it in.
func (p *Port) onVdev() bool {
	return C.fs_on_vdev(p.cid()) != 0
}
