package fstack

import (
	"fmt"
	"time"

	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/internal/supervise"
)

// How a worker begins: launched ─► greeted ─► attached ─► up ─► it has its share.

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
