package lab

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

var native = binary.NativeEndian

// firstFD is the lowest descriptor: beyond those that a process has from its kernel.
const firstFD = 1000

// file is what a descriptor stands for: a socket, or an epoll.
type file struct {
	handle      stack.Handle
	epoll       *epoll
	nonblock    bool
	recvTimeout int64 // SO_RCVTIMEO in nanoseconds, 0: none
	sendTimeout int64
}

func (l *Lab) add(f *file) (int, error) {
	fd, err := l.newFD()
	if err != nil {
		if f.epoll == nil {
			l.host.Sockets.Close(f.handle)
		}
		return -1, err
	}
	f.recvTimeout, f.sendTimeout = -1, -1
	l.files[fd] = f
	return fd, nil
}

func (l *Lab) lowestFD() (int, error) {
	fd := firstFD
	for l.files[fd] != nil {
		fd++
	}
	return fd, nil
}

func (l *Lab) socket(fd int) (*file, error) {
	f := l.files[fd]
	switch {
	case f == nil:
		return nil, unix.EBADF
	case f.epoll != nil:
		return nil, unix.ENOTSOCK
	}
	return f, nil
}

// Socket makes a socket and returns its descriptor. typ may have SOCK_NONBLOCK and SOCK_CLOEXEC.
func (l *Lab) Socket(domain, typ, proto int) (int, error) {
	h, err := l.host.Sockets.Open(domain, typ&^(unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), proto)
	if err != nil {
		return -1, err
	}
	return l.add(&file{handle: h, nonblock: typ&unix.SOCK_NONBLOCK != 0})
}

// Bind is bind(2).
func (l *Lab) Bind(fd int, a netip.AddrPort) error {
	f, err := l.socket(fd)
	if err != nil {
		return err
	}
	return l.host.Sockets.Bind(f.handle, a)
}

// Listen is listen(2).
func (l *Lab) Listen(fd, backlog int) error {
	f, err := l.socket(fd)
	if err != nil {
		return err
	}
	return l.host.Sockets.Listen(f.handle, backlog)
}

// Shutdown is shutdown(2).
func (l *Lab) Shutdown(fd, how int) error {
	f, err := l.socket(fd)
	if err != nil {
		return err
	}
	return l.host.Sockets.Shutdown(f.handle, how)
}

// CloseFD is close(2). A call that waits on the descriptor goes on to wait.
func (l *Lab) CloseFD(fd int) error {
	f := l.files[fd]
	if f == nil {
		return unix.EBADF
	}
	delete(l.files, fd)
	for _, e := range l.files {
		if e.epoll != nil {
			e.epoll.remove(fd)
		}
	}
	if f.epoll != nil {
		return nil
	}
	return l.host.Sockets.Close(f.handle)
}

// SetOption is setsockopt(2). The timeouts of blocking calls are the descriptor's, all else is the stack's.
func (l *Lab) SetOption(fd, level, name int, value []byte) error {
	f, err := l.socket(fd)
	if err != nil {
		return err
	}
	if level == unix.SOL_SOCKET && (name == unix.SO_RCVTIMEO || name == unix.SO_SNDTIMEO) {
		if len(value) < 16 {
			return unix.EINVAL
		}
		timeout := int64(native.Uint64(value))*1e9 + int64(native.Uint64(value[8:]))*1e3
		if timeout == 0 {
			timeout = -1 // socket(7): zero is no timeout
		}
		if name == unix.SO_RCVTIMEO {
			f.recvTimeout = timeout
		} else {
			f.sendTimeout = timeout
		}
		return nil
	}
	return l.host.Sockets.SetOption(f.handle, level, name, value)
}

// Option is getsockopt(2); n is the length of the value.
func (l *Lab) Option(fd, level, name int, value []byte) (n int, err error) {
	f, err := l.socket(fd)
	if err != nil {
		return 0, err
	}
	return l.host.Sockets.Option(f.handle, level, name, value)
}

// Unread is ioctl(2) with SIOCINQ: the bytes that can be read now.
func (l *Lab) Unread(fd int) (int, error) {
	f, err := l.socket(fd)
	if err != nil {
		return -1, err
	}
	n, err := l.host.Sockets.Recv(f.handle, make([]byte, maxUnread), unix.MSG_PEEK)
	if err == unix.EAGAIN {
		return 0, nil
	}
	return n, err
}

// maxUnread is as much as Unread counts.
const maxUnread = 1 << 20

// Fcntl is fcntl(2) with F_GETFL, F_SETFL (O_NONBLOCK), F_GETFD and F_SETFD.
func (l *Lab) Fcntl(fd, cmd, arg int) (int, error) {
	f := l.files[fd]
	if f == nil {
		return -1, unix.EBADF
	}
	switch cmd {
	case unix.F_GETFL:
		if f.nonblock {
			return unix.O_RDWR | unix.O_NONBLOCK, nil
		}
		return unix.O_RDWR, nil
	case unix.F_SETFL:
		f.nonblock = arg&unix.O_NONBLOCK != 0
		return 0, nil
	case unix.F_GETFD, unix.F_SETFD:
		return 0, nil
	}
	return -1, unix.EINVAL
}
