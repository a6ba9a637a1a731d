package posix

import (
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// epoll is a set of registrations (items) and the list of those that may be ready, in the order in which
// they became so. All but collecting and its batch is guarded by the table's lock.
type epoll struct {
	items       uint32      // first of all its registrations
	first, last uint32      // ready list
	ready       int         // its length
	some        atomic.Bool // it is not empty: for a look without the lock
	waiters     []*waiter

	collecting sync.Mutex // held by EpollWait while it asks the sockets; taken before any other lock
	batch      [64]candidate
}

// item is the registration of a descriptor with an epoll. Indexes are of Table.items, 0: none.
type item struct {
	events     uint32 // asked for, with EPOLLERR and EPOLLHUP, and the mode bits
	fd         int32
	data       [2]int32 // the event's Fd and Pad
	file       uint32
	epoll      uint32 // handle
	sibling    uint32 // the file's next registration
	prev, next uint32 // of the epoll's; next also links spare items
	before     uint32 // in the ready list
	after      uint32
	gen        uint16 // counts the uses of this item
	queued     bool   // in the ready list
}

// modeBits are what EPOLLONESHOT leaves of an item's events when it has reported.
const modeBits = unix.EPOLLET | unix.EPOLLONESHOT | unix.EPOLLEXCLUSIVE | unix.EPOLLWAKEUP

// EpollCreate makes an epoll; size must be positive and means nothing.
func (t *Table) EpollCreate(size int) (int, error) {
	if size <= 0 {
		return -1, syscall.EINVAL
	}
	return t.EpollCreate1(0)
}

// EpollCreate1 makes an epoll. flag: EPOLL_CLOEXEC. EINVAL, EMFILE.
func (t *Table) EpollCreate1(flag int) (int, error) {
	if flag&^unix.EPOLL_CLOEXEC != 0 {
		return -1, syscall.EINVAL
	}
	t.mu.Lock()
	old := *t.epolls.Load()
	epolls := make([]*epoll, len(old), len(old)+1)
	h := len(old)
	for i, ep := range old {
		if epolls[i] = ep; ep == nil && h == len(old) {
			h = i
		}
	}
	if h == len(old) {
		epolls = append(epolls, nil)
	}
	epolls[h] = new(epoll)
	t.epolls.Store(&epolls)
	t.mu.Unlock()

	fd, err := t.open(kindEpoll, stack.Handle(h), 0, flag&unix.EPOLL_CLOEXEC != 0)
	if err != nil {
		t.mu.Lock()
		t.dropEpoll(stack.Handle(h))
		t.mu.Unlock()
	}
	return fd, err
}

func (t *Table) dropEpoll(h stack.Handle) {
	epolls := append([]*epoll(nil), *t.epolls.Load()...)
	epolls[h] = nil
	t.epolls.Store(&epolls)
}

// closeEpoll ends all registrations and the calls that are blocked on it.
func (t *Table) closeEpoll(st state) {
	ep := t.epoll(st)
	for ep.items != 0 {
		i := ep.items
		t.unlinkSibling(i)
		t.freeItem(i)
	}
	for _, w := range ep.waiters {
		w.wake()
	}
	t.dropEpoll(st.handle())
}

// epoll is the epoll of a state of kindEpoll, nil if it was closed meanwhile.
func (t *Table) epoll(st state) *epoll {
	if epolls := *t.epolls.Load(); int(st.handle()) < len(epolls) {
		return epolls[st.handle()]
	}
	return nil
}

// EpollCtl adds, modifies or removes the registration of fd. EBADF, EFAULT (event is nil), EINVAL (epfd is no
// epoll or is fd; EPOLLEXCLUSIVE where epoll_ctl(2) does not allow it; op), EPERM (fd is an epoll), EEXIST,
// ENOENT, ENOSPC (no room for another registration).
func (t *Table) EpollCtl(epfd, op, fd int, event *EpollEvent) error {
	var e EpollEvent
	if op != unix.EPOLL_CTL_DEL {
		if event == nil {
			return syscall.EFAULT
		}
		e = *event
	}
	t.mu.Lock()
	eps, st := t.state(epfd), t.state(fd)
	var i uint32
	err := checkCtl(eps, st, epfd == fd, op, e.Events)
	if err == nil {
		i, err = t.ctl(eps, t.file(fd), op, fd, &e)
	}
	if err != nil || op == unix.EPOLL_CTL_DEL {
		t.mu.Unlock()
		return err
	}
	f, gen := t.items[i].file, t.items[i].gen
	s := t.socks[st.kind()]
	first := s != nil && st&watched == 0
	if first {
		t.flag(f, watched, true)
	}
	t.mu.Unlock()

	// The look comes after the registration, so that nothing is lost between them. Before the Watch that the first one
	// does, others made meanwhile and calls that wait are not told of what happens: then they are.
	if first {
		if ready := s.Watch(st.handle(), t.sink, st.tag(f)); ready != 0 {
			(*tableSink)(t).Notify(st.tag(f), ready)
		}
		return nil
	}
	ready := t.eventsOf(st)
	t.mu.Lock()
	if it := &t.items[i]; it.gen == gen && uint32(ready)&it.events&^modeBits != 0 {
		t.queue(i)
	}
	t.mu.Unlock()
	return nil
}

// checkCtl finds the errors in the order in which Linux does.
func checkCtl(eps, st state, self bool, op int, events uint32) error {
	const exclusive = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP |
		unix.EPOLLWAKEUP | unix.EPOLLET | unix.EPOLLEXCLUSIVE
	switch {
	case eps.kind() == kindNone || st.kind() == kindNone:
		return syscall.EBADF
	case self || eps.kind() != kindEpoll:
		return syscall.EINVAL
	case events&unix.EPOLLEXCLUSIVE != 0 &&
		(op == unix.EPOLL_CTL_MOD || st.kind() == kindEpoll || events&^exclusive != 0):
		return syscall.EINVAL
	case st.kind() == kindEpoll:
		return syscall.EPERM
	}
	return nil
}

// ctl does what EpollCtl asks for and returns the item.
func (t *Table) ctl(eps state, f uint32, op, fd int, e *EpollEvent) (uint32, error) {
	i := t.files[f].items
	for i != 0 && (t.items[i].epoll != uint32(eps.handle()) || t.items[i].fd != int32(fd)) {
		i = t.items[i].sibling
	}
	switch {
	case op < unix.EPOLL_CTL_ADD || op > unix.EPOLL_CTL_MOD:
		return 0, syscall.EINVAL
	case op == unix.EPOLL_CTL_ADD:
		if i != 0 {
			return 0, syscall.EEXIST
		}
		if i = t.addItem(eps, f, fd); i == 0 {
			return 0, syscall.ENOSPC
		}
	case i == 0:
		return 0, syscall.ENOENT
	case op == unix.EPOLL_CTL_DEL:
		t.unlinkSibling(i)
		t.freeItem(i)
		return 0, nil
	case t.items[i].events&unix.EPOLLEXCLUSIVE != 0: // EPOLL_CTL_MOD
		return 0, syscall.EINVAL
	}
	it := &t.items[i]
	it.events = e.Events | unix.EPOLLERR | unix.EPOLLHUP
	it.data = [2]int32{e.Fd, e.Pad}
	return i, nil
}

// addItem links a new item into its epoll and its file. 0: no room.
func (t *Table) addItem(eps state, f uint32, fd int) uint32 {
	i := t.spare.free
	switch {
	case i != 0:
		t.spare.free = t.items[i].next
	case int(t.spare.top) < len(t.items)-1:
		t.spare.top++
		i = t.spare.top
	default:
		return 0
	}
	ep := t.epoll(eps)
	t.items[i] = item{
		fd: int32(fd), file: f, epoll: uint32(eps.handle()), gen: t.items[i].gen,
		sibling: t.files[f].items, next: ep.items,
	}
	if ep.items != 0 {
		t.items[ep.items].prev = i
	}
	ep.items, t.files[f].items = i, i
	return i
}

func (t *Table) unlinkSibling(i uint32) {
	link := &t.files[t.items[i].file].items
	for *link != i {
		link = &t.items[*link].sibling
	}
	*link = t.items[i].sibling
}

// freeItem takes an item out of its epoll; the caller has taken it out of its file's list.
func (t *Table) freeItem(i uint32) {
	it := &t.items[i]
	ep := (*t.epolls.Load())[it.epoll]
	if it.queued {
		t.dequeue(ep, i)
	}
	if it.prev != 0 {
		t.items[it.prev].next = it.next
	} else {
		ep.items = it.next
	}
	if it.next != 0 {
		t.items[it.next].prev = it.prev
	}
	it.gen++
	it.next, t.spare.free = t.spare.free, i
}
