package fstack

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
)

// supervisor starts a worker for each lcore and looks after them. It owns the devices and the memory, and no traffic.
//
// There are twice as many slots as lcores: the workers of one generation have one half, and those that replace them in
// an upgrade the other.
type supervisor struct {
	*engine // claim, namespaces, EAL and devices; it has no stack
	fabric  *fabric
	events  []*os.File // by slot, the last one is the supervisor's
	path    string     // of the program
	release func()     // of descriptor numbers

	mu         sync.Mutex
	slots      []*slot
	generation int // of those that serve
	half       int // which half of the slots they have
	ending     bool
	began      bool          // the first workers serve
	err        error         // the first
	over       chan struct{} // closed when no worker is left
	healthy    bool          // some worker was, once
	reloaded   *config.Config
	upgrading  bool

	question  atomic.Uint64
	questions map[uint64]chan supervise.Message
}

// slot is the place of a worker.
type slot struct {
	supervise.Part
	binary   *supervise.Binary
	proc     *supervise.Process // nil: none
	state    string             // control.State…, empty: free
	since    time.Time          // of the state
	served   time.Time          // since when it serves, zero: not yet
	restarts int
	backoff  supervise.Backoff
	version  supervise.Version
	facts    supervise.Facts
	up       chan struct{}       // of an upgrade: closed when its stack runs; nil: the slot is of no upgrade on its way
	gone     chan struct{}       // closed when its process is
	ready    bool                // its stack runs, and it waits for its share
	took     bool                // in an upgrade, it has the queues, or is about to
	done     bool                // its application has returned
	asked    bool                // because somebody asked the process to end
	err      string              // why it ended last
	held     bool                // what its last process had is not taken back yet
	had      map[*dpdk.Port]bool // the ports whose queue that polled, while it is taken back
}

const (
	startWithin   = time.Minute      // a worker's start
	answerWithin  = 5 * time.Second  // to a question
	killAfter     = 10 * time.Second // a worker that does not end in its time
	takeBackEvery = 300 * time.Millisecond
	startDeaths   = 5 // in a row, without any worker that ever served for a while: the run is given up
)

// runSupervisor runs the program in several processes, and returns when it has ended in all of them.
func runSupervisor(cfg *config.Config) error {
	log, err := newLogger(cfg, -1, "supervisor")
	if err != nil {
		return err
	}
	defer log.close()
	for _, w := range cfg.Warnings {
		log.Warn(w.String())
	}
	if err := checkCPUs(&cfg.DPDK); err != nil {
		return fmt.Errorf("%s: %w", cfg.File, err)
	}
	if cfg.DPDK.NoHuge == config.HugeNever {
		return fmt.Errorf("%s: [dpdk] no_huge=1: the processes of several lcores share hugepages; set no_huge=0 and reserve some with "+
			"`dpdk-hugepages.py --setup 1G`, or give lcore_mask one bit", cfg.File)
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("the program's own path: %w", err)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	s := &supervisor{
		engine: newEngine(cfg, log, cfg.DPDK.Lcores[0]), path: strings.TrimSuffix(path, " (deleted)"),
		over: make(chan struct{}), questions: map[uint64]chan supervise.Message{},
	}
	begun := whileStarting(log.Logger, signals, killSelf)
	err = s.do(s.claim, s.reserveNumbers, s.openNamespaces, s.startPrimary, s.addDevices, s.openShared, s.configureKernelEnds, s.shareEvents, s.startWorkers)
	begun()
	if err != nil {
		return err
	}
	s.control = openControl(cfg, log, s.answer)
	asks := make(chan os.Signal, 2)
	signal.Notify(asks, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(asks)
	s.wait(signals, asks)
	return errors.Join(s.err, s.stop())
}

// wait looks after signals until no worker is left.
func (s *supervisor) wait(signals, asks <-chan os.Signal) {
	for {
		select {
		case <-s.over:
			return
		case sig := <-signals:
			s.mu.Lock()
			again := s.ending
			s.mu.Unlock()
			if again {
				s.endAll(sig.String()+" again", 0)
			} else {
				s.endAll(sig.String(), grace)
			}
		case sig := <-asks:
			go func() {
				do := s.reloadAll
				if sig == syscall.SIGUSR2 {
					do = s.upgrade
				}
				err := do(func(string) {}) // the log has it
				if err != nil {
					s.log.Error("failed", "signal", sig.String(), "because", err)
				}
			}()
		}
	}
}

// reserveNumbers and shareEvents have workers inherit the descriptors of DPDK's drivers under their numbers.
func (s *supervisor) reserveNumbers() (err error) {
	if s.release, err = supervise.ReserveNumbers(s.eventCount()); err != nil {
		return err
	}
	s.later(func() error { s.release(); return nil })
	return nil
}

func (s *supervisor) shareEvents() error {
	s.release()
	_, err := supervise.ShareEvents(s.eventCount())
	return err
}

// eventCount is that of all slots, the supervisor's too.
func (s *supervisor) eventCount() int { return 2*len(s.cfg.DPDK.Lcores) + 1 }

// startWorkers starts the first generation.
func (s *supervisor) startWorkers() error {
	lcores := s.cfg.DPDK.Lcores
	var err error
	if s.events, err = supervise.EventFiles(s.eventCount()); err != nil {
		return err
	}
	s.later(func() error {
		for _, f := range s.events {
			f.Close()
		}
		return nil
	})
	if err := s.fabric.setEvents(s.events); err != nil {
		return err
	}
	binary, err := supervise.OpenBinary("/proc/self/exe")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := dpdk.AddressSpace()
	for i := range 2 * len(lcores) {
		index := i % len(lcores)
		s.slots = append(s.slots, &slot{Part: supervise.Part{
			Slot: i, Slots: 2 * len(lcores), Index: index, Lcore: lcores[index], CPU: s.cfg.DPDK.CPU(lcores[index]), Name: s.cfg.File,
			From: from, To: to,
		}})
	}
	s.log.Info("starting workers", "lcores", lcores, "file_prefix", s.cfg.DPDK.FilePrefix)
	for _, x := range s.slots[:len(lcores)] {
		x.binary = binary
		if err := s.launch(x); err != nil {
			s.fail(err)
			return nil // wait sees the others end
		}
	}
	return nil
}

// ask sends a question to a worker and waits for the answer. It takes s.mu, but not while it waits.
func (s *supervisor) ask(x *slot, m supervise.Message) (supervise.Message, error) {
	m.ID = s.question.Add(1)
	c := make(chan supervise.Message, 1)
	s.mu.Lock()
	p, gone := x.proc, x.gone
	if p == nil {
		s.mu.Unlock()
		return m, fmt.Errorf("slot %d: there is no worker", x.Slot)
	}
	s.questions[m.ID] = c
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.questions, m.ID)
	}()
	if err := p.Send(m); err != nil {
		return m, fmt.Errorf("slot %d: %w", x.Slot, err)
	}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case a := <-c:
		if a.Error != "" {
			return a, fmt.Errorf("slot %d: %s", x.Slot, a.Error)
		}
		return a, nil
	case <-gone:
		return m, fmt.Errorf("slot %d: the worker ended", x.Slot)
	case <-late.C:
		return m, fmt.Errorf("slot %d: the worker has not answered within %v", x.Slot, answerWithin)
	}
}
