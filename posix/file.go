package posix

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// An entry of the descriptor table: the file's number and FD_CLOEXEC.
const (
	fileBits  = 24
	fileMask  = 1<<fileBits - 1
	fdCloexec = 1 << 31
)

// file is what descriptors name, an open file description: those made by Dup share it.
type file struct {
	state atomic.Uint64 // a state
	items uint32        // first of its registrations with epolls; in a free file: the next free one
	refs  uint32        // descriptors that name it
}

// state is a file in one word, so that a call learns all of it from one load: the handle in the upper half, then
// the generation, the kind and the flags.
type state uint64

// The flags of a state.
const (
	nonblock    state = 1 << iota // O_NONBLOCK
	inet6                         // the socket is of AF_INET6
	streaming                     // the socket is of SOCK_STREAM
	watched                       // its Sockets tells the table's sink of its readiness
	hasWaiters                    // a goroutine waits for it: Table.waiters
	hasTimeouts                   // Table.timeouts
	semaphore                     // the eventfd is of EFD_SEMAPHORE

	flagBits = 16
	kindBits = 8
	changing = nonblock | watched | hasWaiters | hasTimeouts // flags that change during a file's life
)

type kind uint8

const (
	kindNone kind = iota // closed
	kindEpoll
	kindEvent
	kindSocket // the first of the socket tables, of which there are up to kinds-kindSocket
	kinds      = 8
)

func makeState(k kind, h stack.Handle, flags state) state {
	return state(h)<<32 | state(k)<<flagBits | flags
}

func (s state) kind() kind           { return kind(s>>flagBits) & (kinds - 1) }
func (s state) handle() stack.Handle { return stack.Handle(s >> 32) }

const genShift = flagBits + kindBits

// tag is the file as its Sockets knows it: a notification that comes after the file was closed has an old
// generation.
func (s state) tag(f uint32) uint32 { return uint32(s>>genShift)<<fileBits | f }

// same tells whether both are states of one file of one generation.
func (s state) same(o state) bool { return (s^o)&^changing == 0 }

// open makes a file with one descriptor. EMFILE.
func (t *Table) open(k kind, h stack.Handle, flags state, cloexec bool) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fd, f, err := t.newFile(cloexec)
	if err == nil {
		t.setState(f, makeState(k, h, flags))
	}
	return fd, err
}

// newFile makes a file of kindNone with one descriptor.
func (t *Table) newFile(cloexec bool) (fd int, f uint32, err error) {
	f = t.unused.free
	switch {
	case f != 0:
		t.unused.free = t.files[f].items
	case int(t.unused.top) < len(t.files)-1:
		t.unused.top++
		f = t.unused.top
	default:
		return -1, 0, syscall.ENFILE
	}
	if fd, err = t.newFD(firstFD, f, cloexec); err != nil {
		t.files[f].items, t.unused.free = t.unused.free, f
		return -1, 0, err
	}
	t.files[f].items = 0
	return fd, f, nil
}

// setState names what a file is, within its generation.
func (t *Table) setState(f uint32, st state) {
	const gen = state(0xff) << genShift
	p := &t.files[f].state
	p.Store(uint64(st&^gen | state(p.Load())&gen))
}

// Close frees the descriptor. The last one of a file closes it: its registrations with epolls end, and so do
// calls that are blocked on it. EBADF.
func (t *Table) Close(fd int) error {
	t.mu.Lock()
	f := t.file(fd)
	if t.state(fd).kind() == kindNone {
		t.mu.Unlock()
		return syscall.EBADF
	}
	st, last := t.release(fd, f)
	t.mu.Unlock()
	if last {
		return t.finish(st)
	}
	return nil
}

// release takes the file from the descriptor, and frees it if that was its last.
func (t *Table) release(fd int, f uint32) (st state, last bool) {
	t.fds[fd].Store(0)
	t.used.remove(fd)
	p := &t.files[f]
	st = state(p.state.Load())
	if p.refs--; p.refs > 0 {
		return st, false
	}
	for i := p.items; i != 0; {
		next := t.items[i].sibling
		t.freeItem(i)
		i = next
	}
	switch st.kind() {
	case kindEpoll:
		t.closeEpoll(st)
	case kindEvent:
		delete(t.eventfds, st.handle())
	}
	if st&hasTimeouts != 0 {
		delete(t.timeouts, f)
	}
	if st&hasWaiters != 0 {
		t.wakeFile(f, st, ^stack.Events(0))
		delete(t.waiters, f)
	}
	const gen = state(1) << genShift
	p.state.Store(uint64((st + gen) & (0xff << genShift))) // the next generation, kindNone
	p.items, t.unused.free = t.unused.free, f
	return st, true
}

// finish closes what the file was, outside the lock.
func (t *Table) finish(st state) error {
	if s := t.socks[st.kind()]; s != nil {
		return s.Close(st.handle())
	}
	return nil
}

// Dup names the file of fd by the lowest free number too. EBADF, EMFILE.
func (t *Table) Dup(fd int) (int, error) { return t.dup(fd, firstFD, false) }

func (t *Table) dup(fd, min int, cloexec bool) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.file(fd)
	if t.state(fd).kind() == kindNone {
		return -1, syscall.EBADF
	}
	return t.newFD(max(min, firstFD), f, cloexec)
}

// Dup3 names the file of oldfd by newfd too, which is closed first if it was open. flags: O_CLOEXEC.
// EBADF (also for a newfd that is never given out), EINVAL if both are the same, EBUSY.
func (t *Table) Dup3(oldfd, newfd, flags int) error {
	if oldfd == newfd || flags&^unix.O_CLOEXEC != 0 {
		return syscall.EINVAL
	}
	t.mu.Lock()
	f := t.file(oldfd)
	if t.state(oldfd).kind() == kindNone || newfd < firstFD || newfd >= t.limit {
		t.mu.Unlock()
		return syscall.EBADF
	}
	var st state
	last := false
	if old := t.file(newfd); old != 0 {
		if t.state(newfd).kind() == kindNone { // Accept4 is about to give it out
			t.mu.Unlock()
			return syscall.EBUSY
		}
		st, last = t.release(newfd, old)
	}
	t.setFD(newfd, f, flags&unix.O_CLOEXEC != 0)
	t.mu.Unlock()
	if last {
		t.finish(st) // as dup3(2): its error is lost
	}
	return nil
}

// Dup2 is Dup3 without flags that lets both be the same.
func (t *Table) Dup2(oldfd, newfd int) error {
	if oldfd == newfd {
		if t.state(oldfd).kind() == kindNone {
			return syscall.EBADF
		}
		return nil
	}
	return t.Dup3(oldfd, newfd, 0)
}

// FcntlInt does F_GETFL, F_SETFL (which changes O_NONBLOCK alone; EINVAL for O_ASYNC and O_DIRECT), F_GETFD,
// F_SETFD, F_DUPFD and F_DUPFD_CLOEXEC. EBADF; EINVAL for other commands.
func (t *Table) FcntlInt(fd uintptr, cmd, arg int) (int, error) {
	n := int(fd)
	st := t.state(n)
	if st.kind() == kindNone {
		return -1, syscall.EBADF
	}
	switch cmd {
	case unix.F_GETFL:
		if st&nonblock != 0 {
			return unix.O_RDWR | unix.O_NONBLOCK, nil
		}
		return unix.O_RDWR, nil
	case unix.F_SETFL:
		if arg&(unix.O_ASYNC|unix.O_DIRECT) != 0 {
			return -1, syscall.EINVAL
		}
		return zeroOr(t.SetNonblock(n, arg&unix.O_NONBLOCK != 0))
	case unix.F_GETFD:
		if t.fds[n].Load()&fdCloexec != 0 {
			return unix.FD_CLOEXEC, nil
		}
		return 0, nil
	case unix.F_SETFD:
		t.mu.Lock()
		defer t.mu.Unlock()
		f := t.file(n)
		if f == 0 {
			return -1, syscall.EBADF
		}
		if arg&unix.FD_CLOEXEC != 0 {
			f |= fdCloexec
		}
		t.fds[n].Store(f)
		return 0, nil
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC:
		if arg < 0 || arg >= t.limit {
			return -1, syscall.EINVAL
		}
		return t.dup(n, arg, cmd == unix.F_DUPFD_CLOEXEC)
	}
	return -1, syscall.EINVAL
}

func zeroOr(err error) (int, error) {
	if err != nil {
		return -1, err
	}
	return 0, nil
}

// SetNonblock sets or clears O_NONBLOCK. EBADF.
func (t *Table) SetNonblock(fd int, nonblocking bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.file(fd)
	if f == 0 {
		return syscall.EBADF
	}
	t.flag(f, nonblock, nonblocking)
	return nil
}

// flag sets or clears a flag of a file, under the lock.
func (t *Table) flag(f uint32, flag state, on bool) {
	p := &t.files[f].state
	st := state(p.Load()) &^ flag
	if on {
		st |= flag
	}
	p.Store(uint64(st))
}
