package fstack

import (
	"fmt"
	"time"

	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/internal/supervise"
)

// How a run ends: all workers are asked to, and it is over when none is left.

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
