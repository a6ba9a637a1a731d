//go:build !nodpdk

package dpdk

/*
#include <rte_ethdev.h>
#include "eal.h"
#include "exchange.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"github.com/fstack-go/fstack/stack"
)

// What each flag of stack asks of a device.
const (
	rxIP  = C.RTE_ETH_RX_OFFLOAD_IPV4_CKSUM
	rxL4  = C.RTE_ETH_RX_OFFLOAD_TCP_CKSUM | C.RTE_ETH_RX_OFFLOAD_UDP_CKSUM
	rxRSS = C.RTE_ETH_RX_OFFLOAD_RSS_HASH
	rxLRO = C.RTE_ETH_RX_OFFLOAD_TCP_LRO
	txIP  = C.RTE_ETH_TX_OFFLOAD_IPV4_CKSUM
	txTCP = C.RTE_ETH_TX_OFFLOAD_TCP_CKSUM
	txUDP = C.RTE_ETH_TX_OFFLOAD_UDP_CKSUM
	txTSO = C.RTE_ETH_TX_OFFLOAD_TCP_TSO
	txSeg = C.RTE_ETH_TX_OFFLOAD_MULTI_SEGS
)

// frameHeader is what a frame has around the IP packet: the Ethernet header and one VLAN tag.
const frameHeader = 18

// The exchange writes the flags of stack.Frame in C: they are the same there and here.
const (
	_ = uint(C.FS_RX_IP_GOOD-stack.RxIPCsumGood) + uint(stack.RxIPCsumGood-C.FS_RX_IP_GOOD)
	_ = uint(C.FS_RX_IP_BAD-stack.RxIPCsumBad) + uint(stack.RxIPCsumBad-C.FS_RX_IP_BAD)
	_ = uint(C.FS_RX_L4_GOOD-stack.RxL4CsumGood) + uint(stack.RxL4CsumGood-C.FS_RX_L4_GOOD)
	_ = uint(C.FS_RX_L4_BAD-stack.RxL4CsumBad) + uint(stack.RxL4CsumBad-C.FS_RX_L4_BAD)
	_ = uint(C.FS_RX_HASH-stack.RxHash) + uint(stack.RxHash-C.FS_RX_HASH)
	_ = uint(C.FS_TX_IP_CSUM-stack.TxIPCsum) + uint(stack.TxIPCsum-C.FS_TX_IP_CSUM)
	_ = uint(C.FS_TX_TCP_CSUM-stack.TxTCPCsum) + uint(stack.TxTCPCsum-C.FS_TX_TCP_CSUM)
	_ = uint(C.FS_TX_UDP_CSUM-stack.TxUDPCsum) + uint(stack.TxUDPCsum-C.FS_TX_UDP_CSUM)
	_ = uint(C.FS_TX_TSO-stack.TxTSO) + uint(stack.TxTSO-C.FS_TX_TSO)
	_ = uint(C.FS_TX_IPV6-stack.TxIPv6) + uint(stack.TxIPv6-C.FS_TX_IPV6)
	_ = uint(C.FS_MORE-stack.More) + uint(stack.More-C.FS_MORE)
	_ = uint(C.sizeof_struct_fs_frame-unsafe.Sizeof(stack.Frame{})) + uint(unsafe.Sizeof(stack.Frame{})-C.sizeof_struct_fs_frame)
	_ = uint(C.sizeof_struct_fs_counters-unsafe.Sizeof(QueueCounters{})) + uint(unsafe.Sizeof(QueueCounters{})-C.sizeof_struct_fs_counters)
)

// plan fits the wanted configuration to the device: what it lacks is left out if it only makes things faster, and is
// an error if it was asked for by number.
func (p *Port) plan() error {
	c, info := &p.config, &p.info
	if c.Queues == 0 {
		c.Queues = 1
	}
	most := int(min(info.max_rx_queues, info.max_tx_queues))
	if c.Mesh != nil && p.driver == driverTAP {
		// Its primary passes the queues' descriptors to a secondary in one message, in which eight fit: two for a queue.
		most = min(most, 4)
	}
	if c.Queues < 0 || c.Queues > most {
		return p.refuse("queues", "%d wanted, but the device has 1 to %d", c.Queues, most)
	}
	if c.Lcores != nil && len(c.Lcores) < c.Queues {
		return p.refuse("queues", "%d wanted, but there are lcores for %d", c.Queues, len(c.Lcores))
	}
	if err := p.planMTU(); err != nil {
		return err
	}
	rxd, txd, err := p.planDescriptors()
	if err != nil {
		return err
	}
	rx, tx := C.uint64_t(0), C.uint64_t(txSeg)
	if !c.NoChecksum {
		rx |= rxIP | rxL4
		tx |= txIP | txTCP | txUDP
	}
	if c.TSO {
		tx |= txTSO
	}
	if c.LRO {
		rx |= rxLRO
	}
	var rss C.uint64_t
	if c.Queues > 1 {
		rss = info.flow_type_rss_offloads & (C.RTE_ETH_RSS_IP | C.RTE_ETH_RSS_TCP | C.RTE_ETH_RSS_UDP)
		if rss != 0 {
			rx |= rxRSS
		}
	}
	rx &= info.rx_offload_capa &^ broken[p.driver].rx
	tx &= info.tx_offload_capa &^ broken[p.driver].tx
	if tx&txTSO != 0 && tx&txTCP == 0 {
		tx &^= txTSO
	}
	p.setup = C.struct_fs_port_setup{
		port: p.cid(), queues: C.uint16_t(c.Queues), rx_desc: C.uint16_t(rxd), tx_desc: C.uint16_t(txd), mtu: C.uint16_t(c.MTU),
		rx_interrupts: 1, rx_offloads: rx, tx_offloads: tx, rss_hash: rss,
	}
	if err := p.planRSSKey(); err != nil {
		return err
	}
	p.offers = offered(uint64(rx), uint64(tx))
	return nil
}

func (p *Port) planMTU() error {
	c, info := &p.config, &p.info
	if c.MTU == 0 {
		var mtu C.uint16_t
		if err := p.call("rte_eth_dev_get_mtu", func() C.int { return C.rte_eth_dev_get_mtu(p.cid(), &mtu) }); err != nil {
			return err
		}
		c.MTU = min(int(mtu), maxMTU)
	}
	least, most := max(int(info.min_mtu), 68), min(int(info.max_mtu), maxMTU) // RFC 791: 68 is the least an IPv4 link has
	if info.max_rx_pktlen > 0 {                                               // as rte_eth_dev_configure counts
		overhead := 18
		if info.max_mtu != 0xffff && info.max_rx_pktlen > C.uint32_t(info.max_mtu) {
			overhead = int(info.max_rx_pktlen) - int(info.max_mtu)
		}
		most = min(most, int(info.max_rx_pktlen)-overhead)
	}
	if c.MTU < least || c.MTU > most {
		return p.refuse("MTU", "%d wanted, but the device takes %d to %d", c.MTU, least, most)
	}
	return nil
}

func (p *Port) planDescriptors() (rx, tx C.uint16_t, err error) {
	c := &p.config
	const most = 1 << 15
	if c.RxDesc < 0 || c.RxDesc > most || c.TxDesc < 0 || c.TxDesc > most {
		return 0, 0, p.refuse("descriptors", "%d and %d wanted, must be 1 to %d, or 0 for 1024", c.RxDesc, c.TxDesc, most)
	}
	rx, tx = 1024, 1024
	if c.RxDesc > 0 {
		rx = C.uint16_t(c.RxDesc)
	}
	if c.TxDesc > 0 {
		tx = C.uint16_t(c.TxDesc)
	}
	err = p.call("rte_eth_dev_adjust_nb_rx_tx_desc", func() C.int {
		return C.rte_eth_dev_adjust_nb_rx_tx_desc(p.cid(), &rx, &tx)
	})
	c.RxDesc, c.TxDesc = int(rx), int(tx)
	return rx, tx, err
}

func (p *Port) planRSSKey() error {
	key := p.config.RSSKey
	if key == nil && p.config.SymmetricRSS {
		key = symmetricKey(max(int(p.info.hash_key_size), 40))
	}
	if key == nil || p.setup.rss_hash == 0 {
		return nil
	}
	if want := int(p.info.hash_key_size); want != 0 && len(key) != want || len(key) > 255 {
		return p.refuse("RSS key", "%d bytes given, but the device takes %d", len(key), want)
	}
	p.setup.rss_key, p.setup.rss_key_len = (*C.uint8_t)(C.CBytes(key)), C.uint8_t(len(key))
	return nil
}

func (p *Port) refuse(what, format string, args ...any) error {
	return &Error{Op: what, Port: p.id, Err: syscall.EINVAL, Log: fmt.Sprintf(format, args...) + " (" + strings.TrimSpace(p.name+" "+p.driver) + ")"}
}

// offered translates ethdev's offloads in use into flags of frames.
func offered(rx, tx uint64) (f stack.FrameFlags) {
	for _, t := range []struct {
		have, need uint64
		flags      stack.FrameFlags
	}{
		{rx, rxIP, stack.RxIPCsumGood | stack.RxIPCsumBad},
		{rx, rxL4, stack.RxL4CsumGood | stack.RxL4CsumBad},
		{rx, rxRSS, stack.RxHash},
		{tx, txIP, stack.TxIPCsum},
		{tx, txTCP, stack.TxTCPCsum | stack.TxIPv6}, // over either, which TxIPv6 tells
		{tx, txUDP, stack.TxUDPCsum | stack.TxIPv6},
		{tx, txTSO, stack.TxTSO},
	} {
		if t.have&t.need == t.need {
			f |= t.flags
		}
	}
	return f
}

// broken are offloads that drivers of DPDK 22.11 announce and do not do right, by what the tests of this package see.
var broken = map[string]struct{ rx, tx C.uint64_t }{
	// It sums each piece of a chain by itself, and so goes wrong behind a piece of odd length. Its TSO makes such
	// chains. Without these the exchange hands it frames of one piece, whose sums it does right.
	"net_tap": {tx: txSeg | txTSO},
}
