package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelPair is the two ends of a connection of the kernel; -1: that end is elsewhere.
type kernelPair struct {
	write, read int
	wait        bool // for the other end, instead of turning again
	buf         []byte
}

// newLoopbackPair connects over the loopback device of a new network namespace.
func newLoopbackPair(mtu bool) (*kernelPair, error) {
	if err := newNamespace(); err != nil {
		return nil, err
	}
	if err := setUp("lo", "", mtu); err != nil {
		return nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, err
	}
	return pairUp(l, [4]byte{127, 0, 0, 1})
}

// newVethPair connects over a veth pair whose ends are in two new network namespaces: a socket stays in the one that it
// was made in.
func newVethPair(mtu bool) (*kernelPair, error) {
	if err := newNamespace(); err != nil {
		return nil, err
	}
	server, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer server.Close()
	l, err := listen()
	if err != nil {
		return nil, err
	}
	if err := newNamespace(); err != nil {
		return nil, err
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "bulk0", MTU: 1500}, PeerName: "bulk1", PeerMTU: 1500,
		PeerNamespace: netlink.NsFd(int(server.Fd())),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make a veth pair: %w", err)
	}
	if err := setUp("bulk0", "10.0.0.1/24", mtu); err != nil {
		return nil, err
	}
	client, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := unix.Setns(int(server.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("setns: %w", err)
	}
	if err := setUp("bulk1", "10.0.0.2/24", mtu); err != nil {
		return nil, err
	}
	if err := unix.Setns(int(client.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("setns: %w", err)
	}
	return pairUp(l, [4]byte{10, 0, 0, 2})
}

func newNamespace() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace (needs root): %w", err)
	}
	return nil
}

// setUp gives a device an address and, with mtu, has it take and give no more than its MTU of 1500 bytes at a time.
func setUp(name, addr string, mtu bool) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE) // of this namespace
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if addr != "" {
		a, err := netlink.ParseAddr(addr)
		if err == nil {
			err = h.AddrAdd(link, a)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if mtu {
		if err := errors.Join(h.LinkSetMTU(link, 1500), noSegmentation(name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return h.LinkSetUp(link)
}

// noSegmentation switches segmentation and its reverse off, as ethtool -K does.
func noSegmentation(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const setTSO, setGSO, setGRO = 0x1f, 0x24, 0x2c // ETHTOOL_STSO …
	for _, cmd := range []uint32{setTSO, setGSO, setGRO} {
		value := [2]uint32{cmd, 0}
		var req struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(req.name[:], name)
		req.data = unsafe.Pointer(&value)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return fmt.Errorf("ethtool %#x: %w", cmd, errno)
		}
	}
	return nil
}

func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: 80})
	}
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	return fd, nil
}

// pairUp connects to a listener of this process.
func pairUp(l int, addr [4]byte) (*kernelPair, error) {
	defer unix.Close(l)
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(c, &unix.SockaddrInet4{Addr: addr, Port: 80})
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err == nil {
		err = unix.SetNonblock(c, true)
	}
	return &kernelPair{write: c, read: s, buf: make([]byte, chunk)}, err
}

// connect is one end of a stream, whose other end is a server.
func connect(to string, sink bool) (*kernelPair, error) {
	a, err := netip.ParseAddrPort(to)
	if err != nil || !a.Addr().Is4() {
		return nil, fmt.Errorf("-to %s: must be an IPv4 address and a port", to)
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(c, &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())})
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	p := &kernelPair{write: c, read: -1, wait: true, buf: make([]byte, chunk)}
	if sink {
		p.write, p.read = -1, c
	}
	return p, nil
}

// turn writes what there is room for and reads what there is; of one end alone, it does so once and waits.
func (p *kernelPair) turn() (got int, err error) {
	for p.write >= 0 {
		n, err := unix.Write(p.write, p.buf)
		if p.wait && err == nil {
			return n, nil
		}
		if err == syscall.EAGAIN {
			break
		}
		if err != nil && err != syscall.EINTR {
			return got, fmt.Errorf("write: %w", err)
		}
	}
	for p.read >= 0 {
		n, err := unix.Read(p.read, p.buf)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil && err != syscall.EINTR {
			return got, fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return got, errors.New("read: the stream has ended")
		}
		if got += max(n, 0); p.wait {
			break
		}
	}
	return got, nil
}

func (p *kernelPair) close() {
	for _, fd := range []int{p.write, p.read} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
