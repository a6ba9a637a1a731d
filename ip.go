package fstack

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// IPConn is a raw socket of an IP protocol, as of the network ip4:icmp. It has the methods of net.IPConn but File,
// SyscallConn, ReadMsgIP and WriteMsgIP. Packets are written without IP header and read without it.
type IPConn struct{ conn }

var (
	_ net.Conn       = (*IPConn)(nil)
	_ net.PacketConn = (*IPConn)(nil)
)

// Read implements net.Conn.
func (c *IPConn) Read(b []byte) (int, error) {
	n, _, err := c.read("read", b)
	return n, err
}

// ReadFrom implements net.PacketConn. What does not fit into b of a packet is lost.
func (c *IPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, a, err := c.ReadFromIP(b)
	if a == nil {
		return n, nil, err
	}
	return n, a, err
}

// ReadFromIP is ReadFrom that returns a *net.IPAddr.
func (c *IPConn) ReadFromIP(b []byte) (int, *net.IPAddr, error) {
	n, from, err := c.read("recvfrom", b)
	if err != nil {
		return n, nil, err
	}
	return n, toIPAddr(from), nil
}

// read takes the header away that raw sockets of IPv4 give with each packet (raw(7)).
func (c *IPConn) read(op string, b []byte) (int, netip.AddrPort, error) {
	if !c.ok() {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	n, from, err := c.recvFrom(op, b, 0)
	if err == nil && c.domain == unix.AF_INET {
		n = stripIPv4(b, n)
	}
	return n, from, c.opError("read", err)
}

func stripIPv4(b []byte, n int) int {
	if n < 20 || b[0]>>4 != 4 {
		return n
	}
	l := min(int(b[0]&15)*4, n)
	return copy(b, b[l:n])
}

// WriteTo implements net.PacketConn: addr is a *net.IPAddr.
func (c *IPConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	a, ok := addr.(*net.IPAddr)
	if !ok && addr != nil {
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: addr, Err: syscall.EINVAL}
	}
	return c.WriteToIP(b, a)
}

// WriteToIP sends a packet to an address.
func (c *IPConn) WriteToIP(b []byte, addr *net.IPAddr) (n int, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if addr == nil {
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.local, Err: c.noDestination()}
	}
	a, err := fromAddr("ip", addr)
	if err == nil {
		n, err = c.writeTo("sendto", b, a)
	}
	if err != nil {
		err = &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: addr, Err: err}
	}
	return n, err
}
