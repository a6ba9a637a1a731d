package fstack

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// socket makes the calls of a socket block. Its errors have no operation and address yet: conn and TCPListener
// wrap them.
//
// Close frees the handle, which the table then uses again. So whoever uses the handle holds one of the three mutexes and
// has seen that the socket is open, and Close takes all three.
type socket struct {
	stack  *Stack
	table  stack.Sockets
	handle stack.Handle
	tag    uint32
	domain int
	stream bool
	waiter stack.Waiter
	io     [2]sync.Mutex // by stack.Direction: one goroutine reads and one writes, the others queue
	ctl    sync.Mutex    // of calls that do not wait
	value  [4]byte       // of an option, while ctl is locked
}

// open makes a socket of the first of the domains that the table has. owner is the socket or what it is part of.
func (s *socket) open(owner any, st *Stack, table stack.Sockets, domains []int, typ, proto int) error {
	return st.use(func() (err error) {
		for _, domain := range domains {
			var h stack.Handle
			if h, err = table.Open(domain, typ, proto); err == nil {
				s.attach(owner, st, table, h, domain, typ == unix.SOCK_STREAM)
				return nil
			}
			if err != syscall.EAFNOSUPPORT {
				break
			}
		}
		return os.NewSyscallError("socket", err)
	})
}

// attach takes over a handle. Stack.use holds Stack.Close off meanwhile.
func (s *socket) attach(owner any, st *Stack, table stack.Sockets, h stack.Handle, domain int, stream bool) {
	s.stack, s.table, s.handle, s.domain, s.stream = st, table, h, domain, stream
	s.waiter.Init(st.stack)
	s.waiter.Owner = owner
	s.tag = st.waiters.Watch(table, h, &s.waiter)
}

// do calls f until it would not block. op is the name of the system call that f is like.
func (s *socket) do(d stack.Direction, op string, f func() error) error {
	s.io[d].Lock()
	defer s.io[d].Unlock()
	if err := s.waiter.Check(d); err != nil {
		return err
	}
	for {
		switch err := f(); err {
		case nil:
			return nil
		case syscall.EAGAIN:
			if err := s.waiter.Wait(d); err != nil {
				return err
			}
		default:
			return os.NewSyscallError(op, err)
		}
	}
}

func (s *socket) recv(p []byte) (n int, err error) {
	err = s.do(stack.Receiving, "read", func() (err error) {
		n, err = s.table.Recv(s.handle, p, 0)
		return err
	})
	return max(n, 0), err
}

// recvFrom returns the length of the whole datagram with flag MSG_TRUNC, else what fitted.
func (s *socket) recvFrom(op string, p []byte, flags int) (n int, from netip.AddrPort, err error) {
	err = s.do(stack.Receiving, op, func() (err error) {
		n, from, err = s.table.RecvFrom(s.handle, p, flags)
		return err
	})
	return max(n, 0), from, err
}

// send sends all of p, or returns how much it sent.
func (s *socket) send(p []byte) (n int, err error) {
	err = s.do(stack.Sending, "write", func() error {
		if !s.stream {
			n, err = s.table.Send(s.handle, p, 0)
			return err
		}
		for n < len(p) {
			m, err := s.table.Send(s.handle, p[n:], 0)
			if err != nil {
				return err
			}
			n += m
		}
		return nil
	})
	return max(n, 0), err
}

func (s *socket) sendTo(op string, p []byte, to netip.AddrPort) (n int, err error) {
	err = s.do(stack.Sending, op, func() (err error) {
		n, err = s.table.SendTo(s.handle, p, to, 0)
		return err
	})
	return max(n, 0), err
}

// name returns the socket's own address.
func (s *socket) name() (a netip.AddrPort, err error) {
	err = s.control("getsockname", func() (err error) {
		a, err = s.table.LocalAddr(s.handle)
		return err
	})
	return a, err
}

// control calls f if the socket is open. f must not wait.
func (s *socket) control(op string, f func() error) error {
	s.ctl.Lock()
	defer s.ctl.Unlock()
	if s.waiter.Closed() {
		return net.ErrClosed
	}
	return os.NewSyscallError(op, f())
}

// close ends all calls with net.ErrClosed, waits until they have left, and frees the handle.
func (s *socket) close() error {
	if !s.waiter.Close() {
		return net.ErrClosed
	}
	s.io[stack.Receiving].Lock()
	defer s.io[stack.Receiving].Unlock()
	s.io[stack.Sending].Lock()
	defer s.io[stack.Sending].Unlock()
	s.ctl.Lock()
	defer s.ctl.Unlock()
	err := s.table.Close(s.handle)
	s.stack.waiters.Forget(s.tag)
	return os.NewSyscallError("close", err)
}
