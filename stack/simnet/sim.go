package simnet

import (
	"time"

	"github.com/fstack-go/fstack/stack"
)

// Sim turns stacks and wires on one clock that jumps from event to event.
type Sim struct {
	Stacks []*stack.Stack
	Wires  []*Wire
	// Settle, if set, waits until the goroutines that a turn has woken are at rest (netstack's TCP has some).
	Settle func()
	now    int64
}

// Now is the simulated time in nanoseconds, for stack.New and New.
func (s *Sim) Now() int64 { return s.now }

// turn is the simulated time that a round of turns takes: without it a wire without latency would have a round trip of
// zero, for which no TCP's loss detection is made (it would send again at once, for ever).
const turn = time.Microsecond

// Run turns until done returns true, for at most limit of simulated time, and returns whether it did.
// done is asked after each round of turns and may use sockets.
func (s *Sim) Run(limit time.Duration, done func() bool) bool {
	end := s.now + int64(limit)
	for {
		for busy := true; busy; {
			busy = false
			for _, st := range s.Stacks {
				if st.Poll(s.now) > 0 {
					busy = true
				}
			}
			if s.Settle != nil {
				s.Settle()
			}
			if done != nil && done() {
				return true
			}
			if busy {
				s.now += int64(turn)
			}
			if s.now > end {
				return false
			}
		}
		next := stack.Never
		for _, st := range s.Stacks {
			next = min(next, st.Next())
		}
		for _, w := range s.Wires {
			next = min(next, w.Next())
		}
		if next > end {
			s.now = max(s.now, end)
			for _, st := range s.Stacks { // so that they know the time, too
				st.Poll(s.now)
			}
			return done != nil && done()
		}
		s.now = max(s.now+int64(turn), next) // at least a step: no stack can hold the clock
	}
}

// Sleep lets so much simulated time pass.
func (s *Sim) Sleep(d time.Duration) { s.Run(d, nil) }
