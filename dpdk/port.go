//go:build !nodpdk

package dpdk

/*
#include <rte_ethdev.h>
#include "eal.h"
#include "exchange.h"
#include "cross.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"github.com/fstack-go/fstack/ring"
	"github.com/fstack-go/fstack/stack"
)

// Port is a started port.
type Port struct {
	id      int
	name    string
	config  PortConfig
	info    C.struct_rte_eth_dev_info
	setup   C.struct_fs_port_setup
	mac     net.HardwareAddr
	driver  string
	pools   []*pool
	queues  []*QueuePair
	offers  stack.FrameFlags
	primary bool
	closed  bool

	// If processes share it:
	shared *C.struct_fs_port
	rings  *ring.Mesh
	ends   []*QueuePair // this process's, by slot
	torn   bool         // a process has ended in the driver's code: the device must be started anew
}

// OpenPort sets a port up as the device's capabilities allow, and starts it. In a secondary process it attaches to a
// port that the primary has started: the configuration's ID, Lcores and TSO count then, the rest is the primary's.
func OpenPort(c PortConfig) (*Port, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return nil, errNotStarted
	}
	if c.ID < 0 || c.ID > 0xffff || C.rte_eth_dev_is_valid_port(C.uint16_t(c.ID)) == 0 {
		return nil, &Error{Op: fmt.Sprintf("rte_eth_dev_is_valid_port %d", c.ID), Port: NoPort, Err: syscall.ENODEV, Log: havePorts()}
	}
	if eal.ports[c.ID] != nil {
		return nil, &Error{Op: opConfigure, Port: c.ID, Err: syscall.EBUSY, Log: "the port is open already"}
	}
	p := &Port{id: c.ID, config: c, primary: eal.config.proc() == Primary}
	if err := p.call("rte_eth_dev_info_get", func() C.int {
		return C.rte_eth_dev_info_get(p.cid(), &p.info)
	}); err != nil {
		return nil, err
	}
	p.driver = C.GoString(p.info.driver_name)
	var name [C.RTE_ETH_NAME_MAX_LEN]C.char
	if C.rte_eth_dev_get_name_by_port(p.cid(), &name[0]) == 0 {
		p.name = C.GoString(&name[0])
	}
	open := p.start
	if !p.primary {
		open = p.attach
	}
	if err := open(); err != nil {
		return nil, err
	}
	eal.ports[c.ID] = p
	return p, nil
}

func havePorts() string {
	n := len(portIDs())
	if n == 0 {
		return "there are no ports: bind a device with dpdk-devbind.py, or configure a virtual one"
	}
	return fmt.Sprintf("ports in all: %d", n)
}

// start configures and starts the port, first with receive interrupts, then without if the device will not have them.
func (p *Port) start() error {
	if err := p.plan(); err != nil {
		return err
	}
	// Memory first: net_virtio_user cannot be closed safely between configure and start.
	prepare, undo := p.makePools, p.freePools
	if p.config.Mesh != nil {
		prepare, undo = p.share, func() error { return errors.Join(p.freePools(), p.freeShared()) }
	}
	if err := prepare(); err != nil {
		undo()
		return err
	}
	err := p.tryStart()
	var refusal *Error
	if errors.As(err, &refusal) && (refusal.Op == opConfigure || refusal.Op == opStart) {
		p.setup.rx_interrupts = 0
		if p.tryStart() == nil {
			err = nil
		}
	}
	if err != nil {
		undo()
		return err
	}
	if p.config.Mesh != nil {
		p.shareFDs()
		p.config.Mesh.stale = true
		if err := p.config.Mesh.findMemory(); err != nil {
			return err
		}
	}
	return p.readMAC()
}

// The two that a device may refuse because of interrupts.
const (
	opConfigure = "rte_eth_dev_configure"
	opStart     = "rte_eth_dev_start"
)

func (p *Port) tryStart() error {
	if err := p.configure(); err != nil {
		return err
	}
	return p.setGoing()
}

func (p *Port) configure() error {
	return p.call(opConfigure, func() C.int { return C.fs_port_configure(&p.setup) })
}

// setGoing sets the queues up and starts the device.
func (p *Port) setGoing() error {
	for q := range p.config.Queues {
		pool := p.pools[q]
		if err := p.call(fmt.Sprintf("rte_eth_rx_queue_setup queue %d", q), func() C.int {
			return C.fs_port_rx_queue(&p.setup, C.uint16_t(q), C.int(pool.socket), pool.pool)
		}); err != nil {
			return err
		}
		if err := p.call(fmt.Sprintf("rte_eth_tx_queue_setup queue %d", q), func() C.int {
			return C.fs_port_tx_queue(&p.setup, C.uint16_t(q), C.int(pool.socket))
		}); err != nil {
			return err
		}
	}
	if err := p.call(opStart, func() C.int { return C.rte_eth_dev_start(p.cid()) }); err != nil {
		return err
	}
	// NDP and IPv6 need multicast; a device that cannot filter takes all frames anyway.
	p.call("rte_eth_allmulticast_enable", func() C.int { return C.rte_eth_allmulticast_enable(p.cid()) })
	if p.config.Promiscuous {
		err := p.call("rte_eth_promiscuous_enable", func() C.int { return C.rte_eth_promiscuous_enable(p.cid()) })
		if err != nil && !errors.Is(err, syscall.ENOTSUP) {
			return err
		}
	}
	return nil
}

// attach takes over what the primary has set up.
func (p *Port) attach() error {
	if p.info.nb_rx_queues == 0 || p.info.nb_rx_queues != p.info.nb_tx_queues {
		return &Error{Op: "rte_eth_dev_info_get", Port: p.id, Err: syscall.EAGAIN, Log: "the primary process has not set the port up"}
	}
	p.config.Queues = int(p.info.nb_rx_queues)
	var mtu C.uint16_t
	if err := p.call("rte_eth_dev_get_mtu", func() C.int { return C.rte_eth_dev_get_mtu(p.cid(), &mtu) }); err != nil {
		return err
	}
	p.config.MTU = int(mtu)
	var conf C.struct_rte_eth_conf
	if err := p.call("rte_eth_dev_conf_get", func() C.int { return C.rte_eth_dev_conf_get(p.cid(), &conf) }); err != nil {
		return err
	}
	p.setup.rx_offloads, p.setup.tx_offloads = conf.rxmode.offloads, conf.txmode.offloads
	p.offers = offered(uint64(p.setup.rx_offloads), uint64(p.setup.tx_offloads))
	find := p.findPools
	if p.config.Mesh != nil {
		find = p.find
	}
	if err := find(); err != nil {
		return err
	}
	return p.readMAC()
}

func (p *Port) readMAC() error {
	var mac C.struct_rte_ether_addr
	if err := p.call("rte_eth_macaddr_get", func() C.int { return C.rte_eth_macaddr_get(p.cid(), &mac) }); err != nil {
		return err
	}
	p.mac = C.GoBytes(unsafe.Pointer(&mac), 6)
	return nil
}

// ID is DPDK's number of the port.
func (p *Port) ID() int { return p.id }

// MAC is the port's Ethernet address.
func (p *Port) MAC() net.HardwareAddr { return p.mac }

// MTU is the largest IP packet in bytes.
func (p *Port) MTU() int { return p.config.MTU }

// Queues is the number of queue pairs.
func (p *Port) Queues() int { return p.config.Queues }

// Driver is the name of the driver, as net_tap.
func (p *Port) Driver() string { return p.driver }

// Name is the name of the device, as net_tap0.
func (p *Port) Name() string { return p.name }

// LinkStatus asks the device for its link, without waiting.
func (p *Port) LinkStatus() (Link, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if err := p.usable(); err != nil {
		return Link{}, err
	}
	var speed C.uint32_t
	var duplex, up C.int
	err := p.call("rte_eth_link_get_nowait", func() C.int { return C.fs_port_link(p.cid(), &speed, &duplex, &up) })
	return Link{Up: up != 0, Speed: uint32(speed), FullDuplex: duplex != 0}, err
}

// Close stops the port, gives its queue pairs' frames back and frees its pools. It reports mbufs that have not come
// back. Its queue pairs must not be in use.
func (p *Port) Close() error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	return p.close()
}

func (p *Port) close() error {
	if p.closed || !eal.started {
		return nil
	}
	p.closed = true
	delete(eal.ports, p.id)
	var errs []error
	if p.primary {
		errs = append(errs, p.stop())
	}
	for _, q := range slices.Concat(p.queues, p.ends) {
		if q != nil {
			q.free()
		}
	}
	if p.primary {
		if p.shared != nil {
			p.unshare()
		}
		errs = append(errs, p.call("rte_eth_dev_close", func() C.int { return C.rte_eth_dev_close(p.cid()) }), p.freePools())
		if p.shared != nil {
			errs = append(errs, p.freeShared())
		}
	}
	return errors.Join(errs...)
}

func (p *Port) stop() error {
	return p.call("rte_eth_dev_stop", func() C.int {
		if p.driver == driverVirtioUser { // what it does about a peer that is gone it puts off, and close forgets that
			C.fs_alarms_drain()
		}
		return C.rte_eth_dev_stop(p.cid())
	})
}

const (
	driverVirtioUser = "net_virtio_user"
	driverTAP        = "net_tap"
)

func (p *Port) usable() error {
	if p.closed || !eal.started {
		return &Error{Op: "port", Port: p.id, Err: os.ErrClosed}
	}
	return nil
}

func (p *Port) cid() C.uint16_t { return C.uint16_t(p.id) }

func (p *Port) netns() *os.File { return netnsOf(p.id) }

func (p *Port) call(op string, f func() C.int) error { return call(op, p.id, p.netns(), f) }
