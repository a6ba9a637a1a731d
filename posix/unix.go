package posix

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// std is the table of the package's functions: until Use, one without sockets.
var std = newTable(1<<10, stack.New(func() int64 { return 0 }))

// Use has the package's functions work on t. It is called before any of them.
func Use(t *Table) { std = t }

// Default is the table of the package's functions.
func Default() *Table { return std }

// EpollCreate is Table.EpollCreate.
func EpollCreate(size int) (int, error) { return std.EpollCreate(size) }

// EpollCreate1 is Table.EpollCreate1.
func EpollCreate1(flag int) (int, error) { return std.EpollCreate1(flag) }

// EpollCtl is Table.EpollCtl.
func EpollCtl(epfd, op, fd int, event *EpollEvent) error { return std.EpollCtl(epfd, op, fd, event) }

// EpollWait is Table.EpollWait.
func EpollWait(epfd int, events []EpollEvent, msec int) (int, error) {
	return std.EpollWait(epfd, events, msec)
}

// Eventfd is Table.Eventfd.
func Eventfd(initval uint, flags int) (int, error) { return std.Eventfd(initval, flags) }

// Close is Table.Close.
func Close(fd int) error { return std.Close(fd) }

// Dup is Table.Dup.
func Dup(fd int) (int, error) { return std.Dup(fd) }

// Dup3 is Table.Dup3.
func Dup3(oldfd, newfd, flags int) error { return std.Dup3(oldfd, newfd, flags) }

// Dup2 is Table.Dup2.
func Dup2(oldfd, newfd int) error { return std.Dup2(oldfd, newfd) }

// FcntlInt is Table.FcntlInt.
func FcntlInt(fd uintptr, cmd, arg int) (int, error) { return std.FcntlInt(fd, cmd, arg) }

// SetNonblock is Table.SetNonblock.
func SetNonblock(fd int, nonblocking bool) error { return std.SetNonblock(fd, nonblocking) }

// Read is Table.Read.
func Read(fd int, p []byte) (int, error) { return std.Read(fd, p) }

// Write is Table.Write.
func Write(fd int, p []byte) (int, error) { return std.Write(fd, p) }

// Recvfrom is Table.Recvfrom.
func Recvfrom(fd int, p []byte, flags int) (n int, from Sockaddr, err error) {
	return std.Recvfrom(fd, p, flags)
}

// RecvfromAddrPort is Table.RecvfromAddrPort.
func RecvfromAddrPort(fd int, p []byte, flags int) (n int, from netip.AddrPort, err error) {
	return std.RecvfromAddrPort(fd, p, flags)
}

// Send is Table.Send.
func Send(fd int, p []byte, flags int) error { return std.Send(fd, p, flags) }

// Sendto is Table.Sendto.
func Sendto(fd int, p []byte, flags int, to Sockaddr) error { return std.Sendto(fd, p, flags, to) }

// SendtoAddrPort is Table.SendtoAddrPort.
func SendtoAddrPort(fd int, p []byte, flags int, to netip.AddrPort) (n int, err error) {
	return std.SendtoAddrPort(fd, p, flags, to)
}

// Readv is Table.Readv.
func Readv(fd int, iovs [][]byte) (int, error) { return std.Readv(fd, iovs) }

// Writev is Table.Writev.
func Writev(fd int, iovs [][]byte) (int, error) { return std.Writev(fd, iovs) }

// Recvmsg is Table.Recvmsg.
func Recvmsg(fd int, p, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error) {
	return std.Recvmsg(fd, p, oob, flags)
}

// RecvmsgBuffers is Table.RecvmsgBuffers.
func RecvmsgBuffers(fd int, buffers [][]byte, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error) {
	return std.RecvmsgBuffers(fd, buffers, oob, flags)
}

// Sendmsg is Table.Sendmsg.
func Sendmsg(fd int, p, oob []byte, to Sockaddr, flags int) error {
	return std.Sendmsg(fd, p, oob, to, flags)
}

// SendmsgN is Table.SendmsgN.
func SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (int, error) {
	return std.SendmsgN(fd, p, oob, to, flags)
}

// SendmsgBuffers is Table.SendmsgBuffers.
func SendmsgBuffers(fd int, buffers [][]byte, oob []byte, to Sockaddr, flags int) (int, error) {
	return std.SendmsgBuffers(fd, buffers, oob, to, flags)
}

// SetsockoptInt is Table.SetsockoptInt.
func SetsockoptInt(fd, level, opt, value int) error { return std.SetsockoptInt(fd, level, opt, value) }

// SetsockoptByte is Table.SetsockoptByte.
func SetsockoptByte(fd, level, opt int, value byte) error {
	return std.SetsockoptByte(fd, level, opt, value)
}

// SetsockoptLinger is Table.SetsockoptLinger.
func SetsockoptLinger(fd, level, opt int, l *Linger) error {
	return std.SetsockoptLinger(fd, level, opt, l)
}

// SetsockoptTimeval is Table.SetsockoptTimeval.
func SetsockoptTimeval(fd, level, opt int, tv *Timeval) error {
	return std.SetsockoptTimeval(fd, level, opt, tv)
}

// SetsockoptString is Table.SetsockoptString.
func SetsockoptString(fd, level, opt int, s string) error {
	return std.SetsockoptString(fd, level, opt, s)
}

// GetsockoptInt is Table.GetsockoptInt.
func GetsockoptInt(fd, level, opt int) (int, error) { return std.GetsockoptInt(fd, level, opt) }

// GetsockoptLinger is Table.GetsockoptLinger.
func GetsockoptLinger(fd, level, opt int) (*Linger, error) {
	return std.GetsockoptLinger(fd, level, opt)
}

// GetsockoptTimeval is Table.GetsockoptTimeval.
func GetsockoptTimeval(fd, level, opt int) (*Timeval, error) {
	return std.GetsockoptTimeval(fd, level, opt)
}

// GetsockoptString is Table.GetsockoptString.
func GetsockoptString(fd, level, opt int) (string, error) {
	return std.GetsockoptString(fd, level, opt)
}

// GetsockoptTCPInfo is Table.GetsockoptTCPInfo.
func GetsockoptTCPInfo(fd, level, opt int) (*TCPInfo, error) {
	return std.GetsockoptTCPInfo(fd, level, opt)
}

// Poll is Table.Poll.
func Poll(fds []PollFd, timeout int) (int, error) { return std.Poll(fds, timeout) }

// Select is Table.Select.
func Select(nfd int, r, w, e *FdSet, timeout *Timeval) (int, error) {
	return std.Select(nfd, r, w, e, timeout)
}

// Socket is Table.Socket.
func Socket(domain, typ, proto int) (int, error) { return std.Socket(domain, typ, proto) }

// Bind is Table.Bind.
func Bind(fd int, sa Sockaddr) error { return std.Bind(fd, sa) }

// Listen is Table.Listen.
func Listen(fd, n int) error { return std.Listen(fd, n) }

// Accept is Table.Accept.
func Accept(fd int) (int, Sockaddr, error) { return std.Accept(fd) }

// Accept4 is Table.Accept4.
func Accept4(fd, flags int) (int, Sockaddr, error) { return std.Accept4(fd, flags) }

// Accept4AddrPort is Table.Accept4AddrPort.
func Accept4AddrPort(fd, flags int) (int, netip.AddrPort, error) {
	return std.Accept4AddrPort(fd, flags)
}

// Connect is Table.Connect.
func Connect(fd int, sa Sockaddr) error { return std.Connect(fd, sa) }

// Shutdown is Table.Shutdown.
func Shutdown(fd, how int) error { return std.Shutdown(fd, how) }

// Getsockname is Table.Getsockname.
func Getsockname(fd int) (Sockaddr, error) { return std.Getsockname(fd) }

// Getpeername is Table.Getpeername.
func Getpeername(fd int) (Sockaddr, error) { return std.Getpeername(fd) }

// Getrlimit is Table.Getrlimit.
func Getrlimit(resource int, rlim *Rlimit) error { return std.Getrlimit(resource, rlim) }

// Setrlimit is Table.Setrlimit.
func Setrlimit(resource int, rlim *Rlimit) error { return std.Setrlimit(resource, rlim) }

// CloseOnExec sets FD_CLOEXEC.
func CloseOnExec(fd int) { std.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC) }
