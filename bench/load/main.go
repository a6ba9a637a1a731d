package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fstack-go/fstack/bench/core"
	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/stack"
)

var errInterrupted = errors.New("interrupted")

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = load(o)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// load measures once and prints the report, also of a measurement that was interrupted.
func load(o options) (err error) {
	var stop atomic.Bool
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() { <-signals; stop.Store(true) }()

	if o.device == inMemory {
		return loadInside(o, stop.Load)
	}
	port, queue, err := openDevice(&o)
	defer func() { err = errors.Join(err, dpdk.Cleanup()) }()
	if err != nil {
		return err
	}
	l, err := newClient(o, queue)
	if err != nil {
		return err
	}
	if o.hold {
		io.Copy(io.Discard, os.Stdin)
	}
	if err := core.Pin(o.lcore); err != nil {
		return fmt.Errorf("-lcore: %w", err)
	}
	runtime.GC()
	debug.SetGCPercent(-1) // nothing is allocated from here on
	up := func() bool {
		s, err := port.LinkStatus()
		return err == nil && s.Up
	}
	r, err := l.run(realClock(), up, stop.Load)
	if r.Seconds > 0 {
		err = errors.Join(err, r.print(os.Stdout))
	}
	return err
}

// realClock returns a clock of nanoseconds that does not begin at zero.
func realClock() func() int64 {
	epoch := time.Now().Add(-time.Hour)
	return func() int64 { return int64(time.Since(epoch)) }
}

// cpuClock returns a clock of the CPU time of this process, the garbage collector's with it.
func cpuClock() func() int64 {
	return func() int64 { return int64(time.Hour + core.ProcessTime()) }
}

// loadInside measures a server in this process.
func loadInside(o options, interrupted func() bool) error {
	if err := core.Pin(o.lcore); err != nil {
		return fmt.Errorf("-lcore: %w", err)
	}
	debug.SetGCPercent(-1) // but for what -gc asks for
	clock := realClock()
	if o.cpuClock {
		clock = cpuClock()
	}
	s, err := newInside(&o, clock)
	if err != nil {
		return err
	}
	l, err := newClient(o, s)
	if err != nil {
		return err
	}
	l.touch()
	l.inside, s.empty = s, resident()
	if o.gc > 0 {
		go func() {
			for range time.Tick(o.gc) {
				runtime.GC()
			}
		}()
	}
	r, err := l.run(clock, func() bool { return true }, interrupted)
	if r.Seconds > 0 {
		err = errors.Join(err, r.print(os.Stdout))
	}
	return errors.Join(err, s.failed)
}

// openDevice starts EAL, with hugepages if it can be, and opens the device.
func openDevice(o *options) (*dpdk.Port, stack.Device, error) {
	c := dpdk.Config{
		Lcores: []int{o.lcore}, MemoryMB: o.memory, NoHuge: o.noHuge, InMemory: true, FilePrefix: o.prefix, NoPCI: true,
		Args: strings.Fields(o.ealArgs), Log: logLine(o.verbose),
	}
	if o.verbose {
		c.LogLevel = 7
	}
	if c.FilePrefix == "" {
		c.FilePrefix = "load-" + strconv.Itoa(os.Getpid())
	}
	err := dpdk.Init(c)
	if errors.Is(err, syscall.ENOMEM) && !o.noHuge {
		o.noHuge, c.NoHuge = true, true
		err = dpdk.Init(c)
	}
	if err != nil {
		return nil, nil, err
	}
	name, args, _ := strings.Cut(o.device, ",")
	ids, err := dpdk.AddVdev(name, args, nil)
	if err != nil {
		return nil, nil, err
	}
	n := max(o.queues, 1)
	port, err := dpdk.OpenPort(dpdk.PortConfig{ID: ids[0], Queues: n, MTU: o.mtu, LRO: true, Lcores: slices.Repeat([]int{o.lcore}, n)})
	if err != nil {
		return nil, nil, err
	}
	queues := make([]stack.Device, n)
	for i := range queues {
		if queues[i], err = port.QueuePair(i); err != nil {
			return nil, nil, err
		}
	}
	if n == 1 {
		return port, queues[0], nil
	}
	device, err := newSpread(queues, o.rss)
	return port, device, err
}

func logLine(verbose bool) func(slog.Level, string) {
	h := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: map[bool]slog.Level{false: slog.LevelError, true: slog.LevelInfo}[verbose]})
	return func(level slog.Level, line string) { slog.New(h).Log(context.Background(), level, line) }
}
