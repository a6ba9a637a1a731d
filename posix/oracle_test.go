package posix

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// calls are the calls that the oracle compares: Linux's and a table's.
type calls interface {
	Socket(domain, typ, proto int) (int, error)
	Bind(fd int, sa Sockaddr) error
	Listen(fd, n int) error
	Accept4(fd, flags int) (int, Sockaddr, error)
	Connect(fd int, sa Sockaddr) error
	Shutdown(fd, how int) error
	Close(fd int) error
	Getsockname(fd int) (Sockaddr, error)
	Getpeername(fd int) (Sockaddr, error)
	Read(fd int, p []byte) (int, error)
	Write(fd int, p []byte) (int, error)
	Readv(fd int, iovs [][]byte) (int, error)
	Writev(fd int, iovs [][]byte) (int, error)
	Recvfrom(fd int, p []byte, flags int) (n int, from Sockaddr, err error)
	Recvmsg(fd int, p, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error)
	Sendto(fd int, p []byte, flags int, to Sockaddr) error
	SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (int, error)
	SetsockoptInt(fd, level, opt, value int) error
	SetsockoptLinger(fd, level, opt int, l *Linger) error
	SetsockoptTimeval(fd, level, opt int, tv *Timeval) error
	SetsockoptString(fd, level, opt int, s string) error
	GetsockoptInt(fd, level, opt int) (int, error)
	GetsockoptLinger(fd, level, opt int) (*Linger, error)
	GetsockoptTimeval(fd, level, opt int) (*Timeval, error)
	GetsockoptString(fd, level, opt int) (string, error)
	GetsockoptTCPInfo(fd, level, opt int) (*TCPInfo, error)
	SetNonblock(fd int, nonblocking bool) error
	FcntlInt(fd uintptr, cmd, arg int) (int, error)
	Dup(fd int) (int, error)
	Dup3(oldfd, newfd, flags int) error
	EpollCreate1(flag int) (int, error)
	EpollCtl(epfd, op, fd int, event *EpollEvent) error
	EpollWait(epfd int, events []EpollEvent, msec int) (int, error)
	Poll(fds []PollFd, timeout int) (int, error)
	Eventfd(initval uint, flags int) (int, error)
	Select(nfd int, r, w, e *FdSet, timeout *Timeval) (int, error)
}

// kernel is Linux.
type kernel struct{}

func (kernel) Socket(domain, typ, proto int) (int, error)   { return unix.Socket(domain, typ, proto) }
func (kernel) Bind(fd int, sa Sockaddr) error               { return unix.Bind(fd, sa) }
func (kernel) Listen(fd, n int) error                       { return unix.Listen(fd, n) }
func (kernel) Accept4(fd, flags int) (int, Sockaddr, error) { return unix.Accept4(fd, flags) }
func (kernel) Connect(fd int, sa Sockaddr) error            { return unix.Connect(fd, sa) }
func (kernel) Shutdown(fd, how int) error                   { return unix.Shutdown(fd, how) }
func (kernel) Close(fd int) error                           { return unix.Close(fd) }
func (kernel) Getsockname(fd int) (Sockaddr, error)         { return unix.Getsockname(fd) }
func (kernel) Getpeername(fd int) (Sockaddr, error)         { return unix.Getpeername(fd) }
func (kernel) Read(fd int, p []byte) (int, error)           { return unix.Read(fd, p) }
func (kernel) Write(fd int, p []byte) (int, error)          { return unix.Write(fd, p) }
func (kernel) Readv(fd int, iovs [][]byte) (int, error)     { return unix.Readv(fd, iovs) }
func (kernel) Writev(fd int, iovs [][]byte) (int, error)    { return unix.Writev(fd, iovs) }
func (kernel) SetNonblock(fd int, nonblocking bool) error   { return unix.SetNonblock(fd, nonblocking) }
func (kernel) Dup(fd int) (int, error)                      { return unix.Dup(fd) }
func (kernel) Dup3(oldfd, newfd, flags int) error           { return unix.Dup3(oldfd, newfd, flags) }
func (kernel) EpollCreate1(flag int) (int, error)           { return unix.EpollCreate1(flag) }
func (kernel) Poll(fds []PollFd, timeout int) (int, error)  { return unix.Poll(fds, timeout) }
func (kernel) Eventfd(initval uint, flags int) (int, error) { return unix.Eventfd(initval, flags) }

func (kernel) Recvfrom(fd int, p []byte, flags int) (int, Sockaddr, error) {
	return unix.Recvfrom(fd, p, flags)
}

func (kernel) Recvmsg(fd int, p, oob []byte, flags int) (int, int, int, Sockaddr, error) {
	return unix.Recvmsg(fd, p, oob, flags)
}

func (kernel) Sendto(fd int, p []byte, flags int, to Sockaddr) error {
	return unix.Sendto(fd, p, flags, to)
}

func (kernel) SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (int, error) {
	return unix.SendmsgN(fd, p, oob, to, flags)
}

func (kernel) SetsockoptInt(fd, level, opt, value int) error {
	return unix.SetsockoptInt(fd, level, opt, value)
}

func (kernel) SetsockoptLinger(fd, level, opt int, l *Linger) error {
	return unix.SetsockoptLinger(fd, level, opt, l)
}

func (kernel) SetsockoptTimeval(fd, level, opt int, tv *Timeval) error {
	return unix.SetsockoptTimeval(fd, level, opt, tv)
}

func (kernel) SetsockoptString(fd, level, opt int, s string) error {
	return unix.SetsockoptString(fd, level, opt, s)
}

func (kernel) GetsockoptInt(fd, level, opt int) (int, error) {
	return unix.GetsockoptInt(fd, level, opt)
}

func (kernel) GetsockoptLinger(fd, level, opt int) (*Linger, error) {
	return unix.GetsockoptLinger(fd, level, opt)
}

func (kernel) GetsockoptTimeval(fd, level, opt int) (*Timeval, error) {
	return unix.GetsockoptTimeval(fd, level, opt)
}

func (kernel) GetsockoptString(fd, level, opt int) (string, error) {
	return unix.GetsockoptString(fd, level, opt)
}

func (kernel) GetsockoptTCPInfo(fd, level, opt int) (*TCPInfo, error) {
	return unix.GetsockoptTCPInfo(fd, level, opt)
}

func (kernel) FcntlInt(fd uintptr, cmd, arg int) (int, error) { return unix.FcntlInt(fd, cmd, arg) }

func (kernel) EpollCtl(epfd, op, fd int, event *EpollEvent) error {
	return unix.EpollCtl(epfd, op, fd, event)
}

func (kernel) EpollWait(epfd int, events []EpollEvent, msec int) (int, error) {
	return unix.EpollWait(epfd, events, msec)
}

func (kernel) Select(nfd int, r, w, e *FdSet, timeout *Timeval) (int, error) {
	return unix.Select(nfd, r, w, e, timeout)
}

var (
	_ calls = kernel{}
	_ calls = (*Table)(nil)
)

// transcript runs a sequence of calls and writes down what they gave, without the numbers of descriptors and ports,
// so that those of two systems can be compared.
type transcript struct {
	calls
	t      *testing.T
	lines  []string
	broken bool // it could not be run to its end
}

func (r *transcript) logf(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// errno logs the outcome of a call.
func (r *transcript) errno(what string, err error) error {
	r.logf("%s: %s", what, errName(err))
	return err
}

func errName(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(e)
	}
	return fmt.Sprintf("not an errno: %v", err)
}

// must is for the steps that are only the way to the case.
func (r *transcript) must(err error) {
	if err != nil {
		r.stop("cannot go on: %s", errName(err))
	}
}

func (r *transcript) stop(format string, args ...any) {
	if r.t != nil { // not an oracle's, but the way of another test
		r.t.Helper()
		r.t.Fatalf(format, args...)
	}
	r.logf(format, args...)
	r.broken = true
	runtime.Goexit()
}

func (r *transcript) socket(domain, typ int) int {
	fd, err := r.Socket(domain, typ, 0)
	r.must(err)
	return fd
}

// wait gives the system time to bring the events to fd.
func (r *transcript) wait(fd int, events int16) {
	p := []PollFd{{Fd: int32(fd), Events: events}}
	for deadline := time.Now().Add(time.Second); ; {
		n, err := r.Poll(p, 100)
		if err != syscall.EINTR {
			r.must(err)
		}
		if n > 0 && p[0].Revents&events != 0 {
			time.Sleep(2 * time.Millisecond) // the news of it may be a moment behind
			return
		}
		if time.Now().After(deadline) {
			r.stop("waited in vain for %s", eventNames(uint32(uint16(events))))
		}
		time.Sleep(time.Millisecond)
	}
}

// polled logs the readiness that Poll tells, asked for everything.
func (r *transcript) polled(what string, fd int) {
	p := []PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLPRI | unix.POLLRDHUP}}
	_, err := r.Poll(p, 0)
	r.logf("%s: %s %s", what, eventNames(uint32(uint16(p[0].Revents))), errName(err))
}

var eventBits = []struct {
	bit  uint32
	name string
}{
	{unix.EPOLLIN, "IN"}, {unix.EPOLLPRI, "PRI"}, {unix.EPOLLOUT, "OUT"}, {unix.EPOLLERR, "ERR"}, {unix.EPOLLHUP, "HUP"},
	{unix.POLLNVAL, "NVAL"}, {unix.EPOLLRDNORM, "RDNORM"}, {unix.EPOLLWRNORM, "WRNORM"}, {unix.EPOLLRDHUP, "RDHUP"},
}

func eventNames(ev uint32) string {
	var s []string
	for _, b := range eventBits {
		if ev&b.bit != 0 {
			s = append(s, b.name)
			ev &^= b.bit
		}
	}
	if ev != 0 {
		s = append(s, fmt.Sprintf("%#x", ev))
	}
	return "[" + strings.Join(s, " ") + "]"
}

// epolled logs what EpollWait returns; data of the events are names' keys.
func (r *transcript) epolled(what string, ep, msec int) int {
	var events [8]EpollEvent
	n, err := r.EpollWait(ep, events[:], msec)
	s := ""
	for _, e := range events[:max(n, 0)] {
		s += fmt.Sprintf(" %d/%d%s", e.Fd, e.Pad, eventNames(e.Events))
	}
	r.logf("%s: %d%s %s", what, n, s, errName(err))
	return n
}

var inet4, inet6Addr = [4]byte{127, 0, 0, 1}, [16]byte{15: 1}

// listener is a socket that listens on a port of loopback.
func (r *transcript) listener(domain int) (fd int, sa Sockaddr) {
	fd = r.socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	sa = &unix.SockaddrInet4{Addr: inet4}
	if domain == unix.AF_INET6 {
		sa = &unix.SockaddrInet6{Addr: inet6Addr}
	}
	r.must(r.Bind(fd, sa))
	r.must(r.Listen(fd, 16))
	sa, err := r.Getsockname(fd)
	r.must(err)
	return fd, sa
}

// pair is a connection's two ends, both O_NONBLOCK.
func (r *transcript) pair() (client, server int) {
	l, sa := r.listener(unix.AF_INET)
	client, server = r.connect(l, sa)
	r.must(r.Close(l))
	return client, server
}

func (r *transcript) connect(l int, sa Sockaddr) (client, server int) {
	domain := unix.AF_INET
	if _, ok := sa.(*unix.SockaddrInet6); ok {
		domain = unix.AF_INET6
	}
	client = r.socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	if err := r.Connect(client, sa); err != syscall.EINPROGRESS {
		r.must(err)
	}
	r.wait(l, unix.POLLIN)
	r.wait(client, unix.POLLOUT)
	server, _, err := r.Accept4(l, unix.SOCK_NONBLOCK)
	r.must(err)
	return client, server
}

// read logs a read; write likewise.
func (r *transcript) read(what string, fd, size int) {
	p := make([]byte, size)
	n, err := r.Read(fd, p)
	r.logf("%s: %d %q %s", what, n, p[:max(n, 0)], errName(err))
}

func (r *transcript) write(what string, fd int, s string) {
	n, err := r.Write(fd, []byte(s))
	r.logf("%s: %d %s", what, n, errName(err))
}

// inNamespace runs f on a thread with descriptors of its own, in a network namespace of its own in which only
// loopback is up.
func inNamespace(t *testing.T, f func()) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends, and its namespace and descriptors with it
		err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_FILES)
		if err == nil {
			err = loopbackUp()
		}
		if err == nil {
			defer close(done)
			f()
			return
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skipf("needs a network namespace (root): %v", err)
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl SIOCSIFFLAGS", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr))
}

// oracle runs the cases on Linux and on the calls that make gives, and compares. known are lines, by case, in which
// what is under the calls may be unlike Linux.
func oracle(t *testing.T, cases []oracleCase, make func(t *testing.T) calls, known map[string][]string) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			linux := &transcript{calls: kernel{}}
			inNamespace(t, func() { c.run(linux) })
			if linux.broken {
				t.Fatalf("Linux itself: %q", linux.lines)
			}
			here := &transcript{calls: make(t)}
			soon(t, "the case", func() { c.run(here) })
			allowed := append(slices.Clip(c.differs), known[c.name]...)
			for i, line := range here.lines {
				if (i >= len(linux.lines) || line != linux.lines[i]) && !slices.Contains(allowed, line) {
					want := "nothing"
					if i < len(linux.lines) {
						want = linux.lines[i]
					}
					t.Errorf("\nLinux %s\nhere  %s", want, line)
				}
			}
			if len(here.lines) < len(linux.lines) && !here.broken {
				t.Errorf("%d lines, Linux has %d", len(here.lines), len(linux.lines))
			}
			for _, line := range c.differs {
				if !slices.Contains(here.lines, line) {
					t.Errorf("%q is listed as different from Linux, but did not occur", line)
				}
			}
		})
	}
}

// oracleCase is a sequence of calls. differs lists the lines in which this package is unlike Linux on purpose.
type oracleCase struct {
	name    string
	run     func(r *transcript)
	differs []string
}
