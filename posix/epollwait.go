package posix

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// tableSink is the table as its sockets see it.
type tableSink Table

// Notify implements stack.Sink.
func (s *tableSink) Notify(tag uint32, ev stack.Events) {
	t := (*Table)(s)
	f := tag & fileMask
	if int(f) >= len(t.files) {
		return
	}
	t.mu.Lock()
	if st := state(t.files[f].state.Load()); st.kind() != kindNone && st.tag(f) == tag {
		t.notify(f, st, ev)
	}
	t.mu.Unlock()
}

// notify queues the file's registrations that asked for ev, and wakes who is blocked.
func (t *Table) notify(f uint32, st state, ev stack.Events) {
	ev = both(ev)
	taken := false // by a waiter of an exclusive registration
	for i := t.files[f].items; i != 0; i = t.items[i].sibling {
		it := &t.items[i]
		if uint32(ev)&it.events&^modeBits == 0 {
			continue
		}
		if it.events&unix.EPOLLEXCLUSIVE == 0 {
			t.queue(i)
		} else if !taken {
			taken = t.queue(i)
		}
	}
	t.wakeFile(f, st, ev)
}

// both adds to each of EPOLLIN and EPOLLOUT its twin EPOLLRDNORM or EPOLLWRNORM.
func both(ev stack.Events) stack.Events { return ev | (ev&(stack.EventIn|stack.EventOut))<<6 }

// queue puts an item into its ready list and wakes a goroutine blocked in EpollWait; it returns whether there
// was one.
func (t *Table) queue(i uint32) bool {
	ep := (*t.epolls.Load())[t.items[i].epoll]
	t.enqueue(ep, i)
	return t.wakeOne(ep)
}

func (t *Table) enqueue(ep *epoll, i uint32) {
	it := &t.items[i]
	if it.queued {
		return
	}
	it.queued, it.before, it.after = true, ep.last, 0
	if ep.last != 0 {
		t.items[ep.last].after = i
	} else {
		ep.first = i
		ep.some.Store(true)
	}
	ep.last = i
	ep.ready++
}

func (t *Table) wakeOne(ep *epoll) bool {
	if len(ep.waiters) == 0 {
		return false
	}
	ep.waiters[0].wake()
	ep.waiters = ep.waiters[1:]
	t.stack.Yield()
	return true
}

func (t *Table) dequeue(ep *epoll, i uint32) {
	it := &t.items[i]
	if it.before != 0 {
		t.items[it.before].after = it.after
	} else {
		ep.first = it.after
	}
	if it.after != 0 {
		t.items[it.after].before = it.before
	} else {
		ep.last = it.before
	}
	it.queued = false
	if ep.ready--; ep.ready == 0 {
		ep.some.Store(false)
	}
}

// EpollWait fills events with what is ready, in the order in which it became so, and returns how many; if none
// is, it waits msec milliseconds (-1: for ever) for some. EBADF; EINVAL: epfd is no epoll or events is empty.
func (t *Table) EpollWait(epfd int, events []EpollEvent, msec int) (int, error) {
	if len(events) == 0 {
		return -1, syscall.EINVAL
	}
	st := t.state(epfd)
	if st.kind() != kindEpoll {
		if st.kind() == kindNone {
			return -1, syscall.EBADF
		}
		return -1, syscall.EINVAL
	}
	ep := t.epoll(st)
	if ep == nil {
		return -1, syscall.EBADF
	}
	n := t.collect(ep, events)
	if n == 0 && msec != 0 && !t.loop.Load() {
		return t.epollBlock(epfd, st, ep, events, msec)
	}
	if n > 0 {
		t.progress()
	}
	return n, nil
}

// candidate is an item taken from the ready list whose file is being asked.
type candidate struct {
	item  uint32
	gen   uint16
	state state
	ready stack.Events
}

// collect takes each item of the ready list once: what is not ready leaves it; what is gets reported, and
// stays at the end of the list if it is level-triggered. The sockets are asked in batches, without the lock.
func (t *Table) collect(ep *epoll, events []EpollEvent) (n int) {
	if !ep.some.Load() {
		return 0
	}
	ep.collecting.Lock()
	t.mu.Lock()
	left := ep.ready
	for left > 0 && n < len(events) {
		batch := ep.batch[:min(left, len(events)-n, len(ep.batch))]
		left -= len(batch)
		for j := range batch {
			i := ep.first
			if i == 0 { // closed meanwhile
				batch, left = batch[:j], 0
				break
			}
			t.dequeue(ep, i)
			c, it := &batch[j], &t.items[i]
			c.item, c.gen, c.state = i, it.gen, state(t.files[it.file].state.Load())
		}
		t.mu.Unlock()
		for j := range batch {
			batch[j].ready = t.eventsOf(batch[j].state)
		}
		t.mu.Lock()
		for j := range batch {
			if t.report(ep, &batch[j], &events[n]) {
				n++
			}
		}
	}
	if ep.first != 0 {
		t.wakeOne(ep)
	}
	t.mu.Unlock()
	ep.collecting.Unlock()
	return n
}

// report writes the event of a candidate that is still registered and ready.
func (t *Table) report(ep *epoll, c *candidate, e *EpollEvent) bool {
	it := &t.items[c.item]
	ready := uint32(c.ready) & it.events &^ modeBits
	if it.gen != c.gen || ready == 0 {
		return false
	}
	e.Events, e.Fd, e.Pad = ready, it.data[0], it.data[1]
	switch {
	case it.events&unix.EPOLLONESHOT != 0:
		it.events &= modeBits
	case it.events&unix.EPOLLET == 0:
		t.enqueue(ep, c.item)
	}
	return true
}

// eventsOf asks a file for its readiness, without the lock.
func (t *Table) eventsOf(st state) stack.Events {
	if s := t.socks[st.kind()]; s != nil {
		return both(s.Events(st.handle()))
	}
	return both(t.eventfdEvents(st.handle()))
}
