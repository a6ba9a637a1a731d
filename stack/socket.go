package stack

import "net/netip"

// Handle names a socket within the Sockets that made it. It is reused after Close.
type Handle uint32

// Events are readiness bits, with the values of Linux's epoll.
type Events uint32

// The readiness of a socket.
const (
	EventIn    Events = 0x001  // data, a connection to accept, or end of stream: a receive does not block
	EventPri   Events = 0x002  // urgent data
	EventOut   Events = 0x004  // room to send, or connect finished
	EventErr   Events = 0x008  // an error is pending
	EventHup   Events = 0x010  // both directions are closed
	EventRdHup Events = 0x2000 // the peer will send no more
)

// Sockets is the seam between the API and the protocols: a table of sockets that never block. stack/tcp and
// stack/netstack implement it; blocking, deadlines, descriptors and net.Conn are made once, above it.
//
// It is a table and not an object per socket so that ten million idle connections are no Go objects.
// All methods may be called from any goroutine; errors are syscall.Errno values as Linux gives them (EAGAIN
// for "would block", EINPROGRESS from Connect). Addresses are of the socket's family; an IPv6 socket without
// IPV6_V6ONLY takes IPv4 peers as ::ffff:a.b.c.d.
type Sockets interface {
	// Open makes a socket; the arguments are those of socket(2), without SOCK_NONBLOCK and SOCK_CLOEXEC.
	// EPROTONOSUPPORT: not this table's.
	Open(domain, typ, proto int) (Handle, error)
	Bind(h Handle, a netip.AddrPort) error
	Listen(h Handle, backlog int) error
	// Accept takes an established connection. It inherits the listener's options, not its Watch.
	Accept(h Handle) (Handle, netip.AddrPort, error)
	Connect(h Handle, a netip.AddrPort) error
	// Recv returns 0, nil at the end of a stream. flags: MSG_PEEK, MSG_OOB, MSG_TRUNC as in recv(2).
	Recv(h Handle, p []byte, flags int) (int, error)
	// RecvFrom is Recv that tells the sender of a datagram.
	RecvFrom(h Handle, p []byte, flags int) (int, netip.AddrPort, error)
	// Send takes what fits; n < len(p) only for a stream. flags: MSG_OOB, MSG_MORE as in send(2).
	Send(h Handle, p []byte, flags int) (int, error)
	SendTo(h Handle, p []byte, to netip.AddrPort, flags int) (int, error)
	// Shutdown: how is SHUT_RD, SHUT_WR or SHUT_RDWR.
	Shutdown(h Handle, how int) error
	// Close frees the handle at once; a stream goes on to deliver what was sent, as SO_LINGER says.
	Close(h Handle) error
	// SetOption and Option are setsockopt(2) and getsockopt(2) with Linux's levels, names and layouts.
	SetOption(h Handle, level, name int, value []byte) error
	Option(h Handle, level, name int, value []byte) (n int, err error)
	LocalAddr(h Handle) (netip.AddrPort, error)
	PeerAddr(h Handle) (netip.AddrPort, error)
	// Events is the readiness now.
	Events(h Handle) Events
	// Watch has each later change to ready told to the sink with that tag, also if it was ready before (new
	// data makes a new notification), and returns the readiness now. SinkNone ends it.
	Watch(h Handle, sink SinkID, tag uint32) Events
}

// Sink takes news of readiness: the fd table of posix, the connections of package fstack.
type Sink interface {
	// Notify tells that ev became ready (again) on the socket watched with tag. It is called with a lock of
	// the stack held and from any goroutine: it must neither block nor call Sockets. It may come late, for a
	// tag that has changed hands: the receiver looks before it believes.
	Notify(tag uint32, ev Events)
}

// SinkID names a Sink registered with Stack.AddSink.
type SinkID uint8

// SinkNone is no sink.
const SinkNone SinkID = 0

// Socket is a handle together with its table, for code that holds few sockets.
type Socket struct {
	Sockets
	Handle Handle
}
