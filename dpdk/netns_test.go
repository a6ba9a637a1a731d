//go:build !nodpdk

package dpdk

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newNetns makes a network namespace that lasts as long as its file is open.
func newNetns(t testing.TB) *os.File {
	t.Helper()
	needRoot(t)
	type result struct {
		f   *os.File
		err error
	}
	c := make(chan result)
	go func() { // on a thread that ends with the goroutine: it stays locked
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			c <- result{nil, err}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		c <- result{f, err}
	}()
	r := <-c
	if r.err != nil {
		t.Skip("needs the right to make a network namespace: ", r.err)
	}
	t.Cleanup(func() { r.f.Close() })
	return r.f
}

// inNS runs f in the namespace.
func inNS(t testing.TB, ns *os.File, f func() error) {
	t.Helper()
	var err error
	if nsErr := inNetns(ns, func() { err = f() }); nsErr != nil {
		t.Fatal(nsErr)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ip runs ip(8) commands in the namespace.
func ip(t testing.TB, ns *os.File, commands ...string) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8): ", err)
	}
	inNS(t, ns, func() error {
		for _, c := range commands {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
		}
		return nil
	})
}

// kernelEnd is an AF_PACKET socket on the kernel's end of a TAP.
type kernelEnd struct {
	fd  int
	buf [65536]byte
}

func openKernelEnd(t testing.TB, ns *os.File, iface string) *kernelEnd {
	t.Helper()
	k := &kernelEnd{}
	inNS(t, ns, func() (err error) {
		i, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		const all = 0x0300 // htons(ETH_P_ALL)
		if k.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		return unix.Bind(k.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index})
	})
	t.Cleanup(func() { unix.Close(k.fd) })
	return k
}

// recv returns the next frame that came in at the kernel's end, nil if there is none now.
func (k *kernelEnd) recv(t testing.TB) []byte {
	for {
		n, from, err := unix.Recvfrom(k.fd, k.buf[:], 0)
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING {
			return k.buf[:n]
		}
	}
}

func (k *kernelEnd) send(t testing.TB, frame []byte) {
	t.Helper()
	if err := unix.Send(k.fd, frame, 0); err != nil {
		t.Fatal(err)
	}
}

// readable tells whether fd becomes readable within d.
func readable(t testing.TB, fd int, d time.Duration) bool {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(d.Milliseconds()))
		if err == nil {
			return n > 0
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}
