package lab

import (
	"errors"
	"math"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// ErrNoSysctl says that a stack has no option of that name.
var ErrNoSysctl = errors.New("no such sysctl")

// Call is a system call, returned or waiting.
type Call struct {
	Done  bool
	N     int            // what it returned; a descriptor from Accept, readiness from Poll and EpollWait
	Err   error          // a syscall.Errno, or nil
	Addr  netip.AddrPort // the peer, from Accept and Recv
	Ended int64          // the lab's time when it returned

	try      func() bool // sets N, Err and Addr; false: it must wait
	expire   func()      // sets them when the deadline has passed
	deadline int64
}

// begin tries a call and, if it may wait, keeps it for the turns to come. timeout is in nanoseconds, negative:
// none.
func (l *Lab) begin(c *Call, wait bool, timeout int64) *Call {
	switch {
	case c.try():
		c.end(l.now)
	case !wait || timeout == 0:
		c.expire()
		c.end(l.now)
	default:
		c.deadline = math.MaxInt64
		if timeout > 0 {
			c.deadline = l.now + timeout
		}
		l.calls = append(l.calls, c)
	}
	return c
}

func (c *Call) end(now int64) { c.Done, c.Ended = true, now }

// retry tries all waiting calls, in their order, and returns whether one returned.
func (l *Lab) retry() (ended bool) {
	waiting := l.calls[:0]
	for _, c := range l.calls {
		switch {
		case c.try():
		case c.deadline <= l.now:
			c.expire()
		default:
			waiting = append(waiting, c)
			continue
		}
		c.end(l.now)
		ended = true
	}
	l.calls = waiting
	return ended
}

// again fills in a call that would wait: EAGAIN, also when its timeout has passed (socket(7), SO_RCVTIMEO).
func (c *Call) again() {
	if c.N == 0 {
		c.N, c.Err = -1, unix.EAGAIN
	}
}

func fail(err error) *Call {
	return &Call{Done: true, N: -1, Err: err}
}

// result sets what a call of Sockets returned; false: it would have to wait.
func (c *Call) result(n int, err error) bool {
	if err == unix.EAGAIN {
		return false
	}
	c.N, c.Err = n, err
	if err != nil {
		c.N = -1
	}
	return true
}

// Accept takes a connection; N is its descriptor.
func (l *Lab) Accept(fd int) *Call {
	f, err := l.socket(fd)
	if err != nil {
		return fail(err)
	}
	c := &Call{}
	c.expire = c.again
	c.try = func() bool {
		h, peer, err := l.host.Sockets.Accept(f.handle)
		if err == unix.EAGAIN {
			return false
		}
		if err != nil {
			return c.result(-1, err)
		}
		c.Addr = peer
		return c.result(l.add(&file{handle: h}))
	}
	return l.begin(c, !f.nonblock, f.recvTimeout)
}

// Connect opens a connection. A descriptor that blocks waits for its end.
func (l *Lab) Connect(fd int, to netip.AddrPort) *Call {
	f, err := l.socket(fd)
	if err != nil {
		return fail(err)
	}
	err = l.host.Sockets.Connect(f.handle, to)
	if f.nonblock || err != unix.EINPROGRESS {
		c := &Call{}
		c.result(0, err)
		c.end(l.now)
		return c
	}
	c := &Call{}
	c.try = func() bool {
		if l.host.Sockets.Events(f.handle)&(stack.EventOut|stack.EventErr|stack.EventHup) == 0 {
			return false
		}
		return c.result(0, l.pending(f))
	}
	c.expire = func() { c.N, c.Err = -1, unix.EINPROGRESS }
	return l.begin(c, true, f.sendTimeout)
}

// pending takes a socket's pending error.
func (l *Lab) pending(f *file) error {
	var v [4]byte
	if _, err := l.host.Sockets.Option(f.handle, unix.SOL_SOCKET, unix.SO_ERROR, v[:]); err != nil {
		return err
	}
	if e := syscall.Errno(native.Uint32(v[:])); e != 0 {
		return e
	}
	return nil
}

// Recv reads into p. With MSG_WAITALL it waits for all of it.
func (l *Lab) Recv(fd int, p []byte, flags int) *Call {
	f, err := l.socket(fd)
	if err != nil {
		return fail(err)
	}
	wait := !f.nonblock && flags&unix.MSG_DONTWAIT == 0
	all := flags&unix.MSG_WAITALL != 0 && wait && flags&unix.MSG_PEEK == 0
	flags &^= unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL
	c := &Call{}
	c.expire = c.again
	got := 0
	c.try = func() bool {
		for {
			n, from, err := l.host.Sockets.RecvFrom(f.handle, p[got:], flags)
			switch {
			case err == unix.EAGAIN:
				c.N = got
				return false
			case err != nil && got > 0:
				return c.result(got, nil)
			case err != nil:
				return c.result(-1, err)
			}
			c.Addr = from
			got += n
			if !all || n == 0 || got == len(p) {
				return c.result(got, nil)
			}
		}
	}
	return l.begin(c, wait, f.recvTimeout)
}

// Send writes p. A descriptor that blocks waits until all of it is taken.
func (l *Lab) Send(fd int, p []byte, flags int) *Call {
	return l.send(fd, flags, len(p), func(f *file, from, flags int) (int, error) {
		return l.host.Sockets.Send(f.handle, p[from:], flags)
	})
}

// SendTo is Send to an address.
func (l *Lab) SendTo(fd int, p []byte, to netip.AddrPort, flags int) *Call {
	return l.send(fd, flags, len(p), func(f *file, from, flags int) (int, error) {
		return l.host.Sockets.SendTo(f.handle, p[from:], to, flags)
	})
}

func (l *Lab) send(fd, flags, size int, send func(f *file, from, flags int) (int, error)) *Call {
	f, err := l.socket(fd)
	if err != nil {
		return fail(err)
	}
	wait := !f.nonblock && flags&unix.MSG_DONTWAIT == 0
	flags &^= unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	c := &Call{}
	c.expire = c.again
	sent := 0
	c.try = func() bool {
		for {
			n, err := send(f, sent, flags)
			switch {
			case err == unix.EAGAIN:
				c.N = sent
				return false
			case err != nil && sent > 0:
				return c.result(sent, nil)
			case err != nil:
				return c.result(-1, err)
			}
			if sent += n; sent == size || !wait {
				return c.result(sent, nil)
			}
		}
	}
	return l.begin(c, wait, f.sendTimeout)
}
