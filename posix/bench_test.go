package posix

import (
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// nothing is a table of sockets that costs nothing: what is measured over it is this package's own cost.
type nothing struct {
	stack.Sockets
	events *stack.Events
}

func (nothing) Open(domain, typ, proto int) (stack.Handle, error)             { return 1, nil }
func (nothing) Listen(h stack.Handle, backlog int) error                      { return nil }
func (nothing) Close(h stack.Handle) error                                    { return nil }
func (nothing) Recv(h stack.Handle, p []byte, flags int) (int, error)         { return len(p), nil }
func (nothing) Send(h stack.Handle, p []byte, flags int) (int, error)         { return len(p), nil }
func (nothing) SetOption(h stack.Handle, level, name int, value []byte) error { return nil }

func (nothing) Accept(h stack.Handle) (stack.Handle, netip.AddrPort, error) {
	return 2, netip.AddrPortFrom(netip.AddrFrom4(inet4), 80), nil
}

func (n nothing) Watch(h stack.Handle, sink stack.SinkID, tag uint32) stack.Events {
	return n.Events(h)
}

func (n nothing) Events(h stack.Handle) stack.Events {
	if n.events == nil {
		return 0
	}
	return *n.events
}

// loopTable is a table over nothing as Run has it, whose sockets have the readiness ready.
func loopTable(ready *stack.Events) *Table {
	st := stack.New(func() int64 { return 0 })
	t := New(st, nothing{events: ready})
	t.Serve(func() error { return nil }, func(error) {})
	return t
}

// watchedSocket is a socket registered with an epoll.
func watchedSocket(t *Table, events uint32) (ep, fd int, tag uint32) {
	ep, _ = t.EpollCreate1(0)
	fd, _ = t.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	t.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &EpollEvent{Events: events, Fd: int32(fd)})
	return ep, fd, t.state(fd).tag(t.file(fd))
}

func TestPathsAllocateNothing(t *testing.T) {
	ready := stack.EventIn
	table := loopTable(&ready)
	ep, fd, tag := watchedSocket(table, unix.EPOLLIN|unix.EPOLLET)
	l, _ := table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	p, events := make([]byte, 100), make([]EpollEvent, 16)
	poll := []PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for name, f := range map[string]func() error{
		"Read":  func() error { _, err := table.Read(fd, p); return err },
		"Write": func() error { _, err := table.Write(fd, p); return err },
		"Readv, Writev": func() error {
			iovs := [2][]byte{p, p}
			table.Readv(fd, iovs[:])
			_, err := table.Writev(fd, iovs[:])
			return err
		},
		"Recvfrom": func() error { _, _, err := table.Recvfrom(fd, p, unix.MSG_DONTWAIT); return err },
		"EpollWait": func() error {
			(*tableSink)(table).Notify(tag, stack.EventIn)
			if n, _ := table.EpollWait(ep, events, -1); n != 1 {
				return syscall.EPROTO
			}
			return nil
		},
		"EpollCtl": func() error {
			return table.EpollCtl(ep, unix.EPOLL_CTL_MOD, fd, &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET})
		},
		"Poll":          func() error { _, err := table.Poll(poll, 0); return err },
		"SetsockoptInt": func() error { return table.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) },
		"FcntlInt":      func() error { _, err := table.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_NONBLOCK); return err },
		"Accept4AddrPort, Close": func() error {
			c, _, err := table.Accept4AddrPort(l, unix.SOCK_NONBLOCK)
			if err == nil {
				err = table.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &EpollEvent{})
			}
			if err == nil {
				err = table.Close(c)
			}
			return err
		},
	} {
		var err error
		if n := testing.AllocsPerRun(1000, func() { err = f() }); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, error %v", name, n, err)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		c, _, _ := table.Accept4(l, 0)
		table.Close(c)
	}); n > 0.1 {
		t.Errorf("Accept4: %v allocations, want one for %d addresses", n, sockaddrs)
	}
}

func BenchmarkRead(b *testing.B) {
	Use(loopTable(nil))
	fd, _ := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	p := make([]byte, 100)
	for b.Loop() {
		Read(fd, p)
	}
}

func BenchmarkWrite(b *testing.B) {
	Use(loopTable(nil))
	fd, _ := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	p := make([]byte, 100)
	for b.Loop() {
		Write(fd, p)
	}
}

func BenchmarkEpollWaitNoneReady(b *testing.B) {
	Use(loopTable(nil))
	ep, _, _ := watchedSocket(Default(), unix.EPOLLIN)
	events := make([]EpollEvent, 64)
	for b.Loop() {
		EpollWait(ep, events, 0)
	}
}

// BenchmarkEvent is one event from its notification to its report, by how many come at once.
func BenchmarkEvent(b *testing.B) {
	for _, c := range []struct {
		name   string
		events uint32
		n      int
	}{
		{"edge/1", unix.EPOLLIN | unix.EPOLLET, 1}, {"edge/64", unix.EPOLLIN | unix.EPOLLET, 64},
		{"level/1", unix.EPOLLIN, 1}, {"level/64", unix.EPOLLIN, 64},
	} {
		b.Run(c.name, func(b *testing.B) {
			ready := stack.EventIn
			Use(loopTable(&ready))
			sink := (*tableSink)(Default())
			ep, _, _ := watchedSocket(Default(), c.events)
			tags := make([]uint32, c.n)
			for i := range tags {
				fd, _ := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
				EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &EpollEvent{Events: c.events, Fd: int32(fd)})
				tags[i] = Default().state(fd).tag(Default().file(fd))
			}
			events := make([]EpollEvent, c.n)
			for EpollWait(ep, make([]EpollEvent, 2*c.n), 0); ; { // what was ready when it was added
				ready = 0
				if n, _ := EpollWait(ep, events, 0); n == 0 {
					break
				}
			}
			for b.Loop() {
				ready = stack.EventIn
				for _, tag := range tags {
					sink.Notify(tag, stack.EventIn)
				}
				if n, _ := EpollWait(ep, events, 0); n != c.n {
					b.Fatalf("%d events, want %d", n, c.n)
				}
				if c.events&unix.EPOLLET == 0 { // the turn in which they are found drained
					ready = 0
					EpollWait(ep, events, 0)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.n), "ns/event")
		})
	}
}

func BenchmarkAcceptRegisterClose(b *testing.B) {
	Use(loopTable(nil))
	ep, l, _ := watchedSocket(Default(), unix.EPOLLIN)
	for b.Loop() {
		fd, _, _ := Accept4(l, unix.SOCK_NONBLOCK)
		EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
		Close(fd)
	}
}

// BenchmarkShortConnection is what a connection costs that is accepted, registered, reported once and closed.
func BenchmarkShortConnection(b *testing.B) {
	ready := stack.EventIn | stack.EventOut
	Use(loopTable(&ready))
	l, _ := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ep, _ := EpollCreate1(0)
	events := make([]EpollEvent, 64)
	for b.Loop() {
		fd, _, _ := Accept4(l, unix.SOCK_NONBLOCK)
		EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)})
		if n, _ := EpollWait(ep, events, -1); n != 1 {
			b.Fatalf("%d ready", n)
		}
		Close(fd)
	}
}
