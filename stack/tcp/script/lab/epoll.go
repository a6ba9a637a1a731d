package lab

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// always are the events that are told whether asked for or not (epoll_ctl(2)).
const always = stack.EventErr | stack.EventHup

// sink notes which watched sockets had news since they were last reported, for edge-triggered interest.
type sink struct {
	mu    sync.Mutex
	ready map[uint32]stack.Events
}

// Notify implements stack.Sink.
func (s *sink) Notify(tag uint32, ev stack.Events) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready[tag] |= ev
}

func (s *sink) take(tag uint32) stack.Events {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev := s.ready[tag]
	delete(s.ready, tag)
	return ev
}

// epoll is an interest list. A socket is watched with its descriptor as the tag: one epoll at a time.
type epoll struct {
	interest []interest
}

type interest struct {
	fd     int
	events uint32
	data   uint64
	off    bool // EPOLLONESHOT has fired
}

func (e *epoll) find(fd int) int {
	for i := range e.interest {
		if e.interest[i].fd == fd {
			return i
		}
	}
	return -1
}

func (e *epoll) remove(fd int) {
	if i := e.find(fd); i >= 0 {
		e.interest = append(e.interest[:i], e.interest[i+1:]...)
	}
}

// EpollCreate makes an epoll and returns its descriptor.
func (l *Lab) EpollCreate() (int, error) { return l.add(&file{epoll: &epoll{}}) }

// EpollCtl is epoll_ctl(2).
func (l *Lab) EpollCtl(epfd, op, fd int, events uint32, data uint64) error {
	e, f := l.files[epfd], l.files[fd]
	if e == nil || f == nil {
		return unix.EBADF
	}
	if e.epoll == nil || f.epoll != nil {
		return unix.EINVAL
	}
	i := e.epoll.find(fd)
	switch {
	case op == unix.EPOLL_CTL_ADD && i >= 0:
		return unix.EEXIST
	case op != unix.EPOLL_CTL_ADD && i < 0:
		return unix.ENOENT
	case op == unix.EPOLL_CTL_DEL:
		e.epoll.remove(fd)
		l.host.Sockets.Watch(f.handle, stack.SinkNone, 0)
		return nil
	case op == unix.EPOLL_CTL_ADD:
		e.epoll.interest = append(e.epoll.interest, interest{fd: fd, events: events, data: data})
		l.host.Sockets.Watch(f.handle, l.sinks, uint32(fd))
	case op == unix.EPOLL_CTL_MOD:
		e.epoll.interest[i] = interest{fd: fd, events: events, data: data}
	default:
		return unix.EINVAL
	}
	l.sink.Notify(uint32(fd), l.host.Sockets.Events(f.handle)) // what is ready now is news
	return nil
}

// EpollEvent is what EpollWait tells of a descriptor.
type EpollEvent struct {
	Events uint32
	Data   uint64
}

// EpollWait waits until a descriptor of interest is ready, for at most timeout milliseconds (negative: no limit),
// and fills in up to len(out) events.
func (l *Lab) EpollWait(epfd int, out []EpollEvent, timeout int) *Call {
	f := l.files[epfd]
	switch {
	case f == nil:
		return fail(unix.EBADF)
	case f.epoll == nil || len(out) == 0:
		return fail(unix.EINVAL)
	}
	c := &Call{}
	c.expire = func() { c.N, c.Err = 0, nil }
	c.try = func() bool {
		n := 0
		for i := range f.epoll.interest {
			in := &f.epoll.interest[i]
			if n == len(out) {
				break
			}
			if ev := l.readyFor(in); ev != 0 {
				out[n] = EpollEvent{ev, in.data}
				n++
			}
		}
		return n > 0 && c.result(n, nil)
	}
	return l.begin(c, timeout != 0, int64(timeout)*1e6)
}

func (l *Lab) readyFor(in *interest) uint32 {
	s := l.files[in.fd]
	if in.off || s == nil {
		return 0
	}
	ev := uint32(l.host.Sockets.Events(s.handle)) & (in.events | uint32(always))
	if ev == 0 {
		return 0
	}
	if in.events&unix.EPOLLET != 0 && uint32(l.sink.take(uint32(in.fd)))&(in.events|uint32(always)) == 0 {
		return 0
	}
	in.off = in.events&unix.EPOLLONESHOT != 0
	return ev
}

// Poll is poll(2): it fills in the Revents of fds; timeout is in milliseconds, negative: no limit.
func (l *Lab) Poll(fds []unix.PollFd, timeout int) *Call {
	c := &Call{}
	c.expire = func() { c.N, c.Err = 0, nil }
	c.try = func() bool {
		n := 0
		for i := range fds {
			p := &fds[i]
			p.Revents = 0
			if f, err := l.socket(int(p.Fd)); err == nil {
				ev := l.host.Sockets.Events(f.handle)
				p.Revents = int16(uint32(ev) & (uint32(uint16(p.Events)) | uint32(always)))
			} else if p.Fd >= 0 {
				p.Revents = unix.POLLNVAL
			}
			if p.Revents != 0 {
				n++
			}
		}
		return n > 0 && c.result(n, nil)
	}
	return l.begin(c, timeout != 0, int64(timeout)*1e6)
}
