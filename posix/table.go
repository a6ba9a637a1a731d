package posix

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// firstFD is the lowest number given out: those of the standard streams stay the kernel's.
const firstFD = 3

// Table is a set of descriptors over a stack's sockets. Its methods are the calls of package unix; all may be
// called from any goroutine.
type Table struct {
	stack *stack.Stack
	sink  stack.SinkID
	socks [kinds]stack.Sockets // by kind of file
	loop  atomic.Bool          // turned by Serve: nothing blocks
	busy  atomic.Bool          // the loop's function did something this turn

	// fds and files are read without the lock: a call that races with close on the same descriptor meets the
	// file before, the file after or EBADF, as it would in a kernel that reuses the number.
	fds   []atomic.Uint32 // number of the file and fdCloexec; 0: closed
	files []file          // 0 is never used

	mu       sync.Mutex               // never held while Sockets is called: Notify comes with the stack's lock
	limit    int                      // EMFILE from here on, firstFD included
	used     numbers                  // descriptors
	unused   chain                    // of files
	items    []item                   // 0 is never used
	spare    chain                    // of items
	epolls   atomic.Pointer[[]*epoll] // by handle; copied to change
	eventfds map[stack.Handle]*eventfd
	events   stack.Handle         // the last eventfd's
	waiters  map[uint32][]*waiter // by file, of those with hasWaiters
	addrs    spareSockaddrs
	timeouts map[uint32][2]time.Duration // SO_RCVTIMEO and SO_SNDTIMEO, of those with hasTimeouts
}

// chain hands out the indexes of a slab: those given back first, then untouched ones.
type chain struct {
	free uint32 // first of a list linked by the slab's own fields, 0: empty
	top  uint32 // highest index ever given
}

// New returns an empty table. A socket is opened in the first of socks that knows its protocol.
func New(st *stack.Stack, socks ...stack.Sockets) *Table { return newTable(maxFiles, st, socks...) }

// newTable has room for n descriptors, or less where the system does not overcommit.
func newTable(n int, st *stack.Stack, socks ...stack.Sockets) *Table {
	t := &Table{
		stack:    st,
		eventfds: map[stack.Handle]*eventfd{},
		waiters:  map[uint32][]*waiter{},
		timeouts: map[uint32][2]time.Duration{},
	}
	if len(socks) > kinds-int(kindSocket) {
		panic(fmt.Sprintf("posix.New: %d socket tables, at most %d fit", len(socks), kinds-int(kindSocket)))
	}
	copy(t.socks[kindSocket:], socks)
	for ; t.items == nil; n /= 2 {
		if n < 1<<10 {
			panic("posix.New: no address space for 1024 descriptors (see vm.overcommit_memory and ulimit -v)")
		}
		t.fds, t.files, t.items, t.limit = reserve[atomic.Uint32](n), reserve[file](n), reserve[item](n), n
		if t.fds == nil || t.files == nil {
			t.items = nil
		}
	}
	for fd := range firstFD {
		t.used.add(fd)
	}
	t.epolls.Store(new([]*epoll))
	t.sink = st.AddSink((*tableSink)(t))
	return t
}

// Destroy closes all descriptors and gives the table's memory back. Its stack must not turn again.
func (t *Table) Destroy() {
	t.closeAll()
	giveBack(t.fds)
	giveBack(t.files)
	giveBack(t.items)
	t.fds, t.files, t.items = nil, nil, nil
}

// Getrlimit tells, for RLIMIT_NOFILE, how many descriptors there may be; EINVAL for any other resource.
func (t *Table) Getrlimit(resource int, rlim *Rlimit) error {
	if resource != unix.RLIMIT_NOFILE {
		return syscall.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	rlim.Cur, rlim.Max = uint64(t.limit), uint64(len(t.fds))
	return nil
}

// Setrlimit sets, for RLIMIT_NOFILE, the number from which on no descriptor is given out (EMFILE), up to the
// room that the table has. Max is not changed: EPERM if it is not what Getrlimit says.
func (t *Table) Setrlimit(resource int, rlim *Rlimit) error {
	if resource != unix.RLIMIT_NOFILE || rlim.Cur > rlim.Max {
		return syscall.EINVAL
	}
	if rlim.Max != uint64(len(t.fds)) {
		return syscall.EPERM
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = int(rlim.Cur)
	return nil
}

// newFD gives the lowest free number from min on to a file, which then has one reference more.
func (t *Table) newFD(min int, f uint32, cloexec bool) (int, error) {
	fd := t.used.next(min)
	if fd < 0 || fd >= t.limit {
		return -1, syscall.EMFILE
	}
	t.setFD(fd, f, cloexec)
	return fd, nil
}

func (t *Table) setFD(fd int, f uint32, cloexec bool) {
	t.used.add(fd)
	t.files[f].refs++
	if cloexec {
		f |= fdCloexec
	}
	t.fds[fd].Store(f)
}

// state is what a descriptor names; its kind is kindNone if fd is not open.
func (t *Table) state(fd int) state {
	if uint(fd) >= uint(len(t.fds)) {
		return 0
	}
	return state(t.files[t.fds[fd].Load()&fileMask].state.Load())
}

// file is the number of the file that fd names, 0 if fd is not open.
func (t *Table) file(fd int) uint32 {
	if uint(fd) >= uint(len(t.fds)) {
		return 0
	}
	return t.fds[fd].Load() & fileMask
}

// socket is what a call on sockets starts with: EBADF, ENOTSOCK.
func (t *Table) socket(fd int) (stack.Sockets, state, error) {
	st := t.state(fd)
	if s := t.socks[st.kind()]; s != nil {
		return s, st, nil
	}
	if st.kind() == kindNone {
		return nil, st, syscall.EBADF
	}
	return nil, st, syscall.ENOTSOCK
}

// progress notes for Serve that the application did something.
func (t *Table) progress() {
	if t.loop.Load() && !t.busy.Load() {
		t.busy.Store(true)
	}
}
