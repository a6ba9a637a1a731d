package posix

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// ownFlags are the flags of a call that are not passed on: they are done here, or say what is always so.
const ownFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_WAITALL | unix.MSG_CMSG_CLOEXEC

// Read takes what is there; 0, nil is the end of a stream, and the answer to an empty p. EAGAIN, ECONNRESET.
// An eventfd gives its count as 8 bytes in the machine's order.
func (t *Table) Read(fd int, p []byte) (int, error) {
	st := t.state(fd)
	s := t.socks[st.kind()]
	if s == nil {
		return t.readOther(fd, st, p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.Recv(st.handle(), p, 0)
	if err != nil {
		return t.recvAgain(fd, s, st, p, 0, err)
	}
	t.progress()
	return n, nil
}

func (t *Table) readOther(fd int, st state, p []byte) (int, error) {
	switch st.kind() {
	case kindEvent:
		return t.readEvent(fd, st, p)
	case kindEpoll:
		return -1, syscall.EINVAL
	}
	return -1, syscall.EBADF
}

// recv is recv(2).
func (t *Table) recv(fd int, s stack.Sockets, st state, p []byte, flags int) (int, error) {
	n, err := s.Recv(st.handle(), p, flags&^ownFlags)
	if err != nil {
		if n, err = t.recvAgain(fd, s, st, p, flags, err); err != nil {
			return -1, err
		}
	}
	t.progress()
	const all = unix.MSG_WAITALL | unix.MSG_PEEK
	if flags&all != unix.MSG_WAITALL || st&streaming == 0 || !t.blocks(st, flags) {
		return n, nil
	}
	for last := n; n < len(p) && last > 0; n += last {
		if last, err = s.Recv(st.handle(), p[n:], flags&^ownFlags); err != nil {
			if last, err = t.recvAgain(fd, s, st, p[n:], flags, err); err != nil {
				break // it comes with the next call
			}
		}
	}
	return n, nil
}

// recvAgain is a receive that failed: if it may, it waits.
func (t *Table) recvAgain(fd int, s stack.Sockets, st state, p []byte, flags int, err error) (n int, _ error) {
	if err == syscall.EAGAIN && t.blocks(st, flags) {
		err = t.await(fd, st, stack.EventIn|stack.EventRdHup, t.timeout(fd, st, recvTimeout), func() (err error) {
			n, err = s.Recv(st.handle(), p, flags&^ownFlags)
			return err
		})
	}
	if err != nil {
		return -1, err
	}
	return n, nil
}

// Write sends what fits, or, where it may block, all. EAGAIN, EPIPE, ECONNRESET, EMSGSIZE (a datagram).
// An eventfd adds the 8 bytes to its count.
func (t *Table) Write(fd int, p []byte) (int, error) {
	st := t.state(fd)
	s := t.socks[st.kind()]
	if s == nil {
		return t.writeOther(fd, st, p)
	}
	return t.send(fd, s, st, p, 0)
}

func (t *Table) writeOther(fd int, st state, p []byte) (int, error) {
	switch st.kind() {
	case kindEvent:
		return t.writeEvent(fd, st, p)
	case kindEpoll:
		return -1, syscall.EINVAL
	}
	return -1, syscall.EBADF
}

// send is send(2).
func (t *Table) send(fd int, s stack.Sockets, st state, p []byte, flags int) (int, error) {
	n, err := s.Send(st.handle(), p, flags&^ownFlags)
	if (n < len(p) || err != nil) && t.blocks(st, flags) && (err == nil || err == syscall.EAGAIN) {
		n, err = t.sendAll(fd, s, st, p, flags, max(n, 0))
	}
	if err != nil {
		return -1, err
	}
	return n, nil
}

// sendAll waits until all of p is sent, of which n bytes are.
func (t *Table) sendAll(fd int, s stack.Sockets, st state, p []byte, flags, n int) (int, error) {
	err := t.await(fd, st, stack.EventOut, t.timeout(fd, st, sendTimeout), func() error {
		for n < len(p) {
			m, err := s.Send(st.handle(), p[n:], flags&^ownFlags)
			if err != nil {
				return err
			}
			n += m
		}
		return nil
	})
	if n > 0 && st&streaming != 0 {
		return n, nil // the error comes with the next call
	}
	return n, err
}

// Recvfrom is Read with flags (MSG_PEEK, MSG_OOB, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL) that tells the sender of
// a datagram; of a stream, from is nil.
func (t *Table) Recvfrom(fd int, p []byte, flags int) (n int, from Sockaddr, err error) {
	n, a, err := t.RecvfromAddrPort(fd, p, flags)
	if err == nil && a.IsValid() {
		from = t.sockaddr(t.state(fd), a)
	}
	return n, from, err
}

// RecvfromAddrPort is Recvfrom that allocates nothing.
func (t *Table) RecvfromAddrPort(fd int, p []byte, flags int) (n int, from netip.AddrPort, err error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return -1, from, err
	}
	if flags&unix.MSG_ERRQUEUE != 0 {
		return -1, from, syscall.EOPNOTSUPP
	}
	if st&streaming != 0 {
		n, err = t.recv(fd, s, st, p, flags)
		return n, from, err
	}
	n, from, err = s.RecvFrom(st.handle(), p, flags&^ownFlags)
	if err == syscall.EAGAIN && t.blocks(st, flags) {
		err = t.await(fd, st, stack.EventIn, t.timeout(fd, st, recvTimeout), func() (err error) {
			n, from, err = s.RecvFrom(st.handle(), p, flags&^ownFlags)
			return err
		})
	}
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	t.progress()
	return n, from, nil
}

// Send is Write with flags (MSG_OOB, MSG_MORE, MSG_DONTWAIT) that does not tell how much was sent: as in package
// unix, it is of use for datagrams and for calls that block.
func (t *Table) Send(fd int, p []byte, flags int) error {
	_, err := t.sendTo(fd, p, nil, flags)
	return err
}

// Sendto sends a datagram to an address, nil: the connected one. A stream takes no notice of the address.
func (t *Table) Sendto(fd int, p []byte, flags int, to Sockaddr) error {
	_, err := t.sendTo(fd, p, to, flags)
	return err
}

func (t *Table) sendTo(fd int, p []byte, to Sockaddr, flags int) (int, error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return -1, err
	}
	if to == nil || st&streaming != 0 {
		return t.send(fd, s, st, p, flags)
	}
	a, err := fromSockaddr(st, to)
	if err != nil {
		return -1, err
	}
	return t.SendtoAddrPort(fd, p, flags, a)
}

// SendtoAddrPort is Sendto that allocates nothing and tells how much was sent.
func (t *Table) SendtoAddrPort(fd int, p []byte, flags int, to netip.AddrPort) (n int, err error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return -1, err
	}
	n, err = s.SendTo(st.handle(), p, to, flags&^ownFlags)
	if err == syscall.EAGAIN && t.blocks(st, flags) {
		err = t.await(fd, st, stack.EventOut, t.timeout(fd, st, sendTimeout), func() (err error) {
			n, err = s.SendTo(st.handle(), p, to, flags&^ownFlags)
			return err
		})
	}
	if err != nil {
		return -1, err
	}
	return n, nil
}
