package stack

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// Direction is what a goroutine waits for at a socket.
type Direction uint8

// The directions. An error or a hang-up ends both waits.
const (
	Receiving Direction = iota // data, a connection to accept, the end of the stream
	Sending                    // room to send, a connect that finished
)

// Waiter makes blocking calls out of a socket that never blocks. Whoever holds the socket tries, and waits
// when there was nothing:
//
//	for {
//		n, err := sockets.Recv(h, p, 0)
//		if err != syscall.EAGAIN {
//			return n, err
//		}
//		if err := waiter.Wait(stack.Receiving); err != nil {
//			return 0, err
//		}
//	}
//
// News that comes between the try and the wait is kept, so none is lost; news that came earlier costs one try
// in vain. In each direction one goroutine at a time may Wait: the holder has a mutex for each. All else may be
// called from anywhere. A Waiter must not be copied; nothing in it allocates after the first wait and the
// first timeout of a direction.
type Waiter struct {
	// Owner is whose waiter it is, for Waiters.Each. It is set before Watch.
	Owner any

	stack  *Stack
	closed atomic.Bool
	sides  [2]waitSide
}

type waitSide struct {
	state   atomic.Uint32
	expired atomic.Bool
	wake    chan struct{} // takes one token for each park

	mu       sync.Mutex // of what follows
	deadline int64      // of the clock, Never: none or expired
	armed    int64      // when the timer will fire, at or before the deadline; Never: not set
	timer    *Timer
}

// The states of a side.
const (
	sideIdle   = iota
	sideReady  // news came and nobody was waiting
	sideParked // a goroutine waits for a token
)

// Init makes w ready for a socket of that stack.
func (w *Waiter) Init(st *Stack) {
	w.stack = st
	for i := range w.sides {
		w.sides[i].deadline, w.sides[i].armed = Never, Never
	}
}

// Check returns net.ErrClosed after Close, os.ErrDeadlineExceeded after the direction's timeout, else nil.
// A call begins with it: what has timed out fails also if it would not have to wait.
func (w *Waiter) Check(d Direction) error {
	if w.closed.Load() {
		return net.ErrClosed
	}
	if w.sides[d].expired.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Wait blocks until there is news in that direction, and returns what Check then says.
func (w *Waiter) Wait(d Direction) error {
	s := &w.sides[d]
	if err := w.Check(d); err != nil { // what turns bad from here on leaves news
		return err
	}
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	if s.state.CompareAndSwap(sideIdle, sideParked) {
		<-s.wake
	}
	s.state.Store(sideIdle)
	return w.Check(d)
}

// Notify passes on the news of a Sink. It may be called with the stack's lock held.
func (w *Waiter) Notify(ev Events) {
	if ev&(EventIn|EventPri|EventRdHup|EventErr|EventHup) != 0 {
		w.Wake(Receiving)
	}
	if ev&(EventOut|EventErr|EventHup) != 0 {
		w.Wake(Sending)
	}
}

// Wake ends the wait in that direction, or the next one: the socket is worth a try.
func (w *Waiter) Wake(d Direction) {
	s := &w.sides[d]
	if s.state.Load() == sideReady {
		return
	}
	if s.state.Swap(sideReady) == sideParked {
		s.wake <- struct{}{} // never blocks: there is one token for each park
		w.stack.Yield()
	}
}

// Closed tells whether Close was called.
func (w *Waiter) Closed() bool { return w.closed.Load() }

// Close ends all waits, now and later, with net.ErrClosed. It returns false if it was done before. The holder
// then locks its mutexes, which waits for those who are leaving, before it closes the socket.
func (w *Waiter) Close() bool {
	if w.closed.Swap(true) {
		return false
	}
	for d := range w.sides {
		w.Wake(Direction(d))
		w.sides[d].stop()
	}
	return true
}
