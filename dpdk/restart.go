//go:build !nodpdk

package dpdk

/*
#include "cross.h"
#include "reclaim.h"
*/
import "C"

import "syscall"

// A process that is killed in a driver's code may leave the tables of its queue half written: a descriptor that is
// neither the device's nor the driver's, or an index that is behind. What they should be is the driver's affair, so the
// device is stopped and started anew, which makes all tables afresh, while all other processes stay outside:
//
//	pause ─► stop ─► configure: the driver frees all mbufs ─► sweep the dead one's ─► queues, start ─► resume
//
// It takes milliseconds. Frames in the device's queues are lost, and sent again by those whom they matter to.
//
// net_tap needs none of it: what it keeps of a queue is where the next frame goes to, and it makes that anew with each
// frame. One that comes next after such an end may have what another held, and is dropped: see drop_first.

// tears tells whether the driver keeps tables that can be half written.
func (p *Port) tears() bool { return p.driver != driverTAP }

// restart stops the device of a shared port and starts it anew. ETIMEDOUT: a process stays in the device's code.
func (p *Port) restart() error {
	if rc := C.fs_port_pause(p.shared, reclaimWait); rc < 0 {
		return &Error{Op: "restart", Port: p.id, Err: syscall.Errno(-rc), Log: "another process stands still in an exchange with the device"}
	}
	defer C.fs_port_resume(p.shared)
	if err := p.stop(); err != nil {
		return err
	}
	if err := p.configure(); err != nil {
		return err
	}
	m := p.config.Mesh
	m.stale = true
	if err := m.findMemory(); err != nil {
		return err
	}
	var r C.struct_fs_reclaimed
	for q := range p.config.Queues {
		if p.shared.owner[q] == 0 { // what the driver has just freed of it may have been freed before
			C.fs_sweep(p.shared, p.shared.queue_pool[q], &m.memory, 0, &r)
		}
	}
	if err := p.setGoing(); err != nil {
		return err
	}
	p.shareFDs()
	clear(p.shared.suspect[:])
	p.shared.restarts++
	p.torn = false
	m.stale = true
	return m.findMemory()
}

// Where a process is, for tests: see fs_end.at.
const inDriver = C.FS_IN_DRIVER

func placeOf(p *Port, slot int) uint32 { return uint32(C.fs_port_end(p.shared, C.uint32_t(slot)).at) }
