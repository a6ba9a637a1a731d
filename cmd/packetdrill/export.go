package main

/*
#include "shim.h"
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

func main() {} // a c-shared library has one, and nobody calls it

var the *plugin // packetdrill makes one instance

// fatal ends packetdrill: the stack is broken.
func fatal(err error) {
	fmt.Fprintf(os.Stderr, "libfstack-packetdrill: %v\n", err)
	os.Exit(1)
}

// negative is a result as the shim wants it.
func negative(n int, err error) C.longlong {
	if err == nil {
		return C.longlong(n)
	}
	if e, ok := err.(syscall.Errno); ok {
		return -C.longlong(e)
	}
	fatal(fmt.Errorf("a socket call failed with %v, which is no errno", err))
	return 0
}

func returned(c *lab.Call) C.longlong { return negative(c.N, c.Err) }

func plain(f func() error) C.longlong {
	return negative(the.do(func() (int, error) { return 0, f() }))
}

// bytes is a C buffer.
func bytes(p unsafe.Pointer, n C.size_t) []byte { return unsafe.Slice((*byte)(p), int(n)) }

//export goInit
func goInit(flags *C.char) C.int {
	text := ""
	if flags != nil {
		text = C.GoString(flags)
	}
	p, err := newPlugin(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "libfstack-packetdrill: %v\n", err)
		return -1
	}
	the = p
	return 0
}

//export goFree
func goFree() {
	the.mu.Lock()
	defer the.mu.Unlock()
	if err := the.lab.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "libfstack-packetdrill: %v\n", err)
	}
}

//export goSocket
func goSocket(domain, typ, proto C.int) C.longlong {
	return negative(the.do(func() (int, error) { return the.lab.Socket(int(domain), int(typ), int(proto)) }))
}

//export goBind
func goBind(fd C.int, a unsafe.Pointer, n C.socklen_t) C.longlong {
	to, err := fromSockaddr(a, n)
	if err != nil {
		return negative(0, err)
	}
	return plain(func() error { return the.lab.Bind(int(fd), to) })
}

//export goListen
func goListen(fd, backlog C.int) C.longlong {
	return plain(func() error { return the.lab.Listen(int(fd), int(backlog)) })
}

//export goAccept
func goAccept(fd C.int, a *C.struct_sockaddr, n *C.socklen_t) C.longlong {
	c := the.call(func() *lab.Call { return the.lab.Accept(int(fd)) })
	if c.Err == nil {
		toSockaddr(c.Addr, unsafe.Pointer(a), n)
	}
	return returned(c)
}

//export goConnect
func goConnect(fd C.int, a unsafe.Pointer, n C.socklen_t) C.longlong {
	to, err := fromSockaddr(a, n)
	if err != nil {
		return negative(0, err)
	}
	return returned(the.call(func() *lab.Call { return the.lab.Connect(int(fd), to) }))
}

// size is the sum of a vector's lengths, or EFAULT if a part is nowhere.
func size(v []C.struct_iovec) (int, error) {
	n := 0
	for i := range v {
		if v[i].iov_base == nil && v[i].iov_len > 0 {
			return 0, unix.EFAULT
		}
		n += int(v[i].iov_len)
	}
	return n, nil
}

//export goRecv
func goRecv(fd C.int, vector unsafe.Pointer, parts C.size_t, flags C.int, a unsafe.Pointer, an *C.socklen_t) C.longlong {
	v := unsafe.Slice((*C.struct_iovec)(vector), int(parts))
	n, err := size(v)
	if err != nil {
		return negative(0, err)
	}
	p := make([]byte, n)
	c := the.call(func() *lab.Call { return the.lab.Recv(int(fd), p, int(flags)) })
	if c.Err != nil {
		return returned(c)
	}
	for i, from := 0, p[:min(c.N, n)]; i < len(v) && len(from) > 0; i++ {
		from = from[copy(bytes(v[i].iov_base, v[i].iov_len), from):]
	}
	if a != nil && an != nil {
		toSockaddr(c.Addr, a, an)
	}
	return returned(c)
}

//export goSend
func goSend(fd C.int, vector unsafe.Pointer, parts C.size_t, flags C.int, a unsafe.Pointer, an C.socklen_t) C.longlong {
	v := unsafe.Slice((*C.struct_iovec)(vector), int(parts))
	n, err := size(v)
	if err != nil {
		return negative(0, err)
	}
	p := make([]byte, 0, n)
	for i := range v {
		p = append(p, bytes(v[i].iov_base, v[i].iov_len)...)
	}
	if a == nil || an == 0 {
		return returned(the.call(func() *lab.Call { return the.lab.Send(int(fd), p, int(flags)) }))
	}
	to, err := fromSockaddr(a, an)
	if err != nil {
		return negative(0, err)
	}
	return returned(the.call(func() *lab.Call { return the.lab.SendTo(int(fd), p, to, int(flags)) }))
}

//export goFcntl
func goFcntl(fd, cmd, arg C.int) C.longlong {
	return negative(the.do(func() (int, error) { return the.lab.Fcntl(int(fd), int(cmd), int(arg)) }))
}

//export goUnread
func goUnread(fd C.int) C.longlong {
	return negative(the.do(func() (int, error) { return the.lab.Unread(int(fd)) }))
}

//export goClose
func goClose(fd C.int) C.longlong {
	return plain(func() error {
		err := the.lab.CloseFD(int(fd))
		if err != unix.EBADF {
			unix.Close(int(fd))
		}
		return err
	})
}

//export goShutdown
func goShutdown(fd, how C.int) C.longlong {
	return plain(func() error { return the.lab.Shutdown(int(fd), int(how)) })
}

//export goGetsockopt
func goGetsockopt(fd, level, name C.int, v unsafe.Pointer, n *C.socklen_t) C.longlong {
	value := bytes(v, C.size_t(*n))
	return plain(func() error {
		got, err := the.lab.Option(int(fd), int(level), int(name), value)
		if err == nil {
			*n = C.socklen_t(got)
		}
		return err
	})
}

//export goSetsockopt
func goSetsockopt(fd, level, name C.int, v unsafe.Pointer, n C.socklen_t) C.longlong {
	return plain(func() error { return the.lab.SetOption(int(fd), int(level), int(name), bytes(v, C.size_t(n))) })
}

//export goPoll
func goPoll(fds unsafe.Pointer, n C.size_t, timeout C.int) C.longlong {
	list := unsafe.Slice((*unix.PollFd)(fds), int(n)) // struct pollfd
	return returned(the.call(func() *lab.Call { return the.lab.Poll(list, int(timeout)) }))
}

//export goEpollCreate
func goEpollCreate(size C.int) C.longlong {
	if size <= 0 {
		return negative(0, unix.EINVAL)
	}
	return negative(the.do(the.lab.EpollCreate))
}

//export goEpollCtl
func goEpollCtl(ep, op, fd C.int, events C.uint32_t, data C.uint64_t) C.longlong {
	return plain(func() error { return the.lab.EpollCtl(int(ep), int(op), int(fd), uint32(events), uint64(data)) })
}

//export goEpollWait
func goEpollWait(ep C.int, out unsafe.Pointer, n, timeout C.int) C.longlong {
	events := make([]lab.EpollEvent, max(0, n))
	c := the.call(func() *lab.Call { return the.lab.EpollWait(int(ep), events, int(timeout)) })
	for i := range max(0, c.N) {
		e := unsafe.Slice((*byte)(unsafe.Add(out, i*C.sizeof_struct_epoll_event)), C.sizeof_struct_epoll_event)
		binary.NativeEndian.PutUint32(e, events[i].Events)
		binary.NativeEndian.PutUint64(e[len(e)-8:], events[i].Data)
	}
	return returned(c)
}

//export goNetdevSend
func goNetdevSend(p unsafe.Pointer, n C.size_t) C.longlong {
	the.inject(C.GoBytes(p, C.int(n)))
	return 0
}

//export goNetdevReceive
func goNetdevReceive(p unsafe.Pointer, n *C.size_t, usecs *C.longlong) C.longlong {
	packet, at := the.receive()
	if packet == nil {
		*n = 0 // packetdrill takes this for a packet without a header, and says so
		return 0
	}
	*n, *usecs = C.size_t(copy(bytes(p, *n), packet)), C.longlong(at)
	return 0
}

//export goUsleep
func goUsleep(usecs C.uint) C.longlong {
	the.sleep(time.Duration(usecs) * time.Microsecond)
	return 0
}

//export goNow
func goNow() C.longlong { return C.longlong(the.look()) }

// fromSockaddr reads a struct sockaddr_in or sockaddr_in6.
func fromSockaddr(a unsafe.Pointer, n C.socklen_t) (netip.AddrPort, error) {
	b := bytes(a, C.size_t(n))
	switch {
	case len(b) < 2:
	case binary.NativeEndian.Uint16(b) == unix.AF_INET && len(b) >= unix.SizeofSockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:])), nil
	case binary.NativeEndian.Uint16(b) == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), binary.BigEndian.Uint16(b[2:])), nil
	case binary.NativeEndian.Uint16(b) != unix.AF_INET && binary.NativeEndian.Uint16(b) != unix.AF_INET6:
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	return netip.AddrPort{}, unix.EINVAL
}

// toSockaddr writes an address as accept(2) does, cut to the room there is.
func toSockaddr(from netip.AddrPort, a unsafe.Pointer, n *C.socklen_t) {
	if a == nil || n == nil {
		return
	}
	var b []byte
	if from.Addr().Is4() {
		b = make([]byte, unix.SizeofSockaddrInet4)
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		copy(b[4:], from.Addr().AsSlice())
	} else {
		b = make([]byte, unix.SizeofSockaddrInet6)
		binary.NativeEndian.PutUint16(b, unix.AF_INET6)
		copy(b[8:], from.Addr().AsSlice())
	}
	binary.BigEndian.PutUint16(b[2:], from.Port())
	copy(bytes(a, C.size_t(*n)), b)
	*n = C.socklen_t(len(b))
}
