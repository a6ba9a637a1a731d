package fstack

import (
	"cmp"
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
	"github.com/fstack-go/fstack/control"
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
	up       chan struct{} // of an upgrade: closed when its stack runs; nil: the slot is of no upgrade on its way
	gone     chan struct{} // closed when its process is
	ready    bool          // its stack runs, and it waits for its share
	took     bool          // in an upgrade, it has the queues, or is about to
	done     bool          // its application has returned
	asked    bool          // because somebody asked the process to end
	err      string        // why it ended last
}

const (
	startWithin  = time.Minute      // a worker's start
	answerWithin = 5 * time.Second  // to a question
	killAfter    = 10 * time.Second // a worker that does not end in its time
	startDeaths  = 5                // in a row, without any worker that ever served for a while: the run is given up
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

// launch starts the process of a slot. Like all that follows unless it says otherwise, with s.mu held.
func (s *supervisor) launch(x *slot) error {
	if x.binary == nil {
		return fmt.Errorf("start worker %d: there is no program to start", x.Slot)
	}
	text, err := supervise.ConfigFile(s.cfg.Text)
	if err != nil {
		return err
	}
	defer text.Close()
	x.gone, x.ready, x.done, x.asked, x.served, x.facts = make(chan struct{}), false, false, false, time.Time{}, supervise.Facts{}
	if x.proc, err = supervise.Start(x.binary, x.Part, text, s.events); err != nil {
		return err
	}
	s.enter(x, control.StateStarting)
	s.fabric.starting(x)
	s.log.Debug("worker started", "slot", x.Slot, "lcore", x.Lcore, "worker", x.proc.PID)
	p := x.proc
	go func() {
		end := p.Watch(func(m supervise.Message) { s.message(x, p, m) })
		s.gone(x, end)
	}()
	time.AfterFunc(startWithin, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if x.proc == p && x.state == control.StateStarting {
			s.log.Error("worker does not come up; killed", "slot", x.Slot, "lcore", x.Lcore, "worker", p.PID, "after", startWithin.String())
			p.Kill()
		}
	})
	return nil
}

func (s *supervisor) enter(x *slot, state string) { x.state, x.since = state, time.Now() }

// message does what a worker says. It takes s.mu.
func (s *supervisor) message(x *slot, p *supervise.Process, m supervise.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Kind {
	case supervise.Hello:
		s.greet(x, p, m.Version)
	case supervise.Attached:
		paths, err := s.fabric.opening(x)
		if err != nil {
			s.log.Error("worker cannot have its queues; killed", "slot", x.Slot, "worker", p.PID, "because", err)
			x.err = err.Error()
			p.Kill()
			return
		}
		p.Send(supervise.Message{Kind: supervise.Open, Paths: paths})
	case supervise.Up:
		if m.Facts != nil {
			x.facts = *m.Facts
		}
		if s.reloaded != nil {
			p.Send(supervise.Message{Kind: supervise.Reload, Name: s.reloaded.File, Text: string(s.reloaded.Text)})
		}
		if x.up != nil { // upgrade goes on with it
			close(x.up)
			return
		}
		x.ready = true
		s.begin()
	case supervise.Answer:
		if c := s.questions[m.ID]; c != nil {
			delete(s.questions, m.ID)
			c <- m
		}
	case supervise.Done:
		x.done, x.asked, x.err = true, m.Asked, m.Error
	}
}

func (s *supervisor) greet(x *slot, p *supervise.Process, v *supervise.Version) {
	mine := thisVersion()
	why := ""
	switch {
	case v == nil:
		why = "it does not say which version it is"
	case v.Protocol != mine.Protocol:
		why = fmt.Sprintf("the worker speaks version %q of their language, the supervisor %q; stop the program, and start the new one", v.Protocol, mine.Protocol)
	case v.DPDK != mine.DPDK:
		why = fmt.Sprintf("the worker has %s, the supervisor %s, and they share memory; stop the program, and start the new one", v.DPDK, mine.DPDK)
	}
	if why != "" {
		x.err = why
		p.Send(supervise.Message{Kind: supervise.Refuse, Error: why})
		return
	}
	x.version = *v
	p.Send(supervise.Message{Kind: supervise.Welcome})
}

// begin has the workers serve that are ready. The first ones of a run wait for each other, so that no flow has been
// another's before.
func (s *supervisor) begin() {
	var ready []*slot
	for _, x := range s.slots {
		if x.ready {
			ready = append(ready, x)
		} else if x.proc != nil && !s.began {
			return
		}
	}
	if len(ready) == 0 {
		return
	}
	s.began = true
	s.fabric.join(ready...)
	for _, x := range ready {
		x.ready = false
		s.serves(x)
		x.proc.Send(supervise.Message{Kind: supervise.Run})
		if s.ending {
			x.proc.Send(supervise.Message{Kind: supervise.End, Why: "the supervisor is ending", Within: grace})
		}
	}
}

// serves notes that a worker has its share.
func (s *supervisor) serves(x *slot) {
	s.enter(x, control.StateServing)
	x.served = x.since
	s.log.Info("worker serves", "slot", x.Slot, "lcore", x.Lcore, "worker", x.proc.PID, "generation", x.Generation, "pinned", x.facts.Pinned, "threads", x.facts.Threads)
	p := x.proc
	time.AfterFunc(supervise.Healthy, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.healthy = s.healthy || x.proc == p
	})
}

// gone is told when a process has ended. It takes s.mu.
func (s *supervisor) gone(x *slot, end string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	pid, was, served := x.proc.PID, x.state, x.served
	x.proc, x.ready = nil, false
	close(x.gone)
	killed := strings.HasPrefix(end, "signal: ")
	log := s.log.With("slot", x.Slot, "lcore", x.Lcore, "worker", pid)
	if x.done && x.err == "" {
		end = "its application has returned"
		if x.asked {
			end = "it was asked to end"
		}
	} else if x.err == "" || !x.done && was != control.StateStarting {
		x.err = end
	}
	s.fabric.leave(x)
	moved := time.Since(at)
	switch {
	case x.up != nil || was == control.StateDraining:
		s.free(x)
		log.Info("worker is gone", "because", cmp.Or(x.err, end), "generation", x.Generation)
	case s.ending || x.done && x.err == "" && !x.asked:
		s.enter(x, control.StateDone)
		log.Info("worker is done", "because", end)
	case !s.healthy && !killed && !x.asked && (served.IsZero() || x.done): // it would end like that again
		s.enter(x, control.StateDone)
		s.fail(fmt.Errorf("worker on lcore %d: %s", x.Lcore, cmp.Or(x.err, end)))
	default:
		s.restart(x, log.With("because", cmp.Or(x.err, end), "taken over in", moved.String()), served)
	}
	s.fabric.reclaim(x, s.anyAlive())
	if !s.began {
		s.begin() // the others need not wait for it
	}
	s.checkOver()
}

func (s *supervisor) anyAlive() bool {
	for _, x := range s.slots {
		if x.proc != nil {
			return true
		}
	}
	return false
}

// free makes a slot that no worker needs any more one for the next upgrade.
func (s *supervisor) free(x *slot) {
	if x.binary != nil && !s.uses(x.binary, x) {
		x.binary.Close()
	}
	x.state, x.binary, x.up, x.took, x.restarts, x.backoff = "", nil, nil, false, 0, supervise.Backoff{}
}

func (s *supervisor) uses(b *supervise.Binary, but *slot) bool {
	for _, x := range s.slots {
		if x != but && x.binary == b {
			return true
		}
	}
	return false
}

// restart starts a worker again after a pause.
func (s *supervisor) restart(x *slot, log interface{ Error(string, ...any) }, served time.Time) {
	var lived time.Duration
	if !served.IsZero() {
		lived = time.Since(served)
	}
	pause := x.backoff.Died(lived)
	if x.asked {
		pause, x.backoff = 0, supervise.Backoff{}
	}
	if !s.healthy && x.backoff.Deaths() >= startDeaths {
		s.enter(x, control.StateDone)
		s.fail(fmt.Errorf("worker on lcore %d ended %d times, and none has ever served for %v: %s", x.Lcore, startDeaths, supervise.Healthy, x.err))
		return
	}
	x.restarts++
	s.enter(x, control.StateRestart)
	log.Error("worker ended; starting it again", "in", pause.String(), "restarts", x.restarts)
	since := x.since
	time.AfterFunc(pause, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if x.state != control.StateRestart || x.since != since {
			return
		}
		if s.ending {
			s.enter(x, control.StateDone)
			s.checkOver()
			return
		}
		if err := s.launch(x); err != nil {
			x.err = err.Error()
			s.restart(x, s.log.With("slot", x.Slot, "lcore", x.Lcore, "because", err), time.Time{})
		}
	})
}

// fail ends the run with an error.
func (s *supervisor) fail(err error) {
	if s.err == nil && !s.ending {
		s.err = err
	}
	go s.endAll(err.Error(), grace)
}

// endAll asks all workers to end, and kills those that do not. It takes s.mu.
func (s *supervisor) endAll(why string, within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	s.log.Info("ending", "because", why, "within", within.String())
	for _, x := range s.slots {
		p := x.proc
		if p == nil {
			if x.state == control.StateRestart {
				s.enter(x, control.StateDone)
			}
			continue
		}
		p.Send(supervise.Message{Kind: supervise.End, Why: why, Within: within})
		time.AfterFunc(within+killAfter, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if x.proc == p {
				s.log.Error("worker does not end; killed", "slot", x.Slot, "lcore", x.Lcore, "worker", p.PID)
				p.Kill()
			}
		})
	}
	s.checkOver()
}

// checkOver ends the run when no worker is left and none is to come.
func (s *supervisor) checkOver() {
	for _, x := range s.slots {
		if x.proc != nil || x.state == control.StateRestart {
			return
		}
	}
	select {
	case <-s.over:
	default:
		for _, x := range s.slots { // what one said at its end, unless an error came first
			if s.err == nil && x.err != "" && x.done {
				s.err = fmt.Errorf("worker on lcore %d: %s", x.Lcore, x.err)
			}
		}
		close(s.over)
	}
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
