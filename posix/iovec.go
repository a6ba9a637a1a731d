package posix

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// iovMax is IOV_MAX.
const iovMax = 1024

// datagrams lends memory for a datagram that is gathered from several buffers or scattered to them.
var datagrams = sync.Pool{New: func() any { return new([1 << 16]byte) }}

// Readv is Read into several buffers, one after the other. EINVAL: more than 1,024 of them.
func (t *Table) Readv(fd int, iovs [][]byte) (int, error) {
	s, st, err := t.socket(fd)
	if err == nil {
		return t.recvv(fd, s, st, iovs, 0)
	}
	if st.kind() != kindEvent {
		return -1, notReadable(st)
	}
	for _, p := range iovs {
		if len(p) > 0 {
			return t.Read(fd, p)
		}
	}
	return 0, nil
}

// Writev is Write from several buffers, as if they were one.
func (t *Table) Writev(fd int, iovs [][]byte) (int, error) {
	s, st, err := t.socket(fd)
	if err == nil {
		return t.sendv(fd, s, st, iovs, 0)
	}
	if st.kind() != kindEvent {
		return -1, notReadable(st)
	}
	for _, p := range iovs {
		if len(p) > 0 {
			return t.Write(fd, p)
		}
	}
	return 0, nil
}

func notReadable(st state) error {
	if st.kind() == kindNone {
		return syscall.EBADF
	}
	return syscall.EINVAL
}

func (t *Table) recvv(fd int, s stack.Sockets, st state, iovs [][]byte, flags int) (n int, err error) {
	if len(iovs) > iovMax {
		return -1, syscall.EINVAL
	}
	if st&streaming == 0 {
		all := datagrams.Get().(*[1 << 16]byte)
		defer datagrams.Put(all)
		room := min(total(iovs), len(all))
		if n, err = t.recv(fd, s, st, all[:room], flags); err == nil {
			scatter(iovs, all[:min(n, room)])
		}
		return n, err
	}
	for _, p := range iovs {
		if len(p) == 0 {
			continue
		}
		m, err := t.recv(fd, s, st, p, flags)
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return -1, err
		}
		n += m
		if m < len(p) {
			break
		}
		flags |= unix.MSG_DONTWAIT // only the first may wait
	}
	return n, nil
}

func (t *Table) sendv(fd int, s stack.Sockets, st state, iovs [][]byte, flags int) (n int, err error) {
	if len(iovs) > iovMax {
		return -1, syscall.EINVAL
	}
	if st&streaming == 0 {
		all := datagrams.Get().(*[1 << 16]byte)
		defer datagrams.Put(all)
		if total(iovs) > len(all) {
			return -1, syscall.EMSGSIZE
		}
		return t.send(fd, s, st, gather(all[:0], iovs), flags)
	}
	if len(iovs) == 1 {
		return t.send(fd, s, st, iovs[0], flags)
	}
	// Gathered, so that the peer meets them as one write. What is longer than the memory goes piece by piece.
	all := datagrams.Get().(*[1 << 16]byte)
	defer datagrams.Put(all)
	left := total(iovs)
	for {
		var piece []byte
		piece, iovs = gatherSome(all[:0], iovs)
		more := flags
		if left -= len(piece); left > 0 {
			more |= unix.MSG_MORE
		}
		m, err := t.send(fd, s, st, piece, more)
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return -1, err
		}
		if n += m; m < len(piece) || left == 0 {
			return n, nil
		}
	}
}

// gatherSome copies what fits to the end of to, and returns the buffers from the first that has not.
func gatherSome(to []byte, iovs [][]byte) ([]byte, [][]byte) {
	for i, p := range iovs {
		if len(p) > cap(to)-len(to) {
			if len(to) > 0 {
				return to, iovs[i:]
			}
			return p, iovs[i+1:] // too long to be gathered
		}
		to = append(to, p...)
	}
	return to, nil
}

func total(iovs [][]byte) (n int) {
	for _, p := range iovs {
		n += len(p)
	}
	return n
}

func gather(to []byte, iovs [][]byte) []byte {
	for _, p := range iovs {
		to = append(to, p...)
	}
	return to
}

func scatter(iovs [][]byte, from []byte) {
	for _, p := range iovs {
		from = from[copy(p, from):]
	}
}

// Recvmsg is Recvfrom that also tells, in recvflags, that a datagram was longer than p (MSG_TRUNC). There are
// no control messages: oobn is 0.
func (t *Table) Recvmsg(fd int, p, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error) {
	_, st, err := t.socket(fd)
	if err != nil {
		return -1, 0, 0, nil, err
	}
	if st&streaming != 0 || flags&unix.MSG_ERRQUEUE != 0 {
		n, from, err = t.Recvfrom(fd, p, flags)
	} else {
		n, from, err = t.Recvfrom(fd, p, flags|unix.MSG_TRUNC)
		if n > len(p) {
			recvflags = unix.MSG_TRUNC
			if flags&unix.MSG_TRUNC == 0 {
				n = len(p)
			}
		}
	}
	if err != nil {
		return -1, 0, 0, nil, err
	}
	return n, 0, recvflags, from, nil
}

// RecvmsgBuffers is Recvmsg into several buffers, without the sender's address on streams.
func (t *Table) RecvmsgBuffers(fd int, buffers [][]byte, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return -1, 0, 0, nil, err
	}
	if st&streaming != 0 {
		n, err = t.recvv(fd, s, st, buffers, flags)
		return n, 0, 0, nil, err
	}
	all := datagrams.Get().(*[1 << 16]byte)
	defer datagrams.Put(all)
	n, _, recvflags, from, err = t.Recvmsg(fd, all[:min(total(buffers), len(all))], oob, flags)
	if err == nil {
		scatter(buffers, all[:min(n, total(buffers), len(all))])
	}
	return n, 0, recvflags, from, err
}

// Sendmsg is SendmsgN that does not tell how much was sent.
func (t *Table) Sendmsg(fd int, p, oob []byte, to Sockaddr, flags int) error {
	_, err := t.SendmsgN(fd, p, oob, to, flags)
	return err
}

// SendmsgN is Sendto that tells how much was sent. EOPNOTSUPP: there are no control messages.
func (t *Table) SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (int, error) {
	if len(oob) > 0 {
		if _, _, err := t.socket(fd); err != nil {
			return 0, err
		}
		return 0, syscall.EOPNOTSUPP
	}
	n, err := t.sendTo(fd, p, to, flags)
	return max(n, 0), err
}

// SendmsgBuffers is SendmsgN from several buffers, as if they were one.
func (t *Table) SendmsgBuffers(fd int, buffers [][]byte, oob []byte, to Sockaddr, flags int) (int, error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return 0, err
	}
	if len(oob) > 0 {
		return 0, syscall.EOPNOTSUPP
	}
	if st&streaming != 0 {
		n, err := t.sendv(fd, s, st, buffers, flags)
		return max(n, 0), err
	}
	all := datagrams.Get().(*[1 << 16]byte)
	defer datagrams.Put(all)
	if total(buffers) > len(all) {
		return 0, syscall.EMSGSIZE
	}
	return t.SendmsgN(fd, gather(all[:0], buffers), nil, to, flags)
}
