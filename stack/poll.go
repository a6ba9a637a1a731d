package stack

import (
	"math"
	"runtime"
)

// Poll is one turn of the loop at the time now (monotonic nanoseconds, never going back): the walk of a packet
// through the stack, in its order. It returns how much it did; zero means that the loop may rest.
//
// Everything but the application's part runs with the stack's lock held. Only one goroutine may call it.
func (s *Stack) Poll(now int64) int {
	s.mu.Lock()
	s.begin(now)

	// 1. Inhale: send what the last turn left in the queues, take in a burst from each port.
	work := s.inhale()

	// 2. Deliver: each frame to the first layer that takes it.
	s.deliver()

	// 3. Timers that came due: the layers' wheels, then deadlines and netstack's.
	work += s.advance(now)
	s.mu.Unlock()

	// 4. Serve: the application, as callback or as the goroutines that became runnable.
	work += s.serve(now)

	// 5. Exhale: what was written and is owed goes into the ports' queues; the next turn's exchange sends it.
	s.mu.Lock()
	work += s.exhale(now)
	s.worked = work > 0
	s.mu.Unlock()
	return work
}

func (s *Stack) begin(now int64) {
	s.clock.set(now)
	s.counters.Turns++
	if s.worked {
		s.counters.BusyNanos += uint64(now - s.last)
	} else {
		s.counters.IdleTurns++
	}
	s.last = now
}

func (s *Stack) inhale() (n int) {
	s.stuck = false
	for _, d := range s.ports {
		q := d.Queue()
		had := len(q.Taken())
		d.Exchange()
		sent := had - len(q.Taken())
		s.stuck = s.stuck || sent < had
		n += sent + len(q.Rx)
	}
	return n
}

func (s *Stack) deliver() {
	for port, d := range s.ports {
		rx := d.Queue().Rx
		for len(rx) > 0 {
			n := 1
			for rx[n-1].Flags&More != 0 && n < len(rx) {
				n++
			}
			s.counters.RxFrames++
			s.deliverFrame(port, rx[:n:n])
			rx = rx[n:]
		}
	}
}

func (s *Stack) deliverFrame(port int, frame []Frame) {
	for i := range frame {
		s.counters.RxBytes += uint64(frame[i].Len)
	}
	for i, l := range s.layers {
		if i == len(s.layers)-1 && s.steering != nil && s.steering.Steer(port, frame) {
			return
		}
		if l.Deliver(port, frame) {
			return
		}
	}
	s.counters.DropNoLayerTookFrame++
}

func (s *Stack) advance(now int64) int {
	for _, l := range s.layers {
		l.Advance(now)
	}
	return s.clock.fire(now)
}

// gosched is how many idle turns pass between two chances for other goroutines (signals, kernel sockets).
const gosched = 64

func (s *Stack) serve(int64) (work int) {
	if s.Serve != nil && s.Serve() {
		work = 1
	}
	if s.yield.Load() {
		s.yield.Store(false)
		runtime.Gosched()
		return work + 1
	}
	if s.counters.Turns%gosched == 0 {
		runtime.Gosched()
	}
	return work
}

func (s *Stack) exhale(now int64) (work int) {
	for _, l := range s.layers {
		n := l.Exhale(now)
		s.counters.TxFrames += uint64(n)
		work += n
	}
	return work
}

// Next is when the next timer is due, Never if none is set.
func (s *Stack) Next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.clock.next()
	for _, l := range s.layers {
		if l.Pending() {
			return math.MinInt64
		}
		next = min(next, l.Next())
	}
	return next
}
