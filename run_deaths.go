package fstack

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
)

// How a worker ends, and what becomes of its slot: it is started again, or it was the last of its kind. Like all that
// follows unless it says otherwise, with s.mu held.

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
	if err := dpdk.Forget(pid); err != nil {
		log.Debug("files of a worker stay", "because", err)
	}
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
	s.takeBack(x)
	if !s.began {
		s.begin() // the others need not wait for it
	}
	s.checkOver()
}

// takeBack takes back what a worker that is gone had. As long as another process stands still in the midst of something,
// stopped by a debugger perhaps, that cannot be done: it is tried again and again, and the slot waits.
func (s *supervisor) takeBack(x *slot) {
	err := s.fabric.reclaim(x, s.anyAlive())
	if err == nil {
		x.held = false
		return
	}
	if !x.held {
		s.log.Error("what a worker had is not taken back yet; trying again", "slot", x.Slot, "lcore", x.Lcore, "because", err)
	}
	x.held = true
	time.AfterFunc(takeBackEvery, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-s.over:
		default:
			s.takeBack(x)
		}
	})
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
	var launch func()
	launch = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if x.state != control.StateRestart || x.since != since {
			return
		}
		if x.held && !s.ending {
			time.AfterFunc(takeBackEvery, launch)
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
	}
	time.AfterFunc(pause, launch)
}
