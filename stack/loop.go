package stack

import (
	"fmt"
	"time"
)

// Idle says what the loop does when a turn did nothing.
type Idle int

// The idle policies.
const (
	// IdlePoll never sleeps: the lowest latency, a core at full load.
	IdlePoll Idle = iota
	// IdleAdaptive polls on for a moment, then sleeps until a frame, a timer or a write wakes it.
	IdleAdaptive
)

// ParseIdle reads a policy's name.
func ParseIdle(s string) (Idle, error) {
	switch s {
	case "poll":
		return IdlePoll, nil
	case "adaptive":
		return IdleAdaptive, nil
	}
	return 0, fmt.Errorf("idle policy %q is neither poll nor adaptive", s)
}

const (
	idleSpin = 50 * time.Microsecond // how long an adaptive loop polls on after the last work
	restMax  = time.Second           // longest sleep, in case a device's interrupt is lost
	restPoll = time.Millisecond / 2  // longest sleep with a device that has no interrupt
)

// Loop turns the stack until stop is closed, and flushes what is to be sent.
func (s *Stack) Loop(idle Idle, stop <-chan struct{}) error {
	if err := s.rest.open(s.ports, s.sleepers); err != nil {
		return err
	}
	defer s.rest.close()
	busy := s.clock.source()
	for turn := uint(0); ; turn++ {
		now := s.clock.source()
		if s.Poll(now) > 0 {
			busy = now
		} else if idle == IdleAdaptive && now-busy > int64(idleSpin) {
			if err := s.sleep(); err != nil {
				return err
			}
			busy = s.clock.source()
		}
		if turn%gosched == 0 || idle == IdleAdaptive {
			select {
			case <-stop:
				s.Poll(s.clock.source())
				for _, d := range s.ports {
					d.Flush()
				}
				return nil
			default:
			}
		}
	}
}

// sleep rests until something happens. The order keeps a wake-up from being lost: announce the sleep and arm
// the interrupts, look once more, then wait.
func (s *Stack) sleep() error {
	s.clock.asleep.Store(true)
	defer s.clock.asleep.Store(false)
	if err := s.rest.arm(true); err != nil {
		return err
	}
	if now := s.clock.source(); s.Poll(now) == 0 {
		until := s.Next()
		if s.stuck { // nothing tells when the device takes frames again, and perhaps it never does
			until = now + int64(restPoll)
		}
		if until > now {
			s.mu.Lock()
			s.counters.Sleeps++
			s.mu.Unlock()
			s.rest.wait(time.Duration(min(until-now, int64(s.rest.max))))
		}
	}
	return s.rest.arm(false)
}

// Kick wakes the loop if it sleeps: for a write from an application goroutine. It may be called from anywhere.
func (s *Stack) Kick() {
	if s.clock.asleep.Load() {
		s.rest.kick()
	}
}
