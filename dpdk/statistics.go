//go:build !nodpdk

package dpdk

/*
#include <stdlib.h>
#include <rte_ethdev.h>
#include "eal.h"
*/
import "C"

// Stats reads the device's basic statistics.
func (p *Port) Stats() (Stats, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.usable(); err != nil {
		return Stats{}, err
	}
	var s C.struct_rte_eth_stats
	if err := p.call("rte_eth_stats_get", func() C.int { return C.rte_eth_stats_get(p.cid(), &s) }); err != nil {
		return Stats{}, err
	}
	return Stats{
		RxPackets: uint64(s.ipackets), TxPackets: uint64(s.opackets), RxBytes: uint64(s.ibytes), TxBytes: uint64(s.obytes),
		RxMissed: uint64(s.imissed), RxErrors: uint64(s.ierrors), TxErrors: uint64(s.oerrors), RxNoMbuf: uint64(s.rx_nombuf),
	}, nil
}

// XStats reads the device's extended statistics.
func (p *Port) XStats() ([]XStat, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.usable(); err != nil {
		return nil, err
	}
	var n C.int
	if err := p.call("rte_eth_xstats_get_names", func() C.int {
		n = C.rte_eth_xstats_get_names(p.cid(), nil, 0)
		return n
	}); err != nil || n == 0 {
		return nil, err
	}
	names := make([]C.struct_rte_eth_xstat_name, n)
	values := make([]C.struct_rte_eth_xstat, n)
	if err := p.call("rte_eth_xstats_get_names", func() C.int {
		return C.rte_eth_xstats_get_names(p.cid(), &names[0], C.uint(n))
	}); err != nil {
		return nil, err
	}
	var got C.int
	if err := p.call("rte_eth_xstats_get", func() C.int {
		got = C.rte_eth_xstats_get(p.cid(), &values[0], C.uint(n))
		return got
	}); err != nil {
		return nil, err
	}
	stats := make([]XStat, 0, n)
	for _, v := range values[:min(got, n)] {
		if int(v.id) < len(names) {
			stats = append(stats, XStat{C.GoString(&names[v.id].name[0]), uint64(v.value)})
		}
	}
	return stats, nil
}
