package diff

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/posix"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp"
)

// TestLinux runs workloads between our TCP and Linux's, in a network namespace of the test's own:
//
//	our stack ─► wire (faults) ─► pump ─► TAP ─► Linux's TCP
//
// All of it is turned by one goroutine, on the real clock.
func TestLinux(t *testing.T) {
	for _, k := range [][2]string{{"tcp", "linux"}, {"linux", "tcp"}} {
		t.Run(k[0]+"-"+k[1], func(t *testing.T) {
			for seed := *first; seed < *first+max(1, *seeds/4); seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					t.Parallel()
					inNamespace(t, func() { runLinux(t, k, makeWorkload(uint64(seed))) })
				})
			}
		})
	}
}

// inNamespace runs f on a thread in a network namespace of its own.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends, and its namespace with it
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		defer close(done)
		f()
	}()
	if err := <-done; err != nil {
		t.Skipf("needs a network namespace (root): %v", err)
	}
}

// linux is the calls of the kernel.
type linux struct{}

func (linux) Socket(domain, typ, proto int) (int, error)         { return unix.Socket(domain, typ, proto) }
func (linux) Bind(fd int, sa posix.Sockaddr) error               { return unix.Bind(fd, sa) }
func (linux) Listen(fd, n int) error                             { return unix.Listen(fd, n) }
func (linux) Accept4(fd, flags int) (int, posix.Sockaddr, error) { return unix.Accept4(fd, flags) }
func (linux) Connect(fd int, sa posix.Sockaddr) error            { return unix.Connect(fd, sa) }
func (linux) Shutdown(fd, how int) error                         { return unix.Shutdown(fd, how) }
func (linux) Close(fd int) error                                 { return unix.Close(fd) }
func (linux) Getsockname(fd int) (posix.Sockaddr, error)         { return unix.Getsockname(fd) }
func (linux) Read(fd int, p []byte) (int, error)                 { return unix.Read(fd, p) }
func (linux) Write(fd int, p []byte) (int, error)                { return unix.Write(fd, p) }
func (linux) EpollCreate1(flag int) (int, error)                 { return unix.EpollCreate1(flag) }
func (linux) Poll(fds []posix.PollFd, timeout int) (int, error)  { return unix.Poll(fds, timeout) }

func (linux) SetsockoptInt(fd, level, opt, value int) error {
	return unix.SetsockoptInt(fd, level, opt, value)
}

func (linux) SetsockoptLinger(fd, level, opt int, l *posix.Linger) error {
	return unix.SetsockoptLinger(fd, level, opt, l)
}

func (linux) GetsockoptInt(fd, level, opt int) (int, error) {
	return unix.GetsockoptInt(fd, level, opt)
}

func (linux) EpollCtl(epfd, op, fd int, event *posix.EpollEvent) error {
	return unix.EpollCtl(epfd, op, fd, event)
}

func (linux) EpollWait(epfd int, events []posix.EpollEvent, msec int) (int, error) {
	return unix.EpollWait(epfd, events, msec)
}

// tap is the kernel's end of the link.
type tap struct {
	fd  int
	buf []byte
}

func openTap(addrs [2]netip.Addr, mac [6]byte, peers [2]netip.Addr, peerMAC [6]byte, mtu int) (*tap, error) {
	const name = "diff0"
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ioctl TUNSETIFF: %w", err)
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetHardwareAddr(link, net.HardwareAddr(mac[:]))
	}
	if err == nil {
		err = netlink.LinkSetMTU(link, mtu)
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	for i := range addrs {
		bits := []int{24, 64}[i]
		if err == nil {
			err = netlink.AddrAdd(link, &netlink.Addr{
				IPNet: &net.IPNet{IP: addrs[i].AsSlice(), Mask: net.CIDRMask(bits, addrs[i].BitLen())}, Flags: unix.IFA_F_NODAD,
			})
		}
		if err == nil {
			err = netlink.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, IP: peers[i].AsSlice(), HardwareAddr: net.HardwareAddr(peerMAC[:]), State: netlink.NUD_PERMANENT,
			})
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("configure the TAP link: %w", err)
	}
	return &tap{fd: fd, buf: make([]byte, mtu+18)}, nil
}

// pump passes frames between the wire's end and the kernel, and returns whether there were any.
func (p *tap) pump(end *simnet.End) (worked bool) {
	for {
		n, err := unix.Read(p.fd, p.buf)
		if err != nil {
			break
		}
		f := end.Queue().Alloc()
		if f == nil {
			end.Flush()
			if f = end.Queue().Alloc(); f == nil {
				break
			}
		}
		f.Len = uint16(copy(f.Room(), p.buf[:n]))
		worked = true
	}
	end.Exchange()
	for i := range end.Queue().Rx {
		unix.Write(p.fd, end.Queue().Rx[i].Bytes()) // what the kernel does not want is lost
		worked = true
	}
	return worked
}

// hurry makes less of a workload, for a clock that is real.
func (w *workload) hurry() {
	w.wire.Latency /= 4
	for i := range w.conns {
		for j := range w.conns[i] {
			w.conns[i][j].hurry()
		}
	}
}

func (s *script) hurry() {
	s.readPause /= 10
	s.recvBuffer *= 4
	for k := range s.writes {
		s.writes[k] = write{size: s.writes[k].size/4 + 1, pause: s.writes[k].pause / 10}
	}
}

// runLinux plays a workload with Linux at one end.
func runLinux(t *testing.T, kinds [2]string, w *workload) {
	w.hurry()
	p := newLinuxPair(t, kinds, w.wire, limits)
	p.play(w, 2*time.Minute, 30*time.Second)
	p.closeLinux()
}

// newLinuxPair is our stack and the kernel of this thread's network namespace, on the real clock.
func newLinuxPair(t *testing.T, kinds [2]string, wire simnet.Config, limits tcp.Config) *pair {
	t.Helper()
	base := time.Now().Add(-time.Hour)
	p := &pair{
		t: t, now: func() int64 { return int64(time.Since(base)) }, patience: 5 * time.Second, slack: 2 * time.Second,
	}
	p.makeWire(wire)
	kernel, ours := 0, 1
	if kinds[1] == "linux" {
		kernel, ours = 1, 0
	}
	h := p.newHost(ours, kinds[ours], limits)
	for name, value := range map[string]string{"net.inet.tcp.msl": "100", "net.inet.tcp.finwait2_timeout": "1000"} {
		if err := h.own.SetSysctl(name, value); err != nil {
			t.Fatal(err)
		}
	}
	link, err := openTap(addrs[kernel], macs[kernel], addrs[ours], macs[ours], p.wire.End(0).Info().MTU)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(link.fd) })
	p.hosts[ours] = h
	p.hosts[kernel] = &host{index: kernel, kind: "linux", table: linux{}, addrs: addrs[kernel]}
	p.run = func(limit time.Duration, done func() bool) bool {
		for end := p.now() + int64(limit); p.now() < end; {
			worked := h.st.Poll(p.now()) > 0
			worked = link.pump(p.wire.End(kernel)) || worked
			if err := p.apps[kernel].turn(); err != nil {
				t.Fatal(err)
			}
			if done() {
				return true
			}
			if !worked {
				time.Sleep(100 * time.Microsecond)
			}
		}
		return false
	}
	return p
}

// closeLinux closes the kernel's epoll.
func (p *pair) closeLinux() {
	for i, h := range p.hosts {
		if h.kind == "linux" {
			unix.Close(p.apps[i].ep)
		}
	}
}
