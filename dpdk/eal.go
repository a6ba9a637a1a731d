//go:build !nodpdk

package dpdk

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3 -DALLOW_EXPERIMENTAL_API -I${SRCDIR}/../ring
#include <stdlib.h>
#include <rte_lcore.h>
#include <rte_errno.h>
#include <rte_version.h>
#include "eal.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
)

// eal is the process's one instance of EAL. mu serialises the control plane: DPDK's is not made for threads.
var eal struct {
	mu      sync.Mutex
	started bool
	used    bool // rte_eal_init works once in a process
	config  Config
	log     *logPipe
	vdevs   []*vdev
	ports   map[int]*Port
	mesh    *Mesh
}

var errNotStarted = errors.New("EAL is not started: call dpdk.Init first")

// Version is that of the DPDK libraries in use.
func Version() string { return C.GoString(C.rte_version()) }

// Init starts EAL. It can succeed once in the life of a process. Its checks name what is missing and what mends it;
// what EAL itself refuses is an *Error that carries EAL's own words.
func Init(c Config) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if eal.used {
		return errors.New("rte_eal_init: EAL was already started in this process, and can be only once")
	}
	if err := c.check(); err != nil {
		return err
	}
	log, err := openLog(c.Log)
	if err != nil {
		return err
	}
	args := c.args()
	argv := (*[1 << 16]*C.char)(C.calloc(C.size_t(len(args)+1), C.size_t(unsafe.Sizeof(uintptr(0)))))
	for i, a := range args { // EAL keeps pointers into them
		argv[i] = C.CString(a)
	}
	eal.log = log
	if err := call("rte_eal_init", NoPort, nil, func() C.int {
		return C.fs_eal_init(C.int(len(args)), (**C.char)(unsafe.Pointer(argv)))
	}); err != nil {
		log.close()
		if c.checkPrefix() == nil { // nobody else came first
			c.removeFiles()
		}
		return err
	}
	eal.used, eal.started, eal.config = true, true, c
	eal.ports = map[int]*Port{}
	return nil
}

// args is EAL's command line.
func (c *Config) args() []string {
	a := []string{"fstack"}
	a = append(a, "-l", joinInts(c.Lcores), "--main-lcore", strconv.Itoa(c.Lcores[0]), "--file-prefix", c.prefix())
	a = append(a, "--proc-type", string(c.proc()))
	if c.NoHuge {
		a = append(a, "--no-huge")
	} else {
		// One descriptor per segment list: vhost-user can pass on only a few.
		a = append(a, "--single-file-segments")
	}
	if c.InMemory {
		files := "--in-memory"
		if c.NoHuge { // EAL does not take both
			files = "--no-shconf"
		}
		a = append(a, files, "--no-telemetry") // telemetry has a socket in the file system
	}
	if c.MemoryMB > 0 {
		a = append(a, "-m", strconv.Itoa(c.MemoryMB))
	}
	if c.Channels > 0 {
		a = append(a, "-n", strconv.Itoa(c.Channels))
	}
	if c.BaseVirtaddr != 0 {
		a = append(a, "--base-virtaddr", fmt.Sprintf("%#x", c.BaseVirtaddr))
	}
	for _, d := range c.Allow {
		a = append(a, "-a", d)
	}
	if c.NoPCI {
		a = append(a, "--no-pci")
	}
	level := c.LogLevel
	if level == 0 {
		level = 5
	}
	a = append(a, "--log-level", strconv.Itoa(level))
	return append(a, c.Args...)
}

// Cleanup closes the ports and virtual devices that are still open and gives back the hugepages and files.
func Cleanup() error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return nil
	}
	var errs []error
	for i := len(eal.vdevs) - 1; i >= 0; i-- { // the newest first: it may hang on an older one
		errs = append(errs, removeVdev(eal.vdevs[i].name))
	}
	for _, p := range eal.ports {
		errs = append(errs, p.close())
	}
	errs = append(errs, call("rte_eal_cleanup", NoPort, nil, func() C.int { return C.fs_eal_cleanup() }))
	eal.started = false
	eal.log.close()
	return errors.Join(append(errs, eal.config.removeFiles())...)
}

// removeFiles removes what EAL keeps for a next start: a process that is done leaves nothing.
func (c *Config) removeFiles() error {
	dir := runtimeDir(c.prefix())
	switch {
	case c.proc() == Secondary:
		return nil
	case c.InMemory:
		os.Remove(dir) // if it is empty: another process may use the same prefix
		return nil
	}
	var errs []error
	for _, m := range hugetlbfsMounts() {
		files, _ := filepath.Glob(filepath.Join(m.dir, c.prefix()+"map_*"))
		for _, f := range files {
			errs = append(errs, os.Remove(f))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(dir))...)
}

// Forget removes the files of a secondary process that was killed: nobody else does, until the primary ends. It must not be
// called for a process that lives.
func Forget(pid int) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return errNotStarted
	}
	var errs []error
	for _, pattern := range []string{"mp_socket_%d_*", "fbarray_*_%d", "fbarray_*_%d_*"} {
		files, _ := filepath.Glob(filepath.Join(runtimeDir(eal.config.prefix()), fmt.Sprintf(pattern, pid)))
		for _, f := range files {
			if err := os.Remove(f); !errors.Is(err, os.ErrNotExist) { // EAL removes sockets that nobody answers on
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// LcoreSocket is the NUMA node of an lcore.
func LcoreSocket(lcore int) int { return int(C.rte_lcore_to_socket_id(C.uint(lcore))) }

// errnoOf turns the negative result of a DPDK call into an error. -1 is "see rte_errno".
func errnoOf(rc, code C.int) error {
	switch {
	case rc < -1:
		return syscall.Errno(-rc)
	case code > 0:
		return syscall.Errno(code)
	}
	return syscall.EPERM
}
