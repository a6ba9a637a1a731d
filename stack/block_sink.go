package stack

import (
	"sync"
	"sync/atomic"
)

// Waiters is the Sink of sockets that have a Waiter each: it hands on the news by tag.
type Waiters struct {
	sink  SinkID
	slots atomic.Pointer[[]atomic.Pointer[Waiter]] // by tag

	mu   sync.Mutex // of what follows and of changes to slots
	used int        // tags below were given out
	free []uint32   // and these came back
	none sync.Cond  // told when all did
}

var _ Sink = (*Waiters)(nil)

// NewWaiters returns a sink that is registered with the stack.
func NewWaiters(st *Stack) *Waiters {
	k := new(Waiters)
	k.none.L = &k.mu
	slots := make([]atomic.Pointer[Waiter], 64)
	k.slots.Store(&slots)
	k.sink = st.AddSink(k)
	return k
}

// Watch has the socket's news told to w. The tag ends it, with Forget.
func (k *Waiters) Watch(s Sockets, h Handle, w *Waiter) (tag uint32) {
	k.mu.Lock()
	slots := *k.slots.Load()
	if n := len(k.free); n > 0 {
		tag, k.free = k.free[n-1], k.free[:n-1]
	} else {
		if tag = uint32(k.used); k.used == len(slots) {
			more := make([]atomic.Pointer[Waiter], 2*len(slots))
			for i := range slots {
				more[i].Store(slots[i].Load())
			}
			k.slots.Store(&more)
			slots = more
		}
		k.used++
	}
	slots[tag].Store(w)
	k.mu.Unlock()
	s.Watch(h, k.sink, tag)
	return tag
}

// Forget takes the tag back, after its socket was closed. News on their way may still reach the tag's next
// waiter, to which they are news that came early.
func (k *Waiters) Forget(tag uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	(*k.slots.Load())[tag].Store(nil)
	if k.free = append(k.free, tag); len(k.free) == k.used {
		k.none.Broadcast()
	}
}

// Drain blocks until every tag has come back.
func (k *Waiters) Drain() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.free) < k.used {
		k.none.Wait()
	}
}

// Each calls f for every waiter that is watched before the call and still is. f may Forget.
func (k *Waiters) Each(f func(w *Waiter)) {
	slots := *k.slots.Load()
	for i := range slots {
		if w := slots[i].Load(); w != nil {
			f(w)
		}
	}
}

// Watched is how many tags are given out.
func (k *Waiters) Watched() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used - len(k.free)
}

// Notify implements Sink.
func (k *Waiters) Notify(tag uint32, ev Events) {
	if slots := *k.slots.Load(); int(tag) < len(slots) {
		if w := slots[tag].Load(); w != nil {
			w.Notify(ev)
		}
	}
}
