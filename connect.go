package fstack

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// selfConnects is how often a dial is repeated that has met itself: with a port that the stack chooses, a connection to
// a port of this host on which nobody listens can become a simultaneous open with itself (RFC 9293 §3.5).
const selfConnects = 2

func (d *dial) connectTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	remote = toLocal(d.network, remote)
	for try := 0; ; try++ {
		c := &TCPConn{conn: conn{network: d.network}}
		if err := c.dial(ctx, d, d.stack.tcp, unix.SOCK_STREAM, remote); err != nil {
			return nil, err
		}
		c.setStreamDefaults(keepAliveOf(d.KeepAlive, d.KeepAliveConfig))
		local, err := c.name()
		if err != nil {
			c.close()
			return nil, err
		}
		self := local.Port() == remote.Port() && local.Addr().Unmap() == remote.Addr()
		if self && try < selfConnects && d.local.Port() == 0 {
			c.close()
			continue
		}
		c.setAddrs(local, remote)
		return c, nil
	}
}

func (d *dial) connectUDP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	c := &UDPConn{conn{network: d.network}}
	if err := c.dialPacket(ctx, d, unix.SOCK_DGRAM, remote); err != nil {
		return nil, err
	}
	return c, nil
}

func (d *dial) connectIP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	c := &IPConn{conn{network: d.network}}
	if err := c.dialPacket(ctx, d, unix.SOCK_RAW, remote); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *conn) dialPacket(ctx context.Context, d *dial, typ int, remote netip.AddrPort) error {
	remote = toLocal(d.network, remote)
	if err := c.dial(ctx, d, d.stack.other, typ, remote); err != nil {
		return err
	}
	c.askLocal()
	c.remote = asAddr(d.network, remote)
	return nil
}

// dial makes the socket and connects it.
func (c *conn) dial(ctx context.Context, d *dial, table stack.Sockets, typ int, remote netip.AddrPort) error {
	try, only6 := domains(d.network, d.local.Addr(), remote.Addr(), false)
	if err := c.open(&c.socket, d.stack, table, try, typ, d.proto); err != nil {
		return err
	}
	err := c.prepare(ctx, d.network, only6, d.local, remote, d.control())
	if err == nil && d.local != (netip.AddrPort{}) {
		err = c.bind(d.local, false)
	}
	if err == nil {
		err = c.connect(ctx, remote)
	}
	if err != nil {
		c.close()
	}
	return err
}

// connect waits until the socket is connected, an error is there, or the context is done.
func (s *socket) connect(ctx context.Context, remote netip.AddrPort) error {
	to, err := fit(s.domain, remote)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return contextError(err)
	}
	if ctx.Done() == nil {
		return s.connectTo(to)
	}
	canceled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(canceled)
		s.waiter.SetTimeout(stack.Sending, 0)
	})
	err = s.connectTo(to)
	if !stop() {
		<-canceled
		return contextError(ctx.Err())
	}
	return err
}

func (s *socket) connectTo(to netip.AddrPort) error {
	begun := false
	return s.do(stack.Sending, "connect", func() error {
		if begun {
			return s.connected()
		}
		begun = true
		err := s.table.Connect(s.handle, to)
		if err == syscall.EINPROGRESS {
			return syscall.EAGAIN
		}
		return err
	})
}

// connected is the outcome of a connect that was in progress, EAGAIN if it still is.
func (s *socket) connected() error {
	errno, err := s.int(unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case errno != 0 && errno != int(syscall.EISCONN):
		return syscall.Errno(errno)
	}
	if _, err := s.table.PeerAddr(s.handle); err == syscall.ENOTCONN {
		return syscall.EAGAIN // woken for nothing
	} else {
		return err
	}
}

// toLocal has an address without host mean this host.
func toLocal(network string, a netip.AddrPort) netip.AddrPort {
	if !isWildcard(a.Addr()) {
		return a
	}
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if family(network) == '6' || a.Addr().Is6() {
		ip = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(ip, a.Port())
}
