package posix

import (
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// fake is a loopback of streams in memory behind stack.Sockets: enough of one to test descriptors, epoll and
// blocking without a protocol. Connections are made at once, and buffers hold fakeBuffer bytes.
type fake struct {
	t     testing.TB
	stack *stack.Stack

	mu        sync.Mutex
	socks     []*fakeSocket // by handle
	free      []stack.Handle
	listeners map[netip.AddrPort]*fakeSocket
	port      uint16
	opened    int
	closed    int
	seen      int // calls of Events
}

const fakeBuffer = 64 << 10

type fakeSocket struct {
	h        stack.Handle
	local    netip.AddrPort
	remote   netip.AddrPort
	listener bool
	backlog  int
	queue    []*fakeSocket // to accept

	peer      *fakeSocket
	in        []byte
	ended     bool // the peer sends no more
	done      bool // we send no more
	err       syscall.Errno
	sink      stack.SinkID
	tag       uint32
	options   map[int]int
	wantsRoom bool // a send found no room
	unused    bool
}

var _ stack.Sockets = (*fake)(nil)

func newFake(t testing.TB, st *stack.Stack) *fake {
	return &fake{t: t, stack: st, socks: []*fakeSocket{nil}, listeners: map[netip.AddrPort]*fakeSocket{}, port: 40000}
}

// newFakeTable is a table over a fake, with a loop that turns its stack.
func newFakeTable(t testing.TB) (*Table, *fake) {
	st := stack.New(realClock())
	f := newFake(t, st)
	table := New(st, f)
	turn(t, st)
	return table, f
}

func realClock() func() int64 {
	base := time.Now()
	return func() int64 { return int64(time.Since(base)) }
}

// turn runs the stack's loop until the test ends.
func turn(t testing.TB, st *stack.Stack) {
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- st.Loop(stack.IdleAdaptive, stop) }()
	t.Cleanup(func() {
		close(stop)
		st.Kick()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (f *fake) add(s *fakeSocket) stack.Handle {
	f.opened++
	if n := len(f.free); n > 0 {
		s.h = f.free[n-1]
		f.free = f.free[:n-1]
		f.socks[s.h] = s
		return s.h
	}
	s.h = stack.Handle(len(f.socks))
	f.socks = append(f.socks, s)
	return s.h
}

// get is the socket of a handle, or, when a call comes late to one that was closed, one that never does anything.
func (f *fake) get(h stack.Handle) *fakeSocket {
	if int(h) >= len(f.socks) {
		f.t.Fatalf("handle %d was never given out", h)
	}
	if s := f.socks[h]; s != nil {
		return s
	}
	return &fakeSocket{unused: true, options: map[int]int{}}
}

func (f *fake) tell(s *fakeSocket, ev stack.Events) {
	if s != nil {
		f.stack.Notify(s.sink, s.tag, ev)
	}
}

func (f *fake) Open(domain, typ, proto int) (stack.Handle, error) {
	if typ != unix.SOCK_STREAM || proto != 0 && proto != unix.IPPROTO_TCP {
		return 0, syscall.EPROTONOSUPPORT
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.add(&fakeSocket{options: map[int]int{}}), nil
}

func (f *fake) Bind(h stack.Handle, a netip.AddrPort) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if s.local.Port() != 0 {
		return syscall.EINVAL
	}
	if a.Port() == 0 {
		f.port++
		a = netip.AddrPortFrom(a.Addr(), f.port)
	} else if f.listeners[a] != nil {
		return syscall.EADDRINUSE
	}
	s.local = a
	return nil
}

func (f *fake) Listen(h stack.Handle, backlog int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	s.listener, s.backlog = true, backlog
	f.listeners[s.local] = s
	return nil
}

func (f *fake) Accept(h stack.Handle) (stack.Handle, netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if !s.listener {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	if len(s.queue) == 0 {
		return 0, netip.AddrPort{}, syscall.EAGAIN
	}
	c := s.queue[0]
	s.queue = s.queue[:copy(s.queue, s.queue[1:])]
	return f.add(c), c.remote, nil
}

func (f *fake) Connect(h stack.Handle, a netip.AddrPort) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if s.err != 0 {
		err := s.err
		s.err = 0
		return err
	}
	if s.peer != nil {
		return syscall.EISCONN
	}
	l := f.listeners[a]
	if l == nil || len(l.queue) > l.backlog {
		s.err, s.done, s.ended = syscall.ECONNREFUSED, true, true
		f.tell(s, stack.EventErr|stack.EventHup|stack.EventIn|stack.EventOut)
		return syscall.EINPROGRESS
	}
	if s.local.Port() == 0 {
		f.port++
		s.local = netip.AddrPortFrom(a.Addr(), f.port)
	}
	s.remote = a
	c := &fakeSocket{local: a, remote: s.local, peer: s, options: map[int]int{}}
	s.peer = c
	l.queue = append(l.queue, c)
	f.tell(l, stack.EventIn)
	f.tell(s, stack.EventOut)
	return syscall.EINPROGRESS
}

func (f *fake) Recv(h stack.Handle, p []byte, flags int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if s.err != 0 {
		err := s.err
		s.err = 0
		return 0, err
	}
	if len(s.in) > 0 {
		n := copy(p, s.in)
		if flags&unix.MSG_PEEK == 0 {
			s.in = s.in[:copy(s.in, s.in[n:])]
			if s.peer != nil && s.peer.wantsRoom {
				s.peer.wantsRoom = false
				f.tell(s.peer, stack.EventOut)
			}
		}
		return n, nil
	}
	switch {
	case s.ended:
		return 0, nil
	case s.peer == nil:
		return 0, syscall.ENOTCONN
	}
	return 0, syscall.EAGAIN
}

func (f *fake) RecvFrom(h stack.Handle, p []byte, flags int) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, syscall.EOPNOTSUPP
}

func (f *fake) Send(h stack.Handle, p []byte, flags int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if s.err != 0 {
		err := s.err
		s.err = 0
		return 0, err
	}
	if s.done || s.peer == nil || s.peer.unused {
		return 0, syscall.EPIPE
	}
	n := min(len(p), fakeBuffer-len(s.peer.in))
	if n < len(p) {
		s.wantsRoom = true
	}
	if n == 0 && len(p) > 0 {
		return 0, syscall.EAGAIN
	}
	s.peer.in = append(s.peer.in, p[:n]...)
	f.tell(s.peer, stack.EventIn)
	return n, nil
}

func (f *fake) SendTo(stack.Handle, []byte, netip.AddrPort, int) (int, error) {
	return 0, syscall.EOPNOTSUPP
}

func (f *fake) Shutdown(h stack.Handle, how int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if s.peer == nil {
		return syscall.ENOTCONN
	}
	if how != unix.SHUT_WR {
		s.ended = true
		f.tell(s, stack.EventIn|stack.EventRdHup)
	}
	if how != unix.SHUT_RD {
		s.finish(f)
	}
	return nil
}

// finish is the end of the stream.
func (s *fakeSocket) finish(f *fake) {
	if s.done = true; s.peer != nil {
		s.peer.ended = true
		f.tell(s.peer, stack.EventIn|stack.EventRdHup)
	}
}

func (f *fake) Close(h stack.Handle) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	if s.unused {
		return syscall.EBADF
	}
	if s.listener {
		delete(f.listeners, s.local)
	}
	s.finish(f)
	if s.peer != nil && len(s.in) > 0 {
		s.peer.err = syscall.ECONNRESET
		f.tell(s.peer, stack.EventErr|stack.EventHup|stack.EventIn|stack.EventOut)
	}
	s.unused = true
	f.socks[h] = nil
	f.free = append(f.free, h)
	f.closed++
	return nil
}

func (f *fake) SetOption(h stack.Handle, level, name int, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if level != unix.IPPROTO_TCP {
		return syscall.ENOPROTOOPT
	}
	f.get(h).options[name] = int(value[0])
	return nil
}

func (f *fake) Option(h stack.Handle, level, name int, value []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.get(h)
	switch {
	case level == unix.SOL_SOCKET && name == unix.SO_ERROR:
		value[0] = byte(s.err)
		s.err = 0
		return 4, nil
	case level == unix.IPPROTO_TCP && name == unix.TCP_CONGESTION:
		return copy(value, "cubic\x00\x00"), nil
	case level == unix.IPPROTO_TCP:
		value[0] = byte(s.options[name])
		return 4, nil
	}
	return 0, syscall.ENOPROTOOPT
}

func (f *fake) LocalAddr(h stack.Handle) (netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(h).local, nil
}

func (f *fake) PeerAddr(h stack.Handle) (netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.get(h); s.peer != nil {
		return s.remote, nil
	}
	return netip.AddrPort{}, syscall.ENOTCONN
}

func (f *fake) Events(h stack.Handle) (ev stack.Events) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	s := f.get(h)
	if s.listener {
		if len(s.queue) > 0 {
			ev |= stack.EventIn
		}
		return ev
	}
	if s.err != 0 {
		ev |= stack.EventErr
	}
	if len(s.in) > 0 || s.ended {
		ev |= stack.EventIn
	}
	if s.ended {
		ev |= stack.EventRdHup
	}
	if s.ended && s.done || s.peer == nil {
		ev |= stack.EventHup
	}
	if s.peer == nil || s.done || len(s.peer.in) < fakeBuffer/3*2 {
		ev |= stack.EventOut
	}
	return ev
}

func (f *fake) Watch(h stack.Handle, sink stack.SinkID, tag uint32) stack.Events {
	f.mu.Lock()
	s := f.get(h)
	s.sink, s.tag = sink, tag
	f.mu.Unlock()
	return f.Events(h)
}
