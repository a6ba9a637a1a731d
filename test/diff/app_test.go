package diff

import (
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/posix"
)

// app is the event loop of a host: an edge-triggered epoll and the ends that it drives.
type app struct {
	*host
	pair     *pair
	ep       int
	listener int
	ends     map[int]*end // by descriptor
	all      []*end       // in the order of their connections
	pauses   []int64      // when some end goes on
	hasty    bool         // ends wait no longer than patience, whatever the peer is like
	tolerant bool         // of errors by which a stack defends itself
	buf      []byte
	want     []byte
	accepted func(port uint16, fd int) *end
}

// pulse is how often an end looks, at the least, whether its patience has run out.
const pulse = 10 * time.Second

const edges = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

func newApp(p *pair, h *host) *app {
	a := &app{host: h, pair: p, ends: map[int]*end{}, buf: make([]byte, 1<<16), want: make([]byte, 1<<16)}
	var err error
	a.ep, err = h.table.EpollCreate1(0)
	a.must(err)
	if table, ok := a.table.(*posix.Table); ok {
		table.Serve(a.turn, func(err error) { p.t.Errorf("host %d: %v", h.index, err) })
	}
	return a
}

func (a *app) must(err error) {
	if err != nil {
		a.pair.t.Helper()
		a.pair.t.Fatalf("host %d (%s): %v", a.index, a.kind, err)
	}
}

// turn is called by the stack's loop, or the test's.
func (a *app) turn() error {
	var events [64]posix.EpollEvent
	n, err := a.table.EpollWait(a.ep, events[:], 0)
	if err != nil && err != syscall.EINTR {
		return err
	}
	for _, ev := range events[:max(n, 0)] {
		if int(ev.Fd) == a.listener {
			a.accept()
		} else if e := a.ends[int(ev.Fd)]; e != nil {
			e.pump()
		}
	}
	due := false
	for len(a.pauses) > 0 && a.pauses[0] <= a.pair.now() {
		a.pauses = a.pauses[1:]
		due = true
	}
	if due {
		for _, e := range a.all {
			e.tick()
		}
		if len(a.pauses) == 0 && len(a.ends) > 0 {
			a.wakeIn(pulse)
		}
	}
	return nil
}

// wakeIn has the loop turn at that time, and ask its ends.
func (a *app) wakeIn(d time.Duration) {
	at := a.pair.now() + int64(d)
	i := len(a.pauses)
	for i > 0 && a.pauses[i-1] > at {
		i--
	}
	a.pauses = append(a.pauses[:i], append([]int64{at}, a.pauses[i:]...)...)
	if a.st != nil {
		a.st.Clock().AfterFunc(d, func() {})
	}
}

// listen begins to take connections, each of which accepted makes an end of.
func (a *app) listen(addr netip.AddrPort, accepted func(port uint16, fd int) *end) {
	a.accepted = accepted
	a.listener = a.socket(addr.Addr())
	a.must(a.table.Bind(a.listener, sockaddr(addr)))
	a.must(a.table.Listen(a.listener, 128))
	a.register(a.listener)
}

func (a *app) accept() {
	for {
		fd, from, err := a.table.Accept4(a.listener, unix.SOCK_NONBLOCK)
		if err == syscall.EAGAIN {
			return
		}
		if a.tolerant && err != nil { // no memory
			return
		}
		a.must(err)
		e := a.accepted(portOf(from), fd)
		if e == nil {
			a.must(a.table.Close(fd))
			continue
		}
		e.fd = fd
		a.ends[fd] = e
		if a.kind == "tcp" { // gVisor would shrink the window, and then drop what comes without a word
			a.recvBuffer(e)
		}
		a.sendBuffer(e)
		e.connected()
		a.register(fd)
		a.wakeIn(pulse)
	}
}

func (a *app) recvBuffer(e *end) {
	if n := e.script.recvBuffer; n > 0 {
		a.must(a.table.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n))
	}
}

func (a *app) sendBuffer(e *end) {
	if n := e.script.sendBuffer; n > 0 {
		a.must(a.table.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n))
	}
}

// connect begins a connection from the given port, or one that the stack chooses.
func (a *app) connect(e *end, from, to netip.AddrPort) {
	if e.fd = a.socket(to.Addr()); e.fd < 0 {
		e.closed = true
		return
	}
	a.ends[e.fd] = e
	a.recvBuffer(e)
	a.sendBuffer(e)
	if from.IsValid() {
		a.must(a.table.Bind(e.fd, sockaddr(from)))
	}
	e.progress, e.touched = e.now(), e.now()
	if err := a.table.Connect(e.fd, sockaddr(to)); err != syscall.EINPROGRESS {
		if a.tolerant {
			e.fail(err)
			return
		}
		a.must(err)
	}
	a.register(e.fd)
	a.wakeIn(pulse)
}

func (a *app) socket(addr netip.Addr) int {
	domain := unix.AF_INET
	if addr.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := a.table.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil && a.tolerant {
		return -1
	}
	a.must(err)
	return fd
}

func (a *app) register(fd int) {
	a.must(a.table.EpollCtl(a.ep, unix.EPOLL_CTL_ADD, fd, &posix.EpollEvent{Events: edges, Fd: int32(fd)}))
}

func sockaddr(a netip.AddrPort) posix.Sockaddr {
	if a.Addr().Is4() {
		return &posix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &posix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func portOf(sa posix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}
