package fstack

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/internal/supervise"
)

// listenWithin is how long the new generation may take to listen on what the old one listens on.
const listenWithin = 10 * time.Second

// upgrade starts the program's present version beside the one that serves, and has it take over. With an error the old
// one serves on as before.
func (s *supervisor) upgrade(say func(string)) (err error) {
	old, fresh, err := s.beginUpgrade()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.rollBack(old, fresh)
			err = fmt.Errorf("the new version is stopped, the old one serves on: %w", err)
			s.log.Error("upgrade rolled back", "because", err)
		}
		s.mu.Lock()
		s.upgrading = false
		s.mu.Unlock()
	}()
	tell := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		s.log.Info("upgrade", "step", line)
		say(line)
	}
	tell("starting %s as generation %d", s.path, fresh[0].Generation)
	for _, x := range fresh {
		if !s.comesUp(x) {
			return fmt.Errorf("worker on lcore %d: %s", x.Lcore, s.errOf(x))
		}
	}
	for _, x := range fresh {
		if err := s.send(x, supervise.Message{Kind: supervise.Run}); err != nil {
			return err
		}
	}
	tell("generation %d is up; waiting until it listens", fresh[0].Generation)
	if err := s.awaitListening(old, fresh); errors.Is(err, errNotListening) {
		tell("after %v it does not listen on all that the old one listens on; it takes over nevertheless", listenWithin)
	} else if err != nil {
		return err
	}
	for i := range fresh {
		if err := s.handOver(old[i], fresh[i]); err != nil {
			return err
		}
	}
	s.settle(1-s.half, append(slices.Clone(fresh), old...)...)
	within := s.settings.config().Stack.Drain
	s.mu.Lock()
	s.generation, s.half = fresh[0].Generation, 1-s.half
	for _, x := range old {
		if x.proc != nil {
			s.enter(x, control.StateDraining)
			x.proc.Send(supervise.Message{Kind: supervise.End, Why: "an upgrade", Within: within, Replaced: true})
			p := x.proc
			time.AfterFunc(within+killAfter, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				if x.proc == p {
					s.log.Error("worker does not end; killed", "slot", x.Slot, "lcore", x.Lcore, "worker", p.PID)
					p.Kill()
				}
			})
		} else if x.state == control.StateDone || x.state == control.StateRestart {
			s.free(x)
		}
	}
	for _, x := range fresh {
		x.up, x.took = nil, false // from here on a death means a restart
		if x.proc == nil {        // as it does for one that has died just now
			x.binary = s.binaryOf(fresh)
			s.restart(x, s.log.With("slot", x.Slot, "lcore", x.Lcore, "because", x.err), x.served)
		}
	}
	s.mu.Unlock()
	tell("generation %d serves; the one before finishes its connections, within %v", fresh[0].Generation, within)
	return nil
}

// beginUpgrade starts the new workers.
func (s *supervisor) beginUpgrade() (old, fresh []*slot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.slots) / 2
	old, fresh = s.slots[s.half*n:][:n], s.slots[(1-s.half)*n:][:n]
	switch {
	case s.ending:
		return nil, nil, errors.New("the program is ending")
	case s.upgrading:
		return nil, nil, errors.New("another upgrade is on the way")
	}
	for _, x := range fresh {
		if x.state != "" || x.held {
			return nil, nil, fmt.Errorf("the version before still finishes its connections (lcore %d); status tells its pid: wait for it, or end it with kill", x.Lcore)
		}
	}
	for _, x := range old {
		if x.state != control.StateServing {
			return nil, nil, fmt.Errorf("worker on lcore %d is %s; wait until it serves", x.Lcore, x.state)
		}
	}
	binary, err := supervise.OpenBinary(s.path)
	if err != nil {
		return nil, nil, err
	}
	s.upgrading = true
	for _, x := range fresh {
		x.binary, x.Generation, x.up, x.err = binary, s.generation+1, make(chan struct{}), ""
	}
	for _, x := range fresh {
		if err := s.launch(x); err != nil {
			s.upgrading = false
			for _, y := range fresh {
				if y.proc != nil {
					y.proc.Kill() // gone frees it
				} else {
					s.free(y)
				}
			}
			return nil, nil, err
		}
	}
	return old, fresh, nil
}

// binaryOf is the binary of those workers, nil if none lives and it is gone.
func (s *supervisor) binaryOf(all []*slot) *supervise.Binary {
	for _, x := range all {
		if x.binary != nil {
			return x.binary
		}
	}
	b, err := supervise.OpenBinary(s.path)
	if err != nil {
		s.log.Error("the program cannot be opened", "because", err)
		return nil
	}
	return b
}

// comesUp waits until a new worker's stack runs, or its process has ended.
func (s *supervisor) comesUp(x *slot) bool {
	s.mu.Lock()
	up, gone := x.up, x.gone
	s.mu.Unlock()
	if up == nil { // it has ended already
		return false
	}
	select {
	case <-up:
		return true
	case <-gone:
		return false
	}
}

var errNotListening = errors.New("not listening")

// awaitListening waits until each new worker listens on what the old one in its place listens on.
func (s *supervisor) awaitListening(old, fresh []*slot) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; <-tick.C {
		all := true
		for i, x := range fresh {
			if !s.living(x) {
				return fmt.Errorf("worker on lcore %d: %s", x.Lcore, s.errOf(x))
			}
			all = all && s.fabric.listens(x, old[i])
		}
		if all {
			return nil
		}
		if time.Since(start) > listenWithin {
			return errNotListening
		}
	}
}

// handOver moves the queues and the new connections of one lcore.
func (s *supervisor) handOver(from, to *slot) error {
	s.mu.Lock()
	to.took = true
	give, take, err := s.fabric.handOver(from, to)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.give(from, give); err != nil {
		return err
	}
	if _, err := s.ask(to, supervise.Message{Kind: supervise.SetPaths, Paths: take}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if to.proc == nil {
		return fmt.Errorf("worker on lcore %d: %s", to.Lcore, to.err)
	}
	if from.proc != nil {
		s.enter(from, control.StateDraining)
	}
	s.fabric.join(to)
	s.serves(to)
	return nil
}

// give has a worker give its queues up. One that died has lost them to the supervisor; what has been started in its
// place meanwhile comes too late.
func (s *supervisor) give(from *slot, paths []supervise.Path) error {
	s.mu.Lock()
	p, gone, up := from.proc, from.gone, from.facts.Threads > 0
	s.mu.Unlock()
	switch {
	case p == nil:
	case up:
		if _, err := s.ask(from, supervise.Message{Kind: supervise.SetPaths, Paths: paths}); err != nil && s.living(from) {
			return err
		}
	default:
		p.Kill()
		<-gone
	}
	s.mu.Lock()
	err := s.fabric.unmindSlot(from.Slot)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.fabric.released(from)
}

// rollBack gives the old workers back what the new ones have taken, and ends the new ones.
func (s *supervisor) rollBack(old, fresh []*slot) {
	for i, x := range fresh {
		s.mu.Lock()
		took := x.took
		give, take, err := s.fabric.handOver(x, old[i])
		s.mu.Unlock()
		if took && err == nil {
			err = s.give(x, give)
			if err == nil {
				_, err = s.ask(old[i], supervise.Message{Kind: supervise.SetPaths, Paths: take})
			}
			s.mu.Lock()
			if old[i].proc != nil {
				s.fabric.join(old[i])
				s.serves(old[i])
			}
			s.mu.Unlock()
		}
		if err != nil {
			s.log.Error("a queue does not go back", "slot", old[i].Slot, "lcore", old[i].Lcore, "because", err)
		}
	}
	for _, x := range fresh {
		s.mu.Lock()
		p, gone := x.proc, x.gone
		s.mu.Unlock()
		if p == nil {
			continue
		}
		p.Send(supervise.Message{Kind: supervise.End, Why: "the upgrade failed", Within: time.Second})
		select {
		case <-gone:
		case <-time.After(2 * time.Second):
			p.Kill()
			<-gone
		}
	}
}

// settle has those workers that poll no queue of a port reach it by way of the generation that now polls.
func (s *supervisor) settle(half int, all ...*slot) {
	for _, x := range all {
		s.mu.Lock()
		paths, err := s.fabric.settled(x, half)
		s.mu.Unlock()
		if err == nil && s.living(x) {
			_, err = s.ask(x, supervise.Message{Kind: supervise.SetPaths, Paths: paths})
		}
		if err != nil && s.living(x) {
			s.log.Error("a worker does not find its ports", "slot", x.Slot, "lcore", x.Lcore, "because", err)
		}
	}
}

func (s *supervisor) living(x *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.proc != nil
}

func (s *supervisor) errOf(x *slot) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.err
}

func (s *supervisor) send(x *slot, m supervise.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.proc == nil {
		return fmt.Errorf("worker on lcore %d: %s", x.Lcore, x.err)
	}
	return x.proc.Send(m)
}
