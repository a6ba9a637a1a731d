package fstack

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// TCPConn is a TCP connection. It has the methods of net.TCPConn but File and MultipathTCP.
type TCPConn struct {
	conn
	ends [2]tcpEnd
}

var (
	_ net.Conn      = (*TCPConn)(nil)
	_ io.ReaderFrom = (*TCPConn)(nil)
	_ io.WriterTo   = (*TCPConn)(nil)
	_ syscall.Conn  = (*TCPConn)(nil)
)

// tcpEnd is an address together with its bytes, so that a connection is a single object.
type tcpEnd struct {
	net.TCPAddr
	ip [16]byte
}

func (e *tcpEnd) set(a netip.AddrPort) *net.TCPAddr {
	n := copy(e.ip[:], a.Addr().AsSlice())
	e.IP, e.Port, e.Zone = e.ip[:n:n], int(a.Port()), a.Addr().Zone()
	return &e.TCPAddr
}

// setAddrs sets the addresses of an established connection.
func (c *TCPConn) setAddrs(local, remote netip.AddrPort) {
	c.local, c.remote = c.ends[0].set(local), c.ends[1].set(remote)
}

// CloseRead ends reading: it returns io.EOF from now on.
func (c *TCPConn) CloseRead() error { return c.shutdown(unix.SHUT_RD, stack.Receiving) }

// CloseWrite ends writing: the peer reads io.EOF after what was written before.
func (c *TCPConn) CloseWrite() error { return c.shutdown(unix.SHUT_WR, stack.Sending) }

func (c *TCPConn) shutdown(how int, d stack.Direction) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	err := c.control("shutdown", func() error { return c.table.Shutdown(c.handle, how) })
	c.waiter.Wake(d)
	return c.opError("close", err)
}

// SetLinger says what Close does with data that were written and not yet acknowledged: negative (the default): they are
// delivered; 0: they are discarded, with a reset of the connection; positive: they are delivered within so many seconds.
func (c *TCPConn) SetLinger(sec int) error {
	var linger [8]byte // two C ints: on or off, seconds
	if sec >= 0 {
		binary.NativeEndian.PutUint32(linger[:4], 1)
		binary.NativeEndian.PutUint32(linger[4:], uint32(sec))
	}
	return c.SetOption(unix.SOL_SOCKET, unix.SO_LINGER, linger[:])
}

// SetNoDelay says whether small segments are sent at once (the default), or wait for the acknowledgement of those before
// them (Nagle's algorithm).
func (c *TCPConn) SetNoDelay(noDelay bool) error {
	return c.set(unix.IPPROTO_TCP, unix.TCP_NODELAY, toInt(noDelay))
}

// SetKeepAlive says whether an idle connection is probed.
func (c *TCPConn) SetKeepAlive(keepalive bool) error {
	return c.set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, toInt(keepalive))
}

// SetKeepAlivePeriod sets how long a connection is idle before it is probed, in whole seconds, rounded up.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	if d == 0 {
		d = keepAliveIdle
	}
	if d < 0 {
		return nil
	}
	return c.set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(d))
}

// SetKeepAliveConfig sets all of keep-alive: what is zero becomes the default (15 s, 15 s, 9 probes), what is negative
// stays.
func (c *TCPConn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.opError("set", c.setKeepAlive(config))
}

// SyscallConn returns ErrNoDescriptor: there is no kernel object behind the connection.
func (c *TCPConn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	return nil, c.opError("raw", ErrNoDescriptor)
}

// copyBuffers are for ReadFrom and WriteTo: large enough to fill many segments in one call.
var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// ReadFrom sends what r gives until io.EOF: it makes io.Copy to a connection work without a buffer of its own.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buf[:])
}

// WriteTo writes to w what is received until the end of the stream.
func (c *TCPConn) WriteTo(w io.Writer) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(w, struct{ io.Reader }{c}, buf[:])
}

func toInt(on bool) int {
	if on {
		return 1
	}
	return 0
}
