package fstack

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// UDPConn is a UDP socket, connected or not. It has the methods of net.UDPConn but File and SyscallConn: libraries that
// look for the latter take a connection without it as a plain net.PacketConn, which it is.
type UDPConn struct{ conn }

var (
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
)

// ReadFrom implements net.PacketConn. What does not fit into b of a datagram is lost.
func (c *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, a, err := c.ReadFromUDP(b)
	if a == nil {
		return n, nil, err
	}
	return n, a, err
}

// ReadFromUDP is ReadFrom that returns a *net.UDPAddr.
func (c *UDPConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is ReadFrom that allocates nothing. A socket of both families tells IPv4 senders as ::ffff:a.b.c.d.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	if !c.ok() {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	n, from, err := c.recvFrom("recvfrom", b, 0)
	return n, from, c.opError("read", err)
}

// ReadMsgUDP is ReadFrom that also tells, by MSG_TRUNC in flags, whether the datagram did not fit into b. There is no
// out-of-band data: oobn is 0.
func (c *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(b, oob)
	if err == nil {
		addr = net.UDPAddrFromAddrPort(from)
	}
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP that allocates nothing.
func (c *UDPConn) ReadMsgUDPAddrPort(b, _ []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, 0, 0, netip.AddrPort{}, syscall.EINVAL
	}
	n, addr, err = c.recvFrom("recvmsg", b, unix.MSG_TRUNC)
	if n > len(b) {
		n, flags = len(b), unix.MSG_TRUNC
	}
	return n, 0, flags, addr, c.opError("read", err)
}

// WriteTo implements net.PacketConn: addr is a *net.UDPAddr.
func (c *UDPConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	a, ok := addr.(*net.UDPAddr)
	if !ok && addr != nil {
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: addr, Err: syscall.EINVAL}
	}
	return c.WriteToUDP(b, a)
}

// WriteToUDP sends a datagram to an address.
func (c *UDPConn) WriteToUDP(b []byte, addr *net.UDPAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if addr == nil {
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.local, Err: c.noDestination()}
	}
	return c.WriteToUDPAddrPort(b, addr.AddrPort())
}

// WriteToUDPAddrPort sends a datagram to an address, and allocates nothing.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.writeTo("sendto", b, addr)
	if err != nil {
		err = &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: net.UDPAddrFromAddrPort(addr), Err: err}
	}
	return n, err
}

// WriteMsgUDP is WriteToUDP, or Write on a connected socket, where addr must be nil. There is no out-of-band data: oob
// must be empty.
func (c *UDPConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if len(oob) > 0 {
		return 0, 0, c.opError("write", syscall.EOPNOTSUPP)
	}
	if addr == nil && c.remote != nil {
		n, err = c.Write(b)
	} else {
		n, err = c.WriteToUDP(b, addr)
	}
	return n, 0, err
}

// WriteMsgUDPAddrPort is WriteMsgUDP for a netip.AddrPort; a zero one takes the place of nil.
func (c *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	if addr.IsValid() {
		return c.WriteMsgUDP(b, oob, net.UDPAddrFromAddrPort(addr))
	}
	return c.WriteMsgUDP(b, oob, nil)
}

// noDestination is the error of a WriteTo without an address.
func (c *conn) noDestination() error {
	if c.remote != nil {
		return net.ErrWriteToConnected
	}
	return errMissingAddress
}

// writeTo sends a datagram from a socket that is not connected. An address without host is this host.
func (c *conn) writeTo(op string, b []byte, addr netip.AddrPort) (int, error) {
	if c.remote != nil {
		return 0, net.ErrWriteToConnected
	}
	if family(c.network) == '6' && addr.Addr().Unmap().Is4() {
		return 0, &net.AddrError{Err: "non-IPv6 address", Addr: addr.Addr().String()}
	}
	to, err := fit(c.domain, toLocal(c.network, addr))
	if err != nil {
		return 0, err
	}
	return c.sendTo(op, b, to)
}
