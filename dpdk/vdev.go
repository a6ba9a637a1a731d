//go:build !nodpdk

package dpdk

/*
#include <stdlib.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
*/
import "C"

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// vdev is a virtual device that AddVdev made.
type vdev struct {
	name  string
	ports []int
	netns *os.File // the namespace that its driver's sockets are in, nil: the process's
}

// AddVdev plugs in a virtual device, as "net_tap0" with "iface=fstack0", and returns its ports. With a network
// namespace, an open /run/netns file, the driver makes its interfaces and sockets in there, and so do all later
// calls about its ports; the file may be closed after the call. The driver's own words are in the error.
func AddVdev(name, args string, netns *os.File) ([]int, error) {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return nil, errNotStarted
	}
	if findVdev(name) >= 0 {
		return nil, fmt.Errorf("device %s: %w", name, syscall.EEXIST)
	}
	if err := checkVdev(name, args); err != nil {
		return nil, err
	}
	v := &vdev{name: name}
	if netns != nil {
		fd, err := unix.FcntlInt(netns.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("device %s: network namespace: %w", name, err)
		}
		v.netns = os.NewFile(uintptr(fd), netns.Name())
	}
	before := portIDs()
	cname, cargs := C.CString(name), C.CString(args)
	defer C.free(unsafe.Pointer(cname))
	defer C.free(unsafe.Pointer(cargs))
	bus := C.CString("vdev")
	defer C.free(unsafe.Pointer(bus))
	if err := call("rte_eal_hotplug_add "+strings.TrimSuffix(name+","+args, ","), NoPort, v.netns, func() C.int {
		rc := C.rte_eal_hotplug_add(bus, cname, cargs)
		if rc == -1 { // the driver's way to say no; rte_errno then is of something else
			rc = -C.int(syscall.ENODEV)
		}
		return rc
	}); err != nil {
		v.close()
		return nil, err
	}
	for id := range portIDs() {
		if !before[id] {
			v.ports = append(v.ports, id)
		}
	}
	slices.Sort(v.ports)
	eal.vdevs = append(eal.vdevs, v)
	return slices.Clone(v.ports), nil
}

// RemoveVdev closes the ports of a virtual device and unplugs it.
func RemoveVdev(name string) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	return removeVdev(name)
}

func removeVdev(name string) error {
	i := findVdev(name)
	if i < 0 {
		return fmt.Errorf("device %s: %w", name, syscall.ENODEV)
	}
	v := eal.vdevs[i]
	var err error
	for _, id := range v.ports {
		if p := eal.ports[id]; p != nil {
			err = p.close()
		}
	}
	eal.vdevs = slices.Delete(eal.vdevs, i, i+1)
	defer v.close()
	if eal.mesh != nil { // memory may go
		eal.mesh.stale = true
	}
	cname, bus := C.CString(name), C.CString("vdev")
	defer C.free(unsafe.Pointer(cname))
	defer C.free(unsafe.Pointer(bus))
	if e := call("rte_eal_hotplug_remove "+name, NoPort, v.netns, func() C.int {
		return C.rte_eal_hotplug_remove(bus, cname)
	}); e != nil {
		return e
	}
	return err
}

func findVdev(name string) int {
	return slices.IndexFunc(eal.vdevs, func(v *vdev) bool { return v.name == name })
}

func (v *vdev) close() {
	if v.netns != nil {
		v.netns.Close()
	}
}

// Ports are the ports that EAL knows, PCI and virtual, in order.
func Ports() []int {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return nil
	}
	return slices.Sorted(maps.Keys(portIDs()))
}

func portIDs() map[int]bool {
	ids := map[int]bool{}
	for id := C.rte_eth_find_next(0); id < C.RTE_MAX_ETHPORTS; id = C.rte_eth_find_next(C.uint16_t(id + 1)) {
		ids[int(id)] = true
	}
	return ids
}

// netnsOf is the namespace of the virtual device that a port belongs to.
func netnsOf(port int) *os.File {
	for _, v := range eal.vdevs {
		if slices.Contains(v.ports, port) {
			return v.netns
		}
	}
	return nil
}
