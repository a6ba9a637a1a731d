package fstack

import (
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// conn is what TCPConn, UDPConn and IPConn have in common.
type conn struct {
	socket
	network string
	local   net.Addr
	remote  net.Addr // nil: not connected
}

func (c *conn) ok() bool { return c != nil && c.table != nil }

// opError says where an error happened. A nil error and the end of a stream stay what they are.
func (c *conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if op == "set" || op == "get" {
		return &net.OpError{Op: op, Net: c.network, Addr: c.local, Err: err}
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: err}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(b) == 0 && c.stream {
		if c.waiter.Closed() {
			return 0, c.opError("read", net.ErrClosed)
		}
		return 0, nil
	}
	n, err := c.recv(b)
	if n == 0 && err == nil && c.stream {
		return 0, io.EOF
	}
	return n, c.opError("read", err)
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.send(b)
	return n, c.opError("write", err)
}

// Close closes the connection: calls that wait return net.ErrClosed. Data that were written are still delivered, as
// SetLinger says.
func (c *conn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.opError("close", c.close())
}

// LocalAddr returns the local address. It must not be changed.
func (c *conn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.local
}

// RemoteAddr returns the peer's address, nil if there is no peer. It must not be changed.
func (c *conn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.remote
}

// SetDeadline sets the deadlines of reading and writing. A call fails with os.ErrDeadlineExceeded if it has not
// finished then, and so does each call that begins later, until the deadline is set anew. The zero time is no deadline.
func (c *conn) SetDeadline(t time.Time) error {
	return c.setDeadline(t, stack.Receiving, stack.Sending)
}

// SetReadDeadline sets the deadline of reading, as SetDeadline says.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, stack.Receiving) }

// SetWriteDeadline sets the deadline of writing, as SetDeadline says. A Write that it ends may have sent a part.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, stack.Sending) }

func (c *conn) setDeadline(t time.Time, of ...stack.Direction) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.opError("set", c.deadline(t, of...))
}

func (s *socket) deadline(t time.Time, of ...stack.Direction) (err error) {
	if t.IsZero() {
		for _, d := range of {
			err = s.waiter.ClearTimeout(d)
		}
		return err
	}
	after := time.Until(t)
	for _, d := range of {
		err = s.waiter.SetTimeout(d, after)
	}
	return err
}

// SetReadBuffer sets how many bytes the stack keeps until they are read.
func (c *conn) SetReadBuffer(bytes int) error { return c.set(unix.SOL_SOCKET, unix.SO_RCVBUF, bytes) }

// SetWriteBuffer sets how many bytes the stack keeps until they are sent.
func (c *conn) SetWriteBuffer(bytes int) error { return c.set(unix.SOL_SOCKET, unix.SO_SNDBUF, bytes) }

// SetOption is setsockopt(2), with Linux's levels, names and layouts.
func (c *conn) SetOption(level, name int, value []byte) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.opError("set", c.setOption(level, name, value))
}

// Option is getsockopt(2), with Linux's levels, names and layouts. It returns the length of the value.
func (c *conn) Option(level, name int, value []byte) (n int, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err = c.option(level, name, value)
	return n, c.opError("get", err)
}

func (c *conn) set(level, name, value int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.opError("set", c.setInt(level, name, value))
}

// askLocal asks the table for the socket's own address; without an answer it stays what it is.
func (c *conn) askLocal() {
	if a, err := c.name(); err == nil {
		c.local = toAddr(c.network, a)
	}
}
