package fstack

import (
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/stack"
)

// current is the engine that runs, nil: none.
var current atomic.Pointer[engine]

// Instance is what a running stack is: facts for a page, a log or a tool.
type Instance struct {
	PID        int
	Lcore      int       // of lcore_mask, for which this process is
	CPU        int       // that all its threads are tied to
	Slot       int       // its number among the processes that may run under this file_prefix at a time
	Index      int       // its place among the lcores, from 0
	Workers    int       // how many lcores, and so processes of a generation, there are
	Supervisor int       // pid of the supervisor, 0: this is the only process
	Since      time.Time // when it started
	Version    string    // of this module
	DPDK       string    // version of its libraries
	Memory     string    // "hugepages" or "ordinary pages"
	TCP        string    // which TCP serves
	Idle       string    // what the lcore does without work
	Ports      []PortInfo
}

// PortInfo is what a port of a running stack is.
type PortInfo struct {
	stack.DeviceInfo
	ID          int    // DPDK's number
	Interface   string // name that the tools show
	Addrs       []netip.Prefix
	Gateways    []netip.Addr
	LinkUp      bool
	MbufsInUse  int // buffers of its memory pools that hold frames or wait in queues
	MbufsTotal  int
	Netns       string // namespace of the kernel's end, empty: it has none
	KernelIface string
}

var idleNames = map[stack.Idle]string{stack.IdlePoll: "poll", stack.IdleAdaptive: "adaptive"}

// Info tells about the running stack. Before Run and after it, it is the zero Instance.
func Info() Instance {
	e := current.Load()
	if e == nil {
		return Instance{}
	}
	i := Instance{
		PID: os.Getpid(), Lcore: e.lcore, CPU: e.cpu, Workers: 1, Since: e.since, Version: version(), DPDK: dpdk.Version(), Memory: "hugepages",
		TCP: e.cfg.Stack.TCP, Idle: idleNames[e.cfg.Stack.Idle],
	}
	if w := e.worker; w != nil {
		i.Slot, i.Index, i.Workers, i.Supervisor = w.Slot, w.Index, w.Slots/2, w.Part.Supervisor
	}
	if e.noHuge {
		i.Memory = "ordinary pages"
	}
	for n, p := range e.settings.config().Ports {
		info := PortInfo{DeviceInfo: e.queues[n].Info(), ID: p.ID, Interface: p.Name, Addrs: p.Prefixes()}
		for _, g := range []netip.Addr{p.Gateway, p.Gateway6} {
			if g.IsValid() {
				info.Gateways = append(info.Gateways, g)
			}
		}
		r := e.reading(n)
		info.LinkUp, info.MbufsInUse, info.MbufsTotal = r.link.Up, r.mbufs, r.pool
		for _, v := range e.cfg.Vdevs {
			if v.Name == info.DeviceInfo.Name {
				info.Netns, info.KernelIface = v.Netns, v.Iface
			}
		}
		i.Ports = append(i.Ports, info)
	}
	return i
}

// EachCounter calls f for each counter of the running stack: where it was counted ("loop", "tcp", "netstack", "steering", "port 0"), its
// name, what it counts, as a sentence, and its value.
func EachCounter(f func(where, name, help string, value uint64)) {
	e := current.Load()
	if e == nil {
		return
	}
	each := func(where string, counters any) {
		stack.EachCounter(counters, func(name, help string, value uint64) { f(where, name, help, value) })
	}
	each("loop", e.stack.Counters())
	if e.tcp != nil {
		each("tcp", e.tcp.Counters())
	}
	each("netstack", e.net.Counters())
	if e.steerer != nil {
		e.stack.Lock()
		c := e.steerer.Counters()
		e.stack.Unlock()
		each("steering", c)
	}
	for n, p := range e.ports {
		where := fmt.Sprintf("port %d", p.ID())
		each(where, e.reading(n).stats)
		each(where, e.queues[n].Counters())
	}
}

// reading is what a device said when it was asked last. To ask takes system calls, in another namespace at that, so it
// is done ten times a second at most, however often a page is loaded.
type reading struct {
	at          time.Time
	link        dpdk.Link
	mbufs, pool int
	stats       dpdk.Stats
}

const readingAge = 100 * time.Millisecond

func (e *engine) reading(n int) reading {
	e.reads.Lock()
	defer e.reads.Unlock()
	if r, now := &e.readings[n], time.Now(); now.Sub(r.at) > readingAge {
		*r = reading{at: now}
		r.link, _ = e.ports[n].LinkStatus() // a device that does not tell is down and has counted nothing
		r.stats, _ = e.ports[n].Stats()
		if e.worker != nil {
			r.mbufs, r.pool = e.ports[n].SlotMbufs(e.worker.Slot)
		} else {
			r.mbufs, r.pool = e.ports[n].Mbufs()
		}
	}
	return e.readings[n]
}

// version is this module's, as the binary's build information tells.
func version() string {
	const path = "github.com/fstack-go/fstack"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == path && m.Version != "" {
			return m.Version
		}
	}
	return "unknown"
}
