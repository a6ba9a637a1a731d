package netstack

import (
	"bytes"
	"io"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/fstack-go/fstack/stack"
)

// sink is where gVisor writes what a Recv reads. It lives in a pool, so that no call allocates.
type sink struct {
	p       []byte
	n       int  // written to p
	packet  bool // takes all of a datagram and keeps what fits; a stream's leaves the rest where it is
	discard bool // counts only, for MSG_TRUNC on a stream
}

func (w *sink) Write(b []byte) (int, error) {
	n := min(len(b), len(w.p)-w.n)
	if !w.discard {
		copy(w.p[w.n:], b[:n])
	}
	w.n += n
	if w.packet {
		return len(b), nil
	}
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

var (
	sinks   = sync.Pool{New: func() any { return new(sink) }}
	readers = sync.Pool{New: func() any { return new(bytes.Reader) }}
)

// Flags that change nothing for a socket that never blocks, never raises SIGPIPE and passes no descriptors.
const noEffect = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_WAITALL | unix.MSG_CMSG_CLOEXEC | unix.MSG_EOR

// Recv implements stack.Sockets.
func (n *Netstack) Recv(h stack.Handle, p []byte, flags int) (int, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, err
	}
	r, err := s.recv(p, flags, false)
	return r.Count, err
}

// RecvFrom implements stack.Sockets.
func (n *Netstack) RecvFrom(h stack.Handle, p []byte, flags int) (int, netip.AddrPort, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	r, err := s.recv(p, flags, s.typ != unix.SOCK_STREAM)
	if err != nil || r.RemoteAddr.Addr.Len() == 0 {
		return r.Count, netip.AddrPort{}, err
	}
	return r.Count, s.addrPort(r.RemoteAddr), nil
}

func (s *socket) recv(p []byte, flags int, from bool) (tcpip.ReadResult, error) {
	if flags&unix.MSG_OOB != 0 {
		return tcpip.ReadResult{}, syscall.EINVAL // as Linux when there is no urgent data: gVisor's TCP knows none
	}
	if flags&^(unix.MSG_PEEK|unix.MSG_TRUNC|noEffect) != 0 {
		return tcpip.ReadResult{}, syscall.EOPNOTSUPP
	}
	stream := s.typ == unix.SOCK_STREAM
	if stream && len(p) == 0 { // as Linux: whether there is something to receive
		_, err := s.recv(make([]byte, 1), unix.MSG_PEEK, false)
		return tcpip.ReadResult{}, err
	}
	w := sinks.Get().(*sink)
	*w = sink{p: p, packet: !stream, discard: stream && flags&unix.MSG_TRUNC != 0}
	peek := flags&unix.MSG_PEEK != 0
	r, err := s.ep.Read(w, tcpip.ReadOptions{Peek: peek, NeedRemoteAddr: from})
	count := w.n
	*w = sink{}
	sinks.Put(w)
	switch err.(type) {
	case nil:
	case *tcpip.ErrClosedForReceive:
		return tcpip.ReadResult{}, nil // the end of the stream; also of datagrams, as a blocking recv on Linux has it
	default:
		return tcpip.ReadResult{}, errno(err)
	}
	r.Count = count
	if !stream && flags&unix.MSG_TRUNC != 0 {
		r.Count = r.Total
	}
	if stream && !peek {
		s.ep.ModerateRecvBuf(count)
	}
	return r, nil
}

// Send implements stack.Sockets.
func (n *Netstack) Send(h stack.Handle, p []byte, flags int) (int, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, err
	}
	return s.send(p, nil, flags)
}

// SendTo implements stack.Sockets. A stream ignores the address, as on Linux.
func (n *Netstack) SendTo(h stack.Handle, p []byte, to netip.AddrPort, flags int) (int, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, err
	}
	if s.typ == unix.SOCK_STREAM || !to.Addr().IsValid() {
		return s.send(p, nil, flags)
	}
	full, err := s.destination(to)
	if err != nil {
		return 0, err
	}
	if n.cfg.Steering != nil && s.isUDP() && !s.steered.has.Load() {
		s.choose(full)
		defer s.uses(useDatagrams)
	}
	return s.send(p, &full, flags)
}

func (s *socket) send(p []byte, to *tcpip.FullAddress, flags int) (int, error) {
	more := flags&unix.MSG_MORE != 0
	if flags&^(unix.MSG_MORE|noEffect) != 0 || more && s.typ != unix.SOCK_STREAM {
		return 0, syscall.EOPNOTSUPP // gVisor's TCP has no urgent data, and its UDP does not gather datagrams
	}
	if more {
		s.hold()
	}
	r := readers.Get().(*bytes.Reader)
	r.Reset(p)
	sent, err := s.ep.Write(r, tcpip.WriteOptions{To: to, More: more})
	r.Reset(nil)
	readers.Put(r)
	if !more && s.held.Load() {
		s.release()
	}
	if sent > 0 {
		return int(sent), nil
	}
	return 0, errno(err)
}

// hold has TCP keep a segment back that is not full, as MSG_MORE asks for: gVisor's TCP knows only TCP_CORK.
func (s *socket) hold() {
	if o := s.ep.SocketOptions(); !o.GetCorkOption() {
		s.held.Store(true)
		o.SetCorkOption(true)
	}
}

// release ends what hold began.
func (s *socket) release() {
	if s.held.Swap(false) {
		s.ep.SocketOptions().SetCorkOption(false)
	}
}
