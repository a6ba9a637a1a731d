package posix

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

const typeFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// Socket makes a socket; typ may have SOCK_NONBLOCK and SOCK_CLOEXEC. EAFNOSUPPORT: neither AF_INET nor
// AF_INET6; EINVAL, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EMFILE.
func (t *Table) Socket(domain, typ, proto int) (int, error) {
	flags := typ & typeFlags
	if typ &^= typeFlags; typ < 0 || typ > 10 { // SOCK_PACKET, the highest
		return -1, syscall.EINVAL
	}
	st := socketFlags(typ, flags)
	switch domain {
	case unix.AF_INET:
	case unix.AF_INET6:
		st |= inet6
	default:
		return -1, syscall.EAFNOSUPPORT
	}
	var err error = syscall.EPROTONOSUPPORT
	for k := kindSocket; k < kinds && t.socks[k] != nil; k++ {
		var h stack.Handle
		if h, err = t.socks[k].Open(domain, typ, proto); err == nil {
			return t.adopt(k, h, st, flags)
		}
		if !errors.Is(err, syscall.EPROTONOSUPPORT) {
			break
		}
	}
	return -1, err
}

func socketFlags(typ, flags int) (st state) {
	if typ == unix.SOCK_STREAM {
		st |= streaming
	}
	if flags&unix.SOCK_NONBLOCK != 0 {
		st |= nonblock
	}
	return st
}

// adopt gives a new socket a descriptor, or closes it.
func (t *Table) adopt(k kind, h stack.Handle, st state, flags int) (int, error) {
	fd, err := t.open(k, h, st, flags&unix.SOCK_CLOEXEC != 0)
	if err != nil {
		t.socks[k].Close(h)
	}
	return fd, err
}

// Bind gives a socket its local address. EADDRINUSE, EADDRNOTAVAIL, EINVAL (it has one).
func (t *Table) Bind(fd int, sa Sockaddr) error {
	s, st, err := t.socket(fd)
	if err != nil {
		return err
	}
	a, err := fromSockaddr(st, sa)
	if err != nil {
		return err
	}
	return s.Bind(st.handle(), a)
}

// Listen has a socket take connections, of which n may wait for Accept. EOPNOTSUPP, EADDRINUSE.
func (t *Table) Listen(fd, n int) error {
	s, st, err := t.socket(fd)
	if err != nil {
		return err
	}
	return s.Listen(st.handle(), n)
}

// Accept is Accept4 without flags.
func (t *Table) Accept(fd int) (int, Sockaddr, error) { return t.Accept4(fd, 0) }

// Accept4 takes a connection. flags: SOCK_NONBLOCK, SOCK_CLOEXEC. EAGAIN, EINVAL (not listening), EMFILE (the
// connection stays in the queue). The address is memory of the collector's; Accept4AddrPort's is not.
func (t *Table) Accept4(fd, flags int) (int, Sockaddr, error) {
	nfd, _, sa, err := t.accept(fd, flags, true)
	return nfd, sa, err
}

// Accept4AddrPort is Accept4 that allocates nothing.
func (t *Table) Accept4AddrPort(fd, flags int) (int, netip.AddrPort, error) {
	nfd, peer, _, err := t.accept(fd, flags, false)
	return nfd, peer, err
}

// accept tells the peer's address also as a Sockaddr, if that is asked for.
func (t *Table) accept(fd, flags int, sockaddr bool) (nfd int, peer netip.AddrPort, sa Sockaddr, err error) {
	s, st, err := t.socket(fd)
	if err == nil && flags&^typeFlags != 0 {
		err = syscall.EINVAL
	}
	if err != nil {
		return -1, peer, nil, err
	}
	nfd, peer, sa, err = t.tryAccept(s, st, flags, sockaddr)
	if err == syscall.EAGAIN && t.blocks(st, 0) {
		return t.awaitAccept(fd, s, st, flags, sockaddr)
	}
	if err == nil {
		t.progress()
	}
	return nfd, peer, sa, err
}

func (t *Table) awaitAccept(fd int, s stack.Sockets, st state, flags int, sockaddr bool) (nfd int, peer netip.AddrPort, sa Sockaddr, err error) {
	nfd = -1 // closed meanwhile
	err = t.await(fd, st, stack.EventIn, t.timeout(fd, st, recvTimeout), func() (err error) {
		nfd, peer, sa, err = t.tryAccept(s, st, flags, sockaddr)
		return err
	})
	return nfd, peer, sa, err
}

// tryAccept reserves the descriptor first, so that a connection for which there is none stays in the queue.
func (t *Table) tryAccept(s stack.Sockets, st state, flags int, sockaddr bool) (fd int, peer netip.AddrPort, sa Sockaddr, err error) {
	t.mu.Lock()
	fd, f, err := t.newFile(flags&unix.SOCK_CLOEXEC != 0)
	t.mu.Unlock()
	if err != nil {
		return -1, peer, nil, err
	}
	h, peer, err := s.Accept(st.handle())
	t.mu.Lock()
	if err != nil {
		t.release(fd, f)
		t.mu.Unlock()
		return -1, peer, nil, err
	}
	t.setState(f, makeState(st.kind(), h, st&(inet6|streaming)|socketFlags(0, flags)))
	if sockaddr {
		sa = t.addrs.make(st, peer)
	}
	t.mu.Unlock()
	return fd, peer, sa, nil
}

// Connect connects a stream, waiting for it if it may block, or sets a datagram socket's peer. EINPROGRESS,
// EALREADY, EISCONN, ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EHOSTUNREACH.
func (t *Table) Connect(fd int, sa Sockaddr) error {
	s, st, err := t.socket(fd)
	if err != nil {
		return err
	}
	a, err := fromSockaddr(st, sa)
	if err != nil {
		return err
	}
	err = s.Connect(st.handle(), a)
	if (err != syscall.EINPROGRESS && err != syscall.EALREADY) || !t.blocks(st, 0) {
		return err
	}
	err = t.await(fd, st, stack.EventOut, t.timeout(fd, st, sendTimeout), func() error {
		if s.Events(st.handle())&(stack.EventOut|stack.EventErr|stack.EventHup) == 0 {
			return syscall.EAGAIN
		}
		switch err := s.Connect(st.handle(), a); err { // tells how it went
		case syscall.EISCONN:
			return nil
		case syscall.EALREADY, syscall.EINPROGRESS:
			return syscall.EAGAIN
		default:
			return err
		}
	})
	if err == syscall.EAGAIN { // SO_SNDTIMEO
		return syscall.EINPROGRESS
	}
	return err
}

// Shutdown ends one direction of a connection, or both: SHUT_RD, SHUT_WR, SHUT_RDWR. ENOTCONN, EINVAL.
func (t *Table) Shutdown(fd, how int) error {
	s, st, err := t.socket(fd)
	if err != nil {
		return err
	}
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return syscall.EINVAL
	}
	return s.Shutdown(st.handle(), how)
}

// Getsockname tells the local address.
func (t *Table) Getsockname(fd int) (Sockaddr, error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return nil, err
	}
	a, err := s.LocalAddr(st.handle())
	if err != nil {
		return nil, err
	}
	return t.sockaddr(st, a), nil
}

// Getpeername tells the peer's address. ENOTCONN.
func (t *Table) Getpeername(fd int) (Sockaddr, error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return nil, err
	}
	a, err := s.PeerAddr(st.handle())
	if err != nil {
		return nil, err
	}
	return t.sockaddr(st, a), nil
}
