// Command hand measures what it costs to hand a packet from one worker to another, in bursts of up to 32.
//
//	hand [-two] [-time 1s]
//
//	net_null ─► queue of slot 0 ─► Hand ─► ring ─► queue of slot 1 ─► ring ─► freed by slot 0
//
// The frame goes by pointer, is received at the other end, given back and freed; the device makes frames out of nothing
// and sends none. With one loop both ends take turns on one CPU, and the figure is the work of both: a turn with the
// hand-over against one without. With -two each end has a loop on a CPU of its own, and the figure is the time from one
// packet to the next, with the misses of the caches, and the device's part.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fstack-go/fstack/bench/core"
	"github.com/fstack-go/fstack/dpdk"
)

// says is the line that hand prints.
type says struct {
	Nanos   float64 `json:"ns_per_packet"`
	Packets uint64  `json:"packets"`
	Share   float64 `json:"cpu_share"` // of the time: that the CPU, or the worse of two, was this program's
}

func main() {
	two := flag.Bool("two", false, "a loop on CPU 0 and one on CPU 1, not both in one on CPU 1")
	span := flag.Duration("time", time.Second, "how long to measure")
	flag.Parse()
	err := errors.New("takes no arguments but flags; -time must be positive")
	if flag.NArg() == 0 && *span > 0 {
		err = measure(*two, *span)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hand:", err)
		os.Exit(1)
	}
}

func measure(two bool, span time.Duration) (err error) {
	c := dpdk.Config{Lcores: []int{1}, MemoryMB: 64, InMemory: true, NoPCI: true, FilePrefix: "hand-" + strconv.Itoa(os.Getpid())}
	if two {
		c.Lcores = []int{0, 1}
	}
	defer func() { err = errors.Join(err, dpdk.Cleanup()) }()
	if err := dpdk.Init(c); err != nil {
		return fmt.Errorf("%w (it needs 32 free hugepages of 2 MB: dpdk-hugepages.py --setup 64M)", err)
	}
	mesh, err := dpdk.NewMesh(dpdk.MeshConfig{Slots: 3})
	if err != nil {
		return err
	}
	ids, err := dpdk.AddVdev("net_null0", "size=64", nil)
	if err != nil {
		return err
	}
	port, err := dpdk.OpenPort(dpdk.PortConfig{ID: ids[0], Mesh: mesh})
	if err != nil {
		return err
	}
	from, err := port.SlotQueue(0, dpdk.Direct(0))
	if err != nil {
		return err
	}
	if err := port.MakeSlotPool(1); err != nil {
		return err
	}
	to, err := port.SlotQueue(1, dpdk.Via(0))
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	measure := oneLoop
	if two {
		measure = twoLoops
	}
	s, err := measure(from, to, span)
	if err != nil {
		return err
	}
	if out, in := from.Counters().HandedOut, to.Counters().HandedIn; out != in || in == 0 {
		return fmt.Errorf("%d packets were handed over and %d arrived", out, in)
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// hand gives all received frames to slot 1, and says how many it took.
func hand(q *dpdk.QueuePair) (n uint64) {
	for rx := q.Queue().Rx; len(rx) > 0 && q.Hand(rx[:1], 1, 0); rx = rx[1:] {
		n++
	}
	return n
}

// oneLoop takes turns, a thousand with a hand-over and a thousand without, so that both meet the same neighbours.
func oneLoop(from, to *dpdk.QueuePair, span time.Duration) (s says, err error) {
	const turns = 1000
	if err := core.Pin(1); err != nil {
		return s, err
	}
	var with, without time.Duration
	for end := time.Now().Add(span); time.Now().Before(end); {
		begin := core.ThreadTime()
		for range turns {
			from.Exchange()
			to.Exchange()
		}
		middle := core.ThreadTime()
		for range turns {
			from.Exchange()
			s.Packets += hand(from)
			to.Exchange()
		}
		without, with = without+middle-begin, with+core.ThreadTime()-middle
	}
	for range 4 { // what is under way arrives
		from.Exchange()
		to.Exchange()
	}
	s.Nanos = float64(with-without) / float64(s.Packets)
	s.Share = 1 // no other time was counted
	return s, nil
}

// twoLoops hands over as fast as the other loop takes it.
func twoLoops(from, to *dpdk.QueuePair, span time.Duration) (s says, err error) {
	var stop atomic.Bool
	var share float64 // of the other loop
	pinned, done := make(chan error), make(chan struct{})
	go func() {
		defer close(done)
		pinned <- core.Pin(1)
		begin, cpu := time.Now(), core.ThreadTime()
		for !stop.Load() {
			to.Exchange()
		}
		share = float64(core.ThreadTime()-cpu) / float64(time.Since(begin))
	}()
	if err := errors.Join(<-pinned, core.Pin(0)); err != nil {
		stop.Store(true)
		<-done
		return s, err
	}
	begin, cpu := time.Now(), core.ThreadTime()
	for time.Since(begin) < span {
		for range 1000 {
			from.Exchange()
			s.Packets += hand(from)
		}
	}
	took := time.Since(begin)
	s.Share = float64(core.ThreadTime()-cpu) / float64(took)
	s.Nanos = float64(took) / float64(max(s.Packets, 1))
	from.Exchange()
	stop.Store(true)
	<-done
	s.Share = min(s.Share, share)
	for range 64 {
		from.Exchange()
		to.Exchange()
	}
	return s, nil
}
