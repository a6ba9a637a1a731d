package posix

import (
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// waiter is a goroutine that is blocked in a call until events come or time is up.
type waiter struct {
	events  stack.Events
	signal  chan struct{}
	expired atomic.Bool
	timer   *stack.Timer
}

// forever is the limit of a call without timeout.
const forever = time.Duration(-1)

func (t *Table) newWaiter(events stack.Events, limit time.Duration) *waiter {
	w := &waiter{events: events | stack.EventErr | stack.EventHup, signal: make(chan struct{}, 1)}
	if limit >= 0 {
		w.timer = t.stack.Clock().AfterFunc(limit, func() {
			w.expired.Store(true)
			w.wake()
			t.stack.Yield()
		})
	}
	return w
}

func (w *waiter) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// wait sleeps until it is woken and returns false if it was by the end of its time.
func (w *waiter) wait() bool {
	if w.expired.Load() {
		return false
	}
	<-w.signal
	return !w.expired.Load()
}

func (w *waiter) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// blocks tells whether a call on the file may wait.
func (t *Table) blocks(st state, flags int) bool {
	return st&nonblock == 0 && flags&unix.MSG_DONTWAIT == 0 && !t.loop.Load()
}

// The two timeouts of a file.
const (
	recvTimeout = iota // SO_RCVTIMEO
	sendTimeout        // SO_SNDTIMEO
)

// timeout is how long a call may block.
func (t *Table) timeout(fd int, st state, which int) time.Duration {
	if st&hasTimeouts == 0 {
		return forever
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.timeouts[t.file(fd)][which]; d > 0 {
		return d
	}
	return forever
}

// await repeats try, each time that one of events came, until it gives something other than EAGAIN; that stays
// when the time is up. EBADF: closed meanwhile.
func (t *Table) await(fd int, st state, events stack.Events, limit time.Duration, try func() error) error {
	f := t.file(fd)
	w := t.newWaiter(events, limit)
	defer w.stop()
	if !t.join(f, st, w) {
		return syscall.EBADF
	}
	defer t.leave(f, w)
	t.watch(f, st)
	for {
		if !t.state(fd).same(st) {
			return syscall.EBADF
		}
		if err := try(); err != syscall.EAGAIN {
			return err
		}
		if !w.wait() {
			return syscall.EAGAIN
		}
	}
}

// join has notifications of the file wake w; false: it is not that file any more.
func (t *Table) join(f uint32, st state, w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f == 0 || !state(t.files[f].state.Load()).same(st) {
		return false
	}
	t.waiters[f] = append(t.waiters[f], w)
	t.flag(f, hasWaiters, true)
	return true
}

func (t *Table) leave(f uint32, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiters[f], w)
	if i < 0 {
		return // the file was closed
	}
	if t.waiters[f] = slices.Delete(t.waiters[f], i, i+1); len(t.waiters[f]) == 0 {
		delete(t.waiters, f)
		t.flag(f, hasWaiters, false)
	}
}

// wakeFile wakes the goroutines that wait for one of ev.
func (t *Table) wakeFile(f uint32, st state, ev stack.Events) {
	if st&hasWaiters == 0 {
		return
	}
	for _, w := range t.waiters[f] {
		if w.events&ev != 0 {
			w.wake()
		}
	}
	t.stack.Yield()
}

// watch has the file's Sockets tell the table of its readiness, from the first registration or wait on.
func (t *Table) watch(f uint32, st state) {
	s := t.socks[st.kind()]
	if s == nil || state(t.files[f].state.Load())&watched != 0 {
		return
	}
	s.Watch(st.handle(), t.sink, st.tag(f))
	t.mu.Lock()
	if state(t.files[f].state.Load()).same(st) {
		t.flag(f, watched, true)
	}
	t.mu.Unlock()
}

// epollBlock is EpollWait where it has to wait.
func (t *Table) epollBlock(epfd int, st state, ep *epoll, events []EpollEvent, msec int) (int, error) {
	w := t.newWaiter(0, milliseconds(msec))
	defer w.stop()
	for {
		t.mu.Lock()
		if !t.state(epfd).same(st) {
			t.mu.Unlock()
			return -1, syscall.EBADF
		}
		ep.waiters = append(ep.waiters, w)
		t.mu.Unlock()
		n := t.collect(ep, events)
		if n == 0 && w.wait() {
			continue
		}
		if t.leaveEpoll(ep, w); n == 0 {
			n = t.collect(ep, events) // what came with the last tick
		}
		return n, nil
	}
}

// leaveEpoll takes a waiter off. If it had been woken, and there is something left, the next one is.
func (t *Table) leaveEpoll(ep *epoll, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(ep.waiters, w); i >= 0 {
		ep.waiters = slices.Delete(ep.waiters, i, i+1)
	} else if ep.first != 0 {
		t.wakeOne(ep)
	}
}

func milliseconds(msec int) time.Duration {
	if msec < 0 {
		return forever
	}
	return time.Duration(msec) * time.Millisecond
}
