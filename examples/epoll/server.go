package main

import (
	"fmt"
	"time"

	unix "github.com/fstack-go/fstack/posix" // the kernel's: golang.org/x/sys/unix
)

const (
	readSize  = 16 << 10 // bytes taken by one read
	headerMax = 8 << 10  // bytes of a request's header
)

// server is an event loop's state. Connections are found by descriptor. They hold no buffer while they wait: what is
// there of a request that is not whole, and what the peer does not take yet, lie in buffers that are lent.
type server struct {
	epoll     int
	listeners []int
	full      bool // no descriptor was left for a connection
	conns     []conn
	events    [256]unix.EpollEvent
	in        []byte // room for a read, after the beginning of a request that came before
	out       []byte // answers to one read: in room, or the page itself
	room      []byte
	page      answers
	lent      buffers
}

// conn is a connection. It has no pointer: a million of them are nothing to the collector.
type conn struct {
	skip    int64 // bytes of a request's content still to come
	in      int32 // buffer with the beginning of a request, 0: none
	out     int32 // buffer with what is to be written, 0: none
	open    bool
	closing bool // when out is written
	failed  bool // the last answer is an error: what else comes is not for us
}

// listen makes a server with a listener for IPv4 and one for IPv6.
func listen(port int) (*server, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	s := &server{epoll: ep, in: make([]byte, headerMax+readSize)}
	s.page.refresh(time.Now())
	keepTime()
	if err := s.listenAt(unix.AF_INET, &unix.SockaddrInet4{Port: port}); err != nil {
		return nil, err
	}
	if err := s.listenAt(unix.AF_INET6, &unix.SockaddrInet6{Port: port}); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *server) listenAt(family int, addr unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if family == unix.AF_INET6 { // IPv4 has its own
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("ipv6_v6only: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("so_reuseaddr: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil { // its connections inherit it
		return fmt.Errorf("tcp_nodelay: %w", err)
	}
	if err := unix.Bind(fd, addr); err != nil {
		return fmt.Errorf("bind %+v: %w", addr, err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	s.listeners = append(s.listeners, fd)
	return nil
}

// turn serves what is ready.
func (s *server) turn() error {
	n, err := unix.EpollWait(s.epoll, s.events[:], -1)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	if n <= 0 {
		return nil
	}
	if t := second.Load(); t != s.page.second {
		s.page.refresh(time.Unix(t, 0))
	}
	for i := range s.events[:n] {
		e := &s.events[i]
		fd := int(e.Fd)
		switch {
		case s.isListener(fd):
			if err := s.accept(fd); err != nil {
				return err
			}
		case e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0: // reset: nobody would read an answer
			s.close(fd)
		default:
			s.serve(fd, e.Events)
		}
	}
	return nil
}

func (s *server) isListener(fd int) bool {
	for _, l := range s.listeners {
		if l == fd {
			return true
		}
	}
	return false
}

// accept takes all connections that wait.
func (s *server) accept(listener int) error {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EAGAIN:
			return nil
		case unix.ECONNABORTED, unix.EINTR: // the peer has gone meanwhile
			continue
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM: // the next close makes room
			s.full = true
			return nil
		default:
			return fmt.Errorf("accept4: %w", err)
		}
		for fd >= len(s.conns) {
			s.conns = append(s.conns, conn{})
		}
		s.conns[fd] = conn{open: true}
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
		if unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &e) != nil {
			s.close(fd) // no memory for its registration
		}
	}
}

func (s *server) close(fd int) {
	c := &s.conns[fd]
	if !c.open {
		return
	}
	s.lent.release(&c.in)
	s.lent.release(&c.out)
	*c = conn{}
	unix.Close(fd)
	if s.full {
		s.full = false
		for _, l := range s.listeners {
			s.accept(l)
		}
	}
}

// serve reads and answers until there is nothing to read, or nothing more can be written.
func (s *server) serve(fd int, events uint32) {
	c := &s.conns[fd]
	if !c.open { // closed by an event before this one
		return
	}
	if c.out != 0 && !s.flush(fd) {
		return
	}
	for {
		held := copy(s.in, s.lent.bytes(c.in))
		n, err := unix.Read(fd, s.in[held:held+readSize])
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != nil || n == 0: // reset, or the peer sends no more: all that it asked is answered
			s.close(fd)
			return
		}
		if c.failed { // and has been told so: see write
			continue
		}
		rest := s.answer(c, s.in[:held+n])
		s.lent.hold(&c.in, rest)
		if len(s.out) > 0 && !s.write(fd) {
			return
		}
		if n < readSize && events&unix.EPOLLRDHUP == 0 { // all that there was: epoll(7), question 9
			return
		}
	}
}

// answer puts the answers to the requests in data into out, and returns what is left: the beginning of another.
func (s *server) answer(c *conn, data []byte) (rest []byte) {
	s.out = nil
	for len(data) > 0 && !c.closing {
		if c.skip > 0 {
			n := min(c.skip, int64(len(data)))
			c.skip, data = c.skip-n, data[n:]
			continue
		}
		r, size := parse(data)
		if size == 0 {
			if len(data) < headerMax {
				return data
			}
			r = request{status: 431}
		}
		data = data[size:]
		if a := s.page.of(r); len(s.out) == 0 && len(data) == 0 { // nearly always
			s.out = a
		} else {
			if len(s.out) == 0 {
				s.out = s.room[:0]
			}
			s.out = append(s.out, a...)
			s.room = s.out
		}
		c.skip, c.closing, c.failed = r.content, r.close || r.status != 200, r.status != 200
	}
	return nil
}

// write sends out, keeps what does not fit until it does, and then closes the connection if it is to be. It returns
// whether there is more to read.
func (s *server) write(fd int) bool {
	c := &s.conns[fd]
	n, err := unix.Write(fd, s.out)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
	case err != nil:
		s.close(fd)
		return false
	}
	if n < len(s.out) {
		s.lent.hold(&c.out, s.out[n:])
		return false
	}
	switch {
	case c.failed: // a close with data unread would reset the connection, and the answer with it: RFC 9112 §9.6
		unix.Shutdown(fd, unix.SHUT_WR)
	case c.closing:
		s.close(fd)
		return false
	}
	return true
}

// flush writes what was kept.
func (s *server) flush(fd int) bool {
	c := &s.conns[fd]
	s.room = append(s.room[:0], s.lent.bytes(c.out)...)
	s.out = s.room
	s.lent.release(&c.out)
	return s.write(fd)
}
