package fstack

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
)

// protocol is the version of what supervisor and workers say to each other, and of what they share in memory.
var protocol = "2"

func thisVersion() *supervise.Version {
	return &supervise.Version{Protocol: protocol, DPDK: dpdk.Version(), Module: version()}
}

// worker is what a worker process has beside its engine.
type worker struct {
	*supervise.Worker
	orphan atomic.Bool // its supervisor is gone
	up     atomic.Bool // its stack runs
	paths  atomic.Pointer[[]supervise.Path]
	open   chan []supervise.Path
	run    chan struct{}
	ran    bool
}

// runWorker runs app in a process that a supervisor has started.
func runWorker(cfg *config.Config, in *supervise.Worker, app func() error) error {
	log, err := newLogger(cfg, in.Lcore, strconv.Itoa(in.Slot), "slot", in.Slot)
	if err != nil {
		return err
	}
	defer log.close()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	asks := make(chan os.Signal, 2)
	signal.Notify(asks, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(asks)

	if err := greet(in); err != nil {
		return err
	}
	e := newEngine(cfg, log, in.Lcore)
	e.worker = &worker{Worker: in, open: make(chan []supervise.Path, 1), run: make(chan struct{})}
	gone := make(chan struct{})
	go e.obey(gone)
	begun := whileStarting(log.Logger, signals, killSelf)
	err = e.do(e.lockSlot, e.openNamespaces, e.attachEAL, e.attachMesh, e.pin, func() error { return e.awaitPaths(gone) },
		e.attachPorts, e.makeStack, e.startLoop, e.makeCurrent)
	begun()
	if err == nil {
		f := e.facts()
		if !f.Pinned {
			log.Warn("not all threads are tied to the lcore's CPU", "cpu", e.cpu, "threads", f.Threads)
		}
		e.worker.up.Store(true)
		in.Send(supervise.Message{Kind: supervise.Up, Facts: f})
		err = e.serveOrdered(app, signals, asks, gone)
		err = errors.Join(err, e.stop())
	}
	m := supervise.Message{Kind: supervise.Done, Asked: e.asked.Load()}
	if err != nil {
		m.Error = err.Error()
	}
	in.Send(m)
	return err
}

// greet tells the supervisor which version this is, and hears whether it fits.
func greet(in *supervise.Worker) error {
	const what = "fstack.Run: worker and supervisor"
	if err := in.Send(supervise.Message{Kind: supervise.Hello, Version: thisVersion()}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	m, err := in.Receive()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case m.Kind != supervise.Welcome:
		return fmt.Errorf("%s: %s", what, m.Error)
	}
	return nil
}

// serveOrdered runs app when the supervisor says so.
func (e *engine) serveOrdered(app func() error, signals, asks chan os.Signal, gone <-chan struct{}) error {
	select {
	case <-e.worker.run:
	case o := <-e.orders:
		e.log.Info("ending before the application has begun", "because", o.why)
		return nil
	case s := <-signals:
		e.asked.Store(true)
		e.log.Info("ending before the application has begun", "because", s.String())
		return nil
	case <-gone:
		return errors.New("fstack.Run: the supervisor died while the workers started")
	}
	return e.serve(app, signals, asks)
}

// awaitPaths asks for the queues, which another process may poll until then.
func (e *engine) awaitPaths(gone <-chan struct{}) error {
	e.worker.Send(supervise.Message{Kind: supervise.Attached})
	select {
	case paths := <-e.worker.open:
		if len(paths) != len(e.cfg.Ports) {
			return fmt.Errorf("fstack.Run: the supervisor has %d ports, this worker's config %d", len(paths), len(e.cfg.Ports))
		}
		e.worker.paths.Store(&paths)
		return nil
	case <-gone:
		return errors.New("fstack.Run: the supervisor died while the workers started")
	}
}

var errNotUp = errors.New("the stack does not run yet")

// obey does what the supervisor says, until it is gone.
func (e *engine) obey(gone chan<- struct{}) {
	w := e.worker
	for {
		m, err := w.Receive()
		if err != nil {
			break
		}
		answer := supervise.Message{Kind: supervise.Answer, ID: m.ID}
		switch m.Kind {
		case supervise.Open:
			select {
			case w.open <- m.Paths:
			default:
			}
			continue
		case supervise.Run:
			if !w.ran {
				w.ran = true
				close(w.run)
			}
			continue
		case supervise.End:
			e.orders <- endOrder{m.Why, m.Within, m.Replaced}
			continue
		case supervise.SetPaths:
			if err = errNotUp; w.up.Load() {
				err = e.setPaths(m.Paths)
			}
		case supervise.Tell:
			if err = errNotUp; w.up.Load() {
				answer.Facts, err = e.facts(), nil
			}
		case supervise.Reload:
			if err = errNotUp; !w.up.Load() {
				break
			}
			var to *config.Config
			if to, err = config.Parse(m.Name, []byte(m.Text)); err == nil {
				answer.Lines, err = e.reload(to)
			}
		default:
			err = fmt.Errorf("message %q is unknown here", m.Kind)
		}
		if err != nil {
			answer.Error = err.Error()
		}
		w.Send(answer)
	}
	w.orphan.Store(true)
	if e.ended.Load() {
		return
	}
	e.log.Warn("the supervisor is gone; serving on", "supervisor", w.Supervisor, "to end", fmt.Sprintf("kill %d", os.Getpid()))
	close(gone)
}

func (e *engine) lockSlot() error {
	lock, err := supervise.LockSlot(e.cfg.DPDK.FilePrefix, e.worker.Slot, e.lcore)
	if err != nil {
		return err
	}
	e.later(lock.Close)
	return nil
}

// attachEAL shares the supervisor's memory and ports.
func (e *engine) attachEAL() error {
	c := ealConfig(e.cfg, e.log, e.cpu)
	c.Proc, c.MemoryMB, c.NoHuge = dpdk.Secondary, 0, false
	if err := dpdk.Init(c); err != nil {
		return err
	}
	e.later(dpdk.Cleanup)
	return nil
}

// facts are what the process knows of itself.
func (e *engine) facts() *supervise.Facts {
	f := new(supervise.Facts)
	f.Threads, f.Pinned = pinned(e.cpu)
	for n, p := range e.cfg.Ports {
		r := e.reading(n)
		f.MbufsInUse, f.MbufsTotal = f.MbufsInUse+r.mbufs, f.MbufsTotal+r.pool
		q := control.Queue{Port: p.ID}
		if e.worker != nil {
			path := (*e.worker.paths.Load())[n]
			if q.Queue = path.Queue; q.Queue < 0 {
				q.Via = fmt.Sprintf("slot %d", path.Via)
			}
		}
		f.Queues = append(f.Queues, q)
	}
	return f
}
