//go:build !nodpdk

package dpdk

/*
#include <rte_errno.h>
#include "eal.h"

static int fs_errno(void) { return rte_errno; }
static void fs_clear_errno(void) { rte_errno = 0; }
*/
import "C"

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// call runs one control-plane function of DPDK, with eal.mu held: in the network namespace ns if it is not nil, since
// drivers open sockets and interfaces wherever the calling thread is, and with signals held back. A negative result
// becomes an *Error with what DPDK logged meanwhile.
func call(op string, port int, ns *os.File, f func() C.int) error {
	var err error
	run := func() {
		C.fs_log_mark()
		C.fs_signals_hold()
		C.fs_clear_errno()
		rc := f()
		code := C.fs_errno()
		C.fs_signals_free()
		if rc < 0 {
			err = &Error{Op: op, Port: port, Err: errnoOf(rc, code), Log: logSince()}
		}
	}
	if ns == nil {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		run()
		return err
	}
	if nsErr := inNetns(ns, run); nsErr != nil {
		return &Error{Op: op, Port: port, Err: nsErr}
	}
	return err
}

// inNetns runs f on a thread that is in the network namespace ns. A thread that cannot come back ends.
func inNetns(ns *os.File, f func()) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		defer home.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			result <- os.NewSyscallError("setns "+ns.Name(), err)
			return
		}
		f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- nil
	}()
	return <-result
}
