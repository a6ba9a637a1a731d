package stack

import "math"

// Never is the time of a timer that is not set.
const Never = int64(math.MaxInt64)

// Layer is a protocol engine that a Stack turns: stack/tcp and stack/netstack. The loop calls all of it with
// the stack's lock held. Times are monotonic nanoseconds, the same for all of one turn.
type Layer interface {
	// Deliver takes one received frame (several pieces when it does not lie in one), or returns false to
	// leave it to the next layer. The memory is the device's: it is valid until the end of the turn's Exhale.
	Deliver(port int, frame []Frame) bool
	// Advance runs the timers that came due.
	Advance(now int64)
	// Exhale puts what is to be sent into the ports' queues. What finds no room waits for the next turn.
	// It returns the number of frames that it sent.
	Exhale(now int64) int
	// Next is the time of the next timer, Never if none.
	Next() int64
	// Pending tells whether Exhale has something to send now.
	Pending() bool
}
