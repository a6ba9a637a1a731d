package stack

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// Clock is the time of a stack and its timers for deadlines and netstack: it moves only when Poll is called,
// so that a turn reads the clock once and a test turns it by hand. (stack/tcp has a timer wheel of its own.)
type Clock struct {
	now    atomic.Int64
	asleep atomic.Bool
	source func() int64
	kick   func()

	mu     sync.Mutex
	timers timerHeap
}

func (c *Clock) init(source func() int64, kick func()) {
	c.source, c.kick = source, kick
	c.now.Store(source())
}

// Now is the time in monotonic nanoseconds: of this turn, or of the source while the loop sleeps.
func (c *Clock) Now() int64 {
	if c.asleep.Load() {
		return c.source()
	}
	return c.now.Load()
}

func (c *Clock) set(now int64) { c.now.Store(now) }

// Timer calls a function once at its time, from the loop.
type Timer struct {
	clock *Clock
	at    int64
	index int // in the heap, -1: not set
	f     func()
}

// AfterFunc has the loop call f after d. f runs with the stack's lock held: it must not block.
func (c *Clock) AfterFunc(d time.Duration, f func()) *Timer {
	t := &Timer{clock: c, index: -1, f: f}
	t.Reset(d)
	return t
}

// Stop prevents the call and returns whether it was still to come.
func (t *Timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// Reset sets the timer to call after d from now, whether it was set or not.
func (t *Timer) Reset(d time.Duration) {
	c := t.clock
	c.mu.Lock()
	t.at = c.Now() + int64(max(d, 0))
	if t.at < 0 { // so far off that it overflows
		t.at = Never - 1
	}
	if t.index < 0 {
		heap.Push(&c.timers, t)
	} else {
		heap.Fix(&c.timers, t.index)
	}
	first := t.index == 0
	c.mu.Unlock()
	if first {
		c.kick()
	}
}

// fire calls the functions of the timers that are due.
func (c *Clock) fire(now int64) (n int) {
	c.mu.Lock()
	for len(c.timers) > 0 && c.timers[0].at <= now {
		t := heap.Pop(&c.timers).(*Timer)
		c.mu.Unlock()
		t.f()
		n++
		c.mu.Lock()
	}
	c.mu.Unlock()
	return n
}

func (c *Clock) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return Never
	}
	return c.timers[0].at
}

type timerHeap []*Timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
