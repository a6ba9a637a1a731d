package fstack

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/kernelend"
	"github.com/fstack-go/fstack/internal/supervise"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/steer"
	"github.com/fstack-go/fstack/stack/tcp"
)

// engine is what Run starts, in the order of start, and gives back in the opposite order.
type engine struct {
	cfg        *config.Config // of the start
	settings   *settings      // what has become of it
	file       string         // to read it again from, empty: none
	log        *logger
	lcore, cpu int
	worker     *worker // nil: this is the only process
	noHuge     bool
	since      time.Time
	namespaces map[string]*kernelend.Namespace
	ports      []*dpdk.Port
	queues     []*dpdk.QueuePair
	stack      *stack.Stack
	mesh       *dpdk.Mesh     // nil in the only process, as the next two
	owners     *steer.Map     // of flows
	steerer    *steer.Steerer // knows whose a received frame is
	net        *netstack.Netstack
	tcp        *tcp.TCP // nil: netstack's serves
	sysctlers  []sysctler
	defaults   map[string]string // of the sysctls that the config has set
	api        *Stack
	failed     chan error    // the loop's, if it ends by itself
	orders     chan endOrder // to end
	asked      atomic.Bool   // to end, by a signal
	ended      atomic.Bool   // stop has begun
	control    *control.Server
	reloads    sync.Mutex  // one at a time
	hurry      atomic.Bool // do not wait for what is still to be sent

	reads    sync.Mutex // of readings
	readings []reading  // by port

	undo []func() error
	once sync.Once
	err  error
}

// newEngine is an engine that nothing has been started of.
func newEngine(cfg *config.Config, log *logger, lcore int) *engine {
	return &engine{
		cfg: cfg, settings: newSettings(cfg), file: fileOf(cfg), log: log, lcore: lcore, cpu: cfg.DPDK.CPU(lcore), since: time.Now(),
		namespaces: map[string]*kernelend.Namespace{}, failed: make(chan error, 1), orders: make(chan endOrder, 4),
	}
}

// start brings everything up in the only process, or, with an error, leaves nothing.
func start(cfg *config.Config, log *logger) (*engine, error) {
	e := newEngine(cfg, log, cfg.DPDK.Lcores[0])
	return e, e.do(e.claim, e.openNamespaces, e.startEAL, e.pin, e.addDevices, e.openPorts, e.configureKernelEnds, e.makeStack, e.startLoop, e.makeCurrent, e.serveControl)
}

// do takes steps of a start. If one fails, all that were taken are undone.
func (e *engine) do(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return errors.Join(err, e.stop())
		}
	}
	return nil
}

// claim makes sure that the process is the only one under its file prefix.
func (e *engine) claim() error {
	dir, err := supervise.Claim(e.cfg.DPDK.FilePrefix)
	if err != nil {
		return err
	}
	e.later(func() error {
		if e.control != nil {
			e.control.Close()
		}
		return dir.Close()
	})
	return nil
}

// makeCurrent has Info and EachCounter tell of the engine.
func (e *engine) makeCurrent() error {
	current.Store(e)
	e.later(func() error {
		e.logCounters()
		current.Store(nil)
		return nil
	})
	return nil
}

// stop undoes the steps of start that were done. It may be called twice.
func (e *engine) stop() error {
	e.once.Do(func() {
		e.ended.Store(true)
		var errs []error
		for _, undo := range slices.Backward(e.undo) {
			errs = append(errs, undo())
		}
		e.err = errors.Join(errs...)
	})
	return e.err
}

func (e *engine) later(undo func() error) { e.undo = append(e.undo, undo) }

// ealConfig is what EAL is started with.
func ealConfig(cfg *config.Config, log *logger, cpu int) dpdk.Config {
	d := &cfg.DPDK
	return dpdk.Config{
		Lcores: []int{cpu}, MemoryMB: d.MemoryMB, NoHuge: d.NoHuge == config.HugeNever, FilePrefix: d.FilePrefix, Channels: d.Channels,
		BaseVirtaddr: d.BaseVirtAddr, Allow: d.Allow, NoPCI: len(cfg.Vdevs) > 0 && len(d.Allow) == 0, LogLevel: d.LogLevel, Args: d.EALArgs,
		Log: func(level slog.Level, line string) { log.Log(ending, level, line, "from", "dpdk") },
	}
}

// startEAL starts EAL on hugepages, or without if the config leaves it the choice and none can be had.
func (e *engine) startEAL() error {
	c := ealConfig(e.cfg, e.log, e.cpu)
	err := dpdk.Init(c)
	if e.cfg.DPDK.NoHuge == config.HugeAuto && noHugepages(err) {
		e.log.Info("running without hugepages", "because", err)
		c.NoHuge = true
		err = dpdk.Init(c)
	}
	if err != nil {
		return err
	}
	e.noHuge = c.NoHuge
	e.later(dpdk.Cleanup)
	return nil
}

// openNamespaces makes the namespaces of the kernel's ends, first of all: it needs rights that a program may lack.
func (e *engine) openNamespaces() error {
	for _, v := range e.cfg.Vdevs {
		if v.Netns == "" || e.namespaces[v.Netns] != nil {
			continue
		}
		ns, err := kernelend.Open(v.Netns)
		if err != nil {
			return err
		}
		e.namespaces[v.Netns] = ns
		e.later(ns.Close)
	}
	return nil
}

// addDevices makes the devices without hardware, each in the namespace of its kernel's end.
func (e *engine) addDevices() error {
	for _, v := range e.cfg.Vdevs {
		var netns *os.File
		if ns := e.namespaces[v.Netns]; ns != nil {
			netns = ns.File()
		}
		if err := e.addDevice(v.Name, v.Args, netns); err != nil {
			return err
		}
	}
	for _, b := range e.cfg.Bonds {
		if err := e.addDevice(b.Name, b.Args, nil); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) addDevice(name, args string, netns *os.File) error {
	ids, err := dpdk.AddVdev(name, args, netns)
	if err != nil {
		return err
	}
	e.log.Debug("device added", "device", name, "args", args, "ports", ids)
	e.later(func() error { return dpdk.RemoveVdev(name) })
	return nil
}

func (e *engine) openPorts() error {
	d := &e.cfg.DPDK
	for _, p := range e.cfg.Ports {
		port, err := dpdk.OpenPort(dpdk.PortConfig{
			ID: p.ID, Queues: 1, MTU: p.MTU, Promiscuous: d.Promiscuous, NoChecksum: d.TxCsumSkip, TSO: d.TSO, Lcores: []int{e.cpu},
		})
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		e.later(port.Close)
		q, err := port.QueuePair(0)
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		e.ports, e.queues = append(e.ports, port), append(e.queues, q)
	}
	e.readings = make([]reading, len(e.ports))
	return nil
}

func (e *engine) configureKernelEnds() error {
	for _, v := range e.cfg.Vdevs {
		if v.Netns == "" && len(v.KernelAddrs) == 0 {
			continue
		}
		if err := e.namespaces[v.Netns].Configure(v.Iface, v.KernelAddrs); err != nil {
			return fmt.Errorf("kernel's end of device %s,%s: %w", v.Name, v.Args, err)
		}
	}
	return nil
}

// makeStack puts ports and layers together.
func (e *engine) makeStack() error {
	epoch := time.Now()
	e.stack = stack.New(func() int64 { return int64(time.Since(epoch)) })
	for _, q := range e.queues {
		e.stack.AddPort(q)
	}
	own := e.cfg.Stack.TCP == "fstack"
	var err error
	nc, tc := netstack.Config{TCP: !own}, tcp.Config{PortName: func(port int) string { return e.cfg.Ports[port].Name }}
	if x := e.steerer; x != nil {
		e.stack.SetSteering(x)
		e.stack.AddSleeper(e.mesh.Sleeper(e.worker.Slot))
		nc.Steering, tc.Ports, tc.Listening, tc.Bound = x, x.TCPPorts, x.Listening, x.Bound
	}
	if e.net, err = netstack.New(e.stack, nc); err != nil {
		return err
	}
	e.later(func() error { e.net.Destroy(); return nil })
	sockets := stack.Sockets(e.net)
	if own {
		if e.tcp, err = tcp.New(e.stack, e.net, tc); err != nil {
			return err
		}
		e.later(e.tcp.Destroy)
		e.stack.AddLayer(e.tcp)
		sockets, e.sysctlers = e.tcp, []sysctler{e.tcp}
	} else if e.steerer != nil {
		e.steerer.HasTCP = e.net.HasTCP
	}
	e.stack.AddLayer(e.net) // the last one: it takes what is left
	for i, p := range e.cfg.Ports {
		c := netstack.PortConfig{Name: p.Name, MTU: p.MTU, Addrs: p.Prefixes(), Gateway4: p.Gateway, Gateway6: p.Gateway6}
		if err := e.portSysctl(&c); err != nil {
			return err
		}
		if err := e.net.AddPort(i, c); err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
	}
	if err := e.setSysctls(); err != nil {
		return err
	}
	e.api = NewStack(e.stack, sockets, e.net)
	e.api.Nameservers = e.cfg.Stack.Nameservers
	return nil
}

func (e *engine) startLoop() error {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		if err := e.stack.Loop(e.cfg.Stack.Idle, stop); err != nil {
			e.failed <- err
		}
	}()
	e.later(func() error {
		close(stop)
		e.stack.Kick()
		<-stopped
		return nil
	})
	setDefault(e.api)
	e.later(func() error {
		setDefault(nil) // closes all sockets
		if !e.hurry.Load() {
			e.drain()
		}
		return nil
	})
	return nil
}

// drain lets the stack send what closed connections still owe: until the ports are quiet, which takes no long.
func (e *engine) drain() {
	const tick, quiet, most = 20 * time.Millisecond, 10, 50
	var before uint64
	for still, ticks := 0, 0; still < quiet && ticks < most; ticks++ {
		c := e.stack.Counters()
		if now := c.RxFrames + c.TxFrames; now == before {
			still++
		} else {
			before, still = now, 0
		}
		time.Sleep(tick)
	}
}

// logCounters leaves the last word of what was counted in the log, for those who want to know at level debug.
func (e *engine) logCounters() {
	if !e.log.Enabled(ending, slog.LevelDebug) {
		return
	}
	EachCounter(func(where, name, help string, value uint64) {
		if value > 0 {
			e.log.Debug("counted", "where", where, "name", name, "value", value, "what", help)
		}
	})
}

// pin ties the process to its lcore: the loop needs no second CPU, and two would only pass its memory to and fro.
func (e *engine) pin() error {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	return pinThreads(e.cpu)
}

// noHugepages tells an error of missing hugepages, found before EAL was tried, from others.
func noHugepages(err error) bool {
	var refused *dpdk.Error
	return !errors.As(err, &refused) &&
		(errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES))
}
