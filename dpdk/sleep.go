//go:build !nodpdk

package dpdk

/*
#include <rte_ethdev.h>
#include "cross.h"
*/
import "C"

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a loop sleeps on: the descriptor of its queue.
//
// A secondary process has none by itself, as drivers keep them with the primary. But a worker inherits the primary's
// descriptors, of TAP queues and eventfds, under their numbers, which the primary leaves in shared memory.

// sleepable are the drivers whose descriptors other processes can wait on.
var sleepable = map[string]bool{driverTAP: true, driverVirtioUser: true, "net_virtio": true}

// shareFDs notes the descriptors of the queues, for other processes.
func (p *Port) shareFDs() {
	for i := range p.config.Queues {
		fd, event := p.queueFD(i)
		if !sleepable[p.driver] || event && C.fs_arm_find(p.shared, C.uint32_t(i)) == 0 {
			fd = -1
		}
		p.shared.rx_fd[i] = C.int32_t(fd)
	}
}

// queueFD is the descriptor that the driver has for a queue in this process, -1: none.
func (p *Port) queueFD(queue int) (fd int, event bool) {
	// net_vhost has one only while a guest is connected, and another for each guest.
	if p.setup.rx_interrupts == 0 || p.driver == "net_vhost" {
		return -1, false
	}
	fd = int(C.rte_eth_dev_rx_intr_ctl_q_get_fd(p.cid(), C.uint16_t(queue)))
	kind := kindOf(fd)
	if kind == "" {
		return -1, false
	}
	return fd, strings.Contains(kind, "eventfd")
}

// inheritedFD is the descriptor that this process has from the primary.
func (p *Port) inheritedFD(queue int) (fd int, event bool) {
	fd = int(p.shared.rx_fd[queue])
	kind := kindOf(fd)
	if kind == "" {
		return -1, false
	}
	// The number may mean something else here, if it was not inherited.
	const file = 0 // KCMP_FILE
	differs, _, err := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(p.shared.primary), file, uintptr(fd), uintptr(fd), 0)
	if err == 0 && differs != 0 || err == unix.EBADF {
		return -1, false
	}
	event = strings.Contains(kind, "eventfd")
	if !event && kind != "/dev/net/tun" {
		return -1, false
	}
	return fd, event
}

// kindOf is what a descriptor of this process is, empty: none.
func kindOf(fd int) string {
	kind, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return kind
}

// findFD looks for a descriptor to wait on. Frames that come by way of another slot are announced as all that is in
// rings is.
func (q *QueuePair) findFD() {
	if q.e != nil {
		q.restarts = uint32(q.e.port.restarts)
	}
	switch {
	case q.e != nil && q.mode.via:
		q.rxFD, q.event = int(C.fs_wake_fds[q.slot]), false
	case q.e != nil && !q.port.primary:
		q.rxFD, q.event = q.port.inheritedFD(q.index)
	default:
		q.rxFD, q.event = q.port.queueFD(q.index)
	}
}

// RxFD implements stack.Sleeper.
func (q *QueuePair) RxFD() int {
	if q.e != nil && q.c != nil && q.restarts != uint32(q.e.port.restarts) {
		q.findFD()
	}
	return q.rxFD
}

// ArmRx implements stack.Sleeper. A TAP descriptor is readable while frames wait, whether armed or not, and is not
// read from here: that would lose a frame.
func (q *QueuePair) ArmRx(on bool) error {
	if !q.event || q.c == nil {
		return nil
	}
	if !on {
		defer q.drain()
	}
	op, rc := "rte_eth_dev_rx_intr_enable", C.int(0)
	switch {
	case q.e != nil:
		rc = C.fs_end_arm(q.e, C.bool(on))
	case on:
		rc = C.rte_eth_dev_rx_intr_enable(q.port.cid(), C.uint16_t(q.index))
	default:
		op = "rte_eth_dev_rx_intr_disable"
		rc = C.rte_eth_dev_rx_intr_disable(q.port.cid(), C.uint16_t(q.index))
	}
	if rc < 0 && syscall.Errno(-rc) != syscall.ENOTSUP {
		return &Error{Op: op, Port: q.port.id, Err: errnoOf(rc, 0)}
	}
	return nil
}

// drain takes the signal of an eventfd, which may be a blocking one.
func (q *QueuePair) drain() {
	ready := []unix.PollFd{{Fd: int32(q.rxFD), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, 0); err == nil && n > 0 {
		var count [8]byte
		unix.Read(q.rxFD, count[:])
	}
}
