package posix

import (
	"encoding/binary"
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// eventfd is a counter that wakes: for other goroutines to reach an event loop. The table's lock guards it.
type eventfd struct {
	count uint64
}

const eventMax = math.MaxUint64 - 1

// Eventfd makes a counter. flags: EFD_NONBLOCK, EFD_CLOEXEC, EFD_SEMAPHORE. EINVAL, EMFILE.
func (t *Table) Eventfd(initval uint, flags int) (int, error) {
	if flags&^(unix.EFD_NONBLOCK|unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE) != 0 {
		return -1, syscall.EINVAL
	}
	var st state
	if flags&unix.EFD_NONBLOCK != 0 {
		st |= nonblock
	}
	if flags&unix.EFD_SEMAPHORE != 0 {
		st |= semaphore
	}
	t.mu.Lock()
	t.events++
	h := t.events
	t.eventfds[h] = &eventfd{count: uint64(uint32(initval))}
	t.mu.Unlock()
	fd, err := t.open(kindEvent, h, st, flags&unix.EFD_CLOEXEC != 0)
	if err != nil {
		t.mu.Lock()
		delete(t.eventfds, h)
		t.mu.Unlock()
	}
	return fd, err
}

// eventfdEvents is the readiness of an eventfd, none of one that was closed.
func (t *Table) eventfdEvents(h stack.Handle) (ev stack.Events) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.eventfds[h]
	if e == nil {
		return 0
	}
	if e.count > 0 {
		ev |= stack.EventIn
	}
	if e.count < eventMax {
		ev |= stack.EventOut
	}
	return ev
}

func (t *Table) readEvent(fd int, st state, p []byte) (int, error) {
	if len(p) < 8 {
		return -1, syscall.EINVAL
	}
	try := func() error { return t.takeEvent(fd, st, p) }
	err := try()
	if err == syscall.EAGAIN && t.blocks(st, 0) {
		err = t.await(fd, st, stack.EventIn, forever, try)
	}
	if err != nil {
		return -1, err
	}
	return 8, nil
}

func (t *Table) takeEvent(fd int, st state, p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.eventfds[st.handle()]
	if e == nil {
		return syscall.EBADF
	}
	if e.count == 0 {
		return syscall.EAGAIN
	}
	n := e.count
	if st&semaphore != 0 {
		n = 1
	}
	e.count -= n
	binary.NativeEndian.PutUint64(p, n)
	t.changed(fd, st, stack.EventOut)
	return nil
}

func (t *Table) writeEvent(fd int, st state, p []byte) (int, error) {
	if len(p) < 8 {
		return -1, syscall.EINVAL
	}
	n := binary.NativeEndian.Uint64(p)
	if n == math.MaxUint64 {
		return -1, syscall.EINVAL
	}
	try := func() error { return t.giveEvent(fd, st, n) }
	err := try()
	if err == syscall.EAGAIN && t.blocks(st, 0) {
		err = t.await(fd, st, stack.EventOut, forever, try)
	}
	if err != nil {
		return -1, err
	}
	t.stack.Kick() // the loop may sleep
	return 8, nil
}

func (t *Table) giveEvent(fd int, st state, n uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.eventfds[st.handle()]
	if e == nil {
		return syscall.EBADF
	}
	if n > eventMax-e.count {
		return syscall.EAGAIN
	}
	e.count += n
	t.changed(fd, st, stack.EventIn)
	return nil
}

// changed tells the registrations and waiters of an eventfd.
func (t *Table) changed(fd int, st state, ev stack.Events) {
	if f := t.file(fd); f != 0 {
		if now := state(t.files[f].state.Load()); now.same(st) {
			t.notify(f, now, ev)
		}
	}
}
