package posix

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// Poll fills each Revents and returns how many are not zero; if all are, it waits timeout milliseconds (-1: for
// ever). POLLERR, POLLHUP and POLLNVAL (not open, or an epoll) are told unasked; a negative Fd is skipped.
func (t *Table) Poll(fds []PollFd, timeout int) (int, error) {
	return t.pollFor(fds, milliseconds(timeout))
}

func (t *Table) pollFor(fds []PollFd, limit time.Duration) (int, error) {
	n := t.look(fds)
	if n == 0 && limit != 0 && !t.loop.Load() {
		return t.pollBlock(fds, limit)
	}
	if n > 0 {
		t.progress()
	}
	return n, nil
}

func (t *Table) look(fds []PollFd) (n int) {
	for i := range fds {
		p := &fds[i]
		p.Revents = 0
		if p.Fd < 0 {
			continue
		}
		switch st := t.state(int(p.Fd)); st.kind() {
		case kindNone, kindEpoll:
			p.Revents = unix.POLLNVAL
		default:
			p.Revents = int16(uint32(t.eventsOf(st)) & (uint32(uint16(p.Events)) | unix.POLLERR | unix.POLLHUP))
		}
		if p.Revents != 0 {
			n++
		}
	}
	return n
}

func (t *Table) pollBlock(fds []PollFd, limit time.Duration) (int, error) {
	w := t.newWaiter(^stack.Events(0), limit)
	defer w.stop()
	for i := range fds {
		fd := int(fds[i].Fd)
		if st := t.state(fd); st.kind() != kindNone {
			f := t.file(fd)
			if t.join(f, st, w) {
				defer t.leave(f, w)
				t.watch(f, st)
			}
		}
	}
	for {
		if n := t.look(fds); n > 0 {
			return n, nil
		}
		if !w.wait() {
			return t.look(fds), nil
		}
	}
}

// Select is Poll with sets of the descriptors below nfd; nil: none. timeout nil: for ever. EBADF: one of them is
// not open. As on Linux, readable is EPOLLIN, EPOLLHUP or EPOLLERR, writable EPOLLOUT or EPOLLERR, exceptional EPOLLPRI.
// The timeout is not changed.
func (t *Table) Select(nfd int, r, w, e *FdSet, timeout *Timeval) (int, error) {
	if nfd < 0 {
		return -1, syscall.EINVAL
	}
	limit := forever
	if timeout != nil {
		if timeout.Sec < 0 || timeout.Usec < 0 {
			return -1, syscall.EINVAL
		}
		limit = time.Duration(timeout.Nano())
	}
	sets := [...]struct {
		set  *FdSet
		ask  int16
		tell int16
	}{
		{r, unix.POLLIN, unix.POLLIN | unix.POLLHUP | unix.POLLERR},
		{w, unix.POLLOUT, unix.POLLOUT | unix.POLLERR},
		{e, unix.POLLPRI, unix.POLLPRI},
	}
	var fds []PollFd
	for fd := range min(nfd, unix.FD_SETSIZE) {
		p := PollFd{Fd: int32(fd)}
		asked := false
		for _, s := range sets {
			if s.set != nil && s.set.IsSet(fd) {
				p.Events |= s.ask
				asked = true
			}
		}
		if asked {
			if t.state(fd).kind() == kindNone {
				return -1, syscall.EBADF
			}
			fds = append(fds, p)
		}
	}
	if _, err := t.pollFor(fds, limit); err != nil {
		return -1, err
	}
	n := 0
	for i := range fds {
		for _, s := range sets {
			if s.set == nil || !s.set.IsSet(int(fds[i].Fd)) {
				continue
			}
			if fds[i].Revents&s.tell != 0 {
				n++
			} else {
				s.set.Clear(int(fds[i].Fd))
			}
		}
	}
	return n, nil
}
