package netstack

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// kernel is stack.Sockets over Linux's own sockets, to compare with.
type kernel struct{}

var _ stack.Sockets = kernel{}

func (kernel) Open(domain, typ, proto int) (stack.Handle, error) {
	fd, err := unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return 0, err
	}
	return stack.Handle(fd), nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if !a.Addr().IsValid() {
		return nil
	}
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func (kernel) Bind(h stack.Handle, a netip.AddrPort) error { return unix.Bind(int(h), sockaddr(a)) }
func (kernel) Listen(h stack.Handle, backlog int) error    { return unix.Listen(int(h), backlog) }

func (kernel) Accept(h stack.Handle) (stack.Handle, netip.AddrPort, error) {
	fd, sa, err := unix.Accept4(int(h), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return stack.Handle(max(fd, 0)), addrPort(sa), err
}

func (kernel) Connect(h stack.Handle, a netip.AddrPort) error {
	if !a.Addr().IsValid() {
		unspec := [16]byte{}
		binary.NativeEndian.PutUint16(unspec[:], unix.AF_UNSPEC)
		_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(h), uintptr(unsafe.Pointer(&unspec)), 16)
		if e != 0 {
			return e
		}
		return nil
	}
	return unix.Connect(int(h), sockaddr(a))
}

func (k kernel) Recv(h stack.Handle, p []byte, flags int) (int, error) {
	n, _, err := k.RecvFrom(h, p, flags)
	return n, err
}

func (kernel) RecvFrom(h stack.Handle, p []byte, flags int) (int, netip.AddrPort, error) {
	n, sa, err := unix.Recvfrom(int(h), p, flags)
	return max(n, 0), addrPort(sa), err
}

func (kernel) Send(h stack.Handle, p []byte, flags int) (int, error) {
	n, err := unix.SendmsgN(int(h), p, nil, nil, flags|unix.MSG_NOSIGNAL)
	return max(n, 0), err
}

func (kernel) SendTo(h stack.Handle, p []byte, to netip.AddrPort, flags int) (int, error) {
	n, err := unix.SendmsgN(int(h), p, nil, sockaddr(to), flags|unix.MSG_NOSIGNAL)
	return max(n, 0), err
}

func (kernel) Shutdown(h stack.Handle, how int) error { return unix.Shutdown(int(h), how) }
func (kernel) Close(h stack.Handle) error             { return unix.Close(int(h)) }

func (kernel) SetOption(h stack.Handle, level, name int, value []byte) error {
	return unix.SetsockoptString(int(h), level, name, string(value))
}

func (kernel) Option(h stack.Handle, level, name int, value []byte) (int, error) {
	size := uint32(len(value))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(h), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return 0, e
	}
	return int(size), nil
}

func (kernel) LocalAddr(h stack.Handle) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(int(h))
	return addrPort(sa), err
}

func (kernel) PeerAddr(h stack.Handle) (netip.AddrPort, error) {
	sa, err := unix.Getpeername(int(h))
	return addrPort(sa), err
}

func (kernel) Events(h stack.Handle) stack.Events {
	p := []unix.PollFd{{Fd: int32(h), Events: unix.POLLIN | unix.POLLPRI | unix.POLLOUT | unix.POLLRDHUP}}
	for {
		if _, err := unix.Poll(p, 0); err != syscall.EINTR {
			return stack.Events(uint16(p[0].Revents))
		}
	}
}

func (kernel) Watch(stack.Handle, stack.SinkID, uint32) stack.Events { return 0 }
