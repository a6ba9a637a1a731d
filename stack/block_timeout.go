package stack

import (
	"net"
	"time"
)

// SetTimeout has calls in that direction fail with os.ErrDeadlineExceeded after so much time from now, and the
// one that waits then; at once if it is not positive. It returns net.ErrClosed after Close.
//
// A timeout that is moved further off, as servers do for every request, touches no timer: the timer fires at its
// old time, sees that it is early and sets itself again.
func (w *Waiter) SetTimeout(d Direction, after time.Duration) error {
	s := &w.sides[d]
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.closed.Load() {
		return net.ErrClosed
	}
	if after <= 0 {
		w.expire(d)
		return nil
	}
	// The source, not Now: a goroutine that computed for long holds the turn's time back.
	at := w.stack.clock.source() + int64(after)
	if at < 0 { // so far off that it overflows
		at = Never
	}
	s.deadline = at
	s.expired.Store(false)
	if at < s.armed {
		w.arm(d)
	}
	return nil
}

// ClearTimeout has calls in that direction wait without limit. It returns net.ErrClosed after Close.
func (w *Waiter) ClearTimeout(d Direction) error {
	s := &w.sides[d]
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.closed.Load() {
		return net.ErrClosed
	}
	s.deadline = Never
	s.expired.Store(false)
	return nil
}

// arm sets the side's timer to its deadline. The side is locked.
func (w *Waiter) arm(d Direction) {
	s := &w.sides[d]
	s.armed = s.deadline
	after := time.Duration(s.deadline - w.stack.clock.Now())
	if s.timer == nil {
		s.timer = w.stack.clock.AfterFunc(after, func() { w.fire(d) })
	} else {
		s.timer.Reset(after)
	}
}

// fire is called by the loop when the timer is due: perhaps before the deadline, which has moved, or after it
// was cleared.
func (w *Waiter) fire(d Direction) {
	s := &w.sides[d]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = Never
	switch {
	case w.closed.Load() || s.deadline == Never:
	case s.deadline > w.stack.clock.Now():
		w.arm(d)
	default:
		w.expire(d)
	}
}

// expire marks the side as timed out, which lasts until the next timeout is set. The side is locked.
func (w *Waiter) expire(d Direction) {
	s := &w.sides[d]
	s.deadline = Never
	s.expired.Store(true)
	w.Wake(d)
}

// stop takes the timer of a closed waiter off the clock.
func (s *waitSide) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.deadline, s.armed = Never, Never
}
