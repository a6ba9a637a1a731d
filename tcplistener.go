package fstack

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// backlog is how many connections may wait for Accept; a table may have a lower limit.
const backlog = 4096

// TCPListener is a TCP socket that listens. It has the methods of net.TCPListener but File.
type TCPListener struct {
	socket
	network string
	addr    *net.TCPAddr
	local   netip.AddrPort
}

var _ net.Listener = (*TCPListener)(nil)

func (l *TCPListener) ok() bool { return l != nil && l.table != nil }

func (l *TCPListener) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: l.network, Addr: l.addr, Err: err}
}

// Accept waits for the next connection. It is a *TCPConn.
func (l *TCPListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP waits for the next connection.
func (l *TCPListener) AcceptTCP() (*TCPConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	var c *TCPConn
	var peer netip.AddrPort
	err := l.do(stack.Receiving, "accept", func() (err error) {
		c, peer, err = l.accept()
		return err
	})
	if err != nil {
		return nil, l.opError("accept", err)
	}
	local := l.local
	if local.Addr().IsUnspecified() {
		if a, err := c.name(); err == nil {
			local = a
		}
	}
	c.setAddrs(local, peer)
	return c, nil
}

// accept takes a connection if there is one. The listener is in use.
func (l *TCPListener) accept() (c *TCPConn, peer netip.AddrPort, err error) {
	var h stack.Handle
	for {
		if h, peer, err = l.table.Accept(l.handle); err != syscall.ECONNABORTED {
			break
		}
	}
	if err != nil {
		return nil, peer, err
	}
	c = &TCPConn{conn: conn{network: l.network}}
	err = l.stack.use(func() error {
		c.attach(&c.socket, l.stack, l.table, h, l.domain, true)
		return nil
	})
	if err != nil {
		l.table.Close(h)
	}
	return c, peer, err
}

// Close stops listening: an Accept that waits returns net.ErrClosed. Accepted connections stay open.
func (l *TCPListener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	return l.opError("close", l.close())
}

// Addr returns the address on which l listens, a *net.TCPAddr. It must not be changed.
func (l *TCPListener) Addr() net.Addr {
	if !l.ok() {
		return nil
	}
	return l.addr
}

// SetDeadline sets the deadline of Accept; the zero time is none.
func (l *TCPListener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	return l.opError("set", l.deadline(t, stack.Receiving))
}

// SyscallConn returns ErrNoDescriptor: there is no kernel object behind the listener.
func (l *TCPListener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	return nil, l.opError("raw", ErrNoDescriptor)
}

// listen makes a bound socket listen.
func (l *TCPListener) listen() error {
	if err := l.control("listen", func() error { return l.table.Listen(l.handle, backlog) }); err != nil {
		return err
	}
	a, err := l.name()
	if err != nil {
		return err
	}
	l.local, l.addr = a, net.TCPAddrFromAddrPort(a)
	return nil
}
