package fstack

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
)

// answer does what a tool asks for.
func (s *supervisor) answer(ctx context.Context, r control.Request, say func(string)) (*control.Status, error) {
	switch r.Command {
	case control.CommandStatus:
		return s.status(), nil
	case control.CommandReload:
		return nil, s.reloadAll(say)
	case control.CommandUpgrade:
		return nil, s.upgrade(say)
	case control.CommandStop:
		say(fmt.Sprintf("supervisor %d and its workers are ending, within %v", os.Getpid(), grace))
		s.endAll("the command stop", grace)
		<-ctx.Done()
		return nil, nil
	}
	return nil, unknownCommand(r.Command)
}

// status asks all workers how they are.
func (s *supervisor) status() *control.Status {
	s.mu.Lock()
	var alive []*slot
	for _, x := range s.slots {
		if x.proc != nil && x.state != control.StateStarting {
			alive = append(alive, x)
		}
	}
	s.mu.Unlock()
	var asking sync.WaitGroup
	for _, x := range alive {
		asking.Go(func() {
			if a, err := s.ask(x, supervise.Message{Kind: supervise.Tell}); err == nil && a.Facts != nil {
				s.mu.Lock()
				x.facts = *a.Facts
				s.mu.Unlock()
			}
		})
	}
	asking.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &control.Status{
		PID: os.Getpid(), Since: s.since, Version: version(), DPDK: dpdk.Version(), Prefix: s.cfg.DPDK.FilePrefix, Config: s.cfg.File, Generation: s.generation,
	}
	for _, x := range s.slots {
		if x.state == "" {
			continue
		}
		w := control.Worker{
			Slot: x.Slot, Index: x.Index, Lcore: x.Lcore, CPU: x.CPU, State: x.state, Restarts: x.restarts, Since: x.since, Generation: x.Generation,
			Version: x.version.Module, Error: x.err,
		}
		if x.proc != nil {
			w.PID, w.Pinned, w.Queues = x.proc.PID, x.facts.Pinned, slices.Clone(x.facts.Queues)
		}
		w.MbufsInUse, w.MbufsTotal = s.fabric.mbufs(x)
		t.Workers = append(t.Workers, w)
	}
	return t
}

// reloadAll reads the config file again and has all workers change what can change.
func (s *supervisor) reloadAll(say func(string)) error {
	s.reloads.Lock()
	defer s.reloads.Unlock()
	to, err := reread(s.cfg, s.file)
	if err != nil {
		return fmt.Errorf("nothing has changed: %w", err)
	}
	now, restart := s.settings.difference(to)
	s.mu.Lock()
	var workers []*slot
	for _, x := range s.slots {
		if x.proc != nil && (x.state == control.StateServing || x.state == control.StateDraining) {
			workers = append(workers, x)
		}
	}
	s.mu.Unlock()
	for i, x := range workers {
		_, err := s.ask(x, supervise.Message{Kind: supervise.Reload, Name: to.File, Text: string(to.Text)})
		switch {
		case err == nil:
		case i == 0: // they are all alike: what one takes, the others take too
			return fmt.Errorf("nothing has changed: %w", err)
		default:
			s.log.Error("a worker has not taken the new config", "slot", x.Slot, "lcore", x.Lcore, "because", err)
			say(fmt.Sprintf("not everywhere: %v", err))
		}
	}
	s.mu.Lock()
	s.reloaded = to
	s.mu.Unlock()
	s.log.level.Set(to.Stack.LogLevel)
	s.settings.adopt(to)
	for _, l := range report(now, restart) {
		s.log.Info("config read again", "file", to.File, "result", l)
		say(l)
	}
	return nil
}
