package grid

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp"
)

var (
	megabytes = flag.Int("megabytes", 2, "how much each transfer against the kernel is")
	rounds    = flag.Int("rounds", 0, "how many transfers of each kind, 0: no comparison of speed")
)

// kernelHost is a Linux kernel at the end of a wire: a network namespace without a name, with a TAP that a simnet.End
// is bridged to.
//
//	socket ─► kernel's TCP ─► TAP ◄─► bridge ◄─► simnet.End
type kernelHost struct {
	tap    int
	end    *simnet.End
	listen *net.TCPListener
	dial   func(to netip.AddrPort) (net.Conn, error)
	stop   chan struct{}
	buf    [2048]byte
}

// newKernelHost makes the host with address 10.0.0.(i+1), whose peer's link address is known to it.
func newKernelHost(t *testing.T, end *simnet.End, i int) *kernelHost {
	t.Helper()
	k := &kernelHost{end: end, stop: make(chan struct{})}
	ready := make(chan error)
	calls := make(chan func())
	go func() { // the thread stays in the namespace and ends with the goroutine
		runtime.LockOSThread()
		ready <- k.open(i)
		for f := range calls {
			f()
		}
	}()
	err := <-ready
	t.Cleanup(func() {
		close(calls)
		if k.listen != nil {
			k.listen.Close()
		}
		if k.tap > 0 {
			unix.Close(k.tap)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	k.dial = func(to netip.AddrPort) (c net.Conn, err error) {
		done := make(chan struct{})
		calls <- func() { c, err = (&net.Dialer{Control: congestion}).Dial("tcp", to.String()); close(done) }
		<-done
		return c, err
	}
	return k
}

func congestion(_, _ string, c syscall.RawConn) (err error) {
	c.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") })
	return err
}

func (k *kernelHost) open(i int) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open /dev/net/tun", err)
	}
	k.tap = fd
	req, _ := unix.NewIfreq("grid0")
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return os.NewSyscallError("TUNSETIFF", err)
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName("grid0")
	if err != nil {
		return err
	}
	mac := func(i int) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, byte(i + 1)} }
	return errors.Join(
		h.LinkSetHardwareAddr(link, mac(i)),
		h.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr(i).AsSlice(), Mask: net.CIDRMask(24, 32)}}),
		h.LinkSetUp(link),
		h.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr(1 - i).AsSlice(), HardwareAddr: mac(1 - i)}),
		k.listenOn(i))
}

func (k *kernelHost) listenOn(i int) (err error) {
	k.listen, err = net.ListenTCP("tcp", &net.TCPAddr{IP: addr(i).AsSlice(), Port: 80})
	return err
}

// bridge moves frames between the TAP and the wire, and tells whether there were any.
func (k *kernelHost) bridge() (worked bool) {
	for q := k.end.Queue(); q.Free() > 0; {
		n, err := unix.Read(k.tap, k.buf[:])
		if err != nil || n <= 0 {
			break
		}
		f := q.Alloc()
		f.Len = uint16(copy(f.Room(), k.buf[:n]))
		worked = true
	}
	k.end.Exchange()
	for _, f := range k.end.Queue().Rx {
		unix.Write(k.tap, f.Bytes())
		worked = true
	}
	return worked
}

// receive accepts one connection, reads it to its end, compares it, and tells how long it took.
func (k *kernelHost) receive(total int) (time.Duration, error) {
	c, err := k.listen.Accept()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	begin := time.Now()
	b := make([]byte, chunk)
	var got uint64
	for {
		n, err := c.Read(b)
		if !bytes.Equal(b[:n], stream(got, n)) {
			return 0, fmt.Errorf("the stream is wrong between bytes %d and %d", got, got+uint64(n))
		}
		got += uint64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if got != uint64(total) {
		return 0, fmt.Errorf("%d bytes arrived, want %d", got, total)
	}
	return time.Since(begin), nil
}

// lossy is the wire of these tests: 100 Mbit/s and 4 ms there and back, on the real clock.
func lossy(loss float64, seed uint64, clock func() int64) *simnet.Wire {
	return simnet.New(simnet.Config{Latency: 2 * time.Millisecond, Rate: 100e6, Buffer: 200, Loss: loss, Seed: seed}, clock)
}

// fromKernel sends a stream from one kernel to another.
func fromKernel(t *testing.T, loss float64, seed uint64, total int) time.Duration {
	begin := time.Now()
	w := lossy(loss, seed, func() int64 { return int64(time.Since(begin)) })
	a, b := newKernelHost(t, w.End(0), 0), newKernelHost(t, w.End(1), 1)
	go func() {
		c, err := a.dial(netip.AddrPortFrom(addr(1), 80))
		if err != nil {
			t.Error(err)
			b.listen.Close()
			return
		}
		for sent := 0; sent < total; {
			n, err := c.Write(stream(uint64(sent), min(chunk, total-sent)))
			if err != nil {
				t.Error(err)
				break
			}
			sent += n
		}
		c.Close()
	}()
	return turnUntilReceived(t, b, total, func() bool {
		x, y := a.bridge(), b.bridge()
		return x || y
	})
}

// fromOurs sends a stream from our TCP to a kernel.
func fromOurs(t *testing.T, loss float64, seed uint64, total int) time.Duration {
	begin := time.Now()
	clock := func() int64 { return int64(time.Hour) + int64(time.Since(begin)) }
	w := lossy(loss, seed, clock)
	b := newKernelHost(t, w.End(1), 1)
	st := stack.New(clock)
	st.AddPort(w.End(0))
	h, err := tcp.New(st, &network{addr(0)}, tcp.Config{Connections: 64, Memory: 64 << 20, Records: 1 << 14})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Destroy()
	st.AddLayer(h)
	s, err := h.Open(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetOption(s, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("cubic")); err != nil {
		t.Fatal(err)
	}
	if err := h.Connect(s, netip.AddrPortFrom(addr(1), 80)); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	sent := 0
	return turnUntilReceived(t, b, total, func() bool {
		for sent < total && h.Events(s)&stack.EventOut != 0 {
			n, err := h.Send(s, stream(uint64(sent), min(chunk, total-sent)), 0)
			if err == syscall.EAGAIN {
				break
			}
			if err != nil {
				t.Error(err)
				b.listen.Close()
			}
			if sent += n; sent == total {
				h.Shutdown(s, unix.SHUT_WR)
			}
		}
		x, y := st.Poll(clock()) > 0, b.bridge()
		return x || y
	})
}

// turnUntilReceived turns the world until k has the whole stream.
func turnUntilReceived(t *testing.T, k *kernelHost, total int, turn func() bool) (took time.Duration) {
	t.Helper()
	done := make(chan error)
	go func() {
		var err error
		took, err = k.receive(total)
		done <- err
	}()
	for idle := 0; ; {
		if turn() {
			idle = 0
		} else if idle++; idle > 50 {
			time.Sleep(20 * time.Microsecond)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return took
		default:
		}
	}
}

// TestNotSlowerThanLinux sends the same stream through the same lossy wire to a Linux kernel, alternately from another
// kernel and from our TCP, both with CUBIC.
//
//	kernel's TCP ─► TAP ─┐
//	                     ├─► simnet, real clock, loss each way ─► TAP ─► kernel's TCP
//	stack/tcp ───────────┘
//
// It measures seconds of a real clock, so it is not part of a usual run: go test ./test/grid -run Linux -v -rounds 3 -megabytes 100
func TestNotSlowerThanLinux(t *testing.T) {
	if *rounds == 0 {
		t.Skip("a measurement, for a quiet machine: needs -rounds")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces and TAP devices")
	}
	if fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0); err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	} else {
		unix.Close(fd)
	}
	for _, loss := range []float64{0.01, 0.05} {
		t.Run(fmt.Sprintf("loss=%g", loss), func(t *testing.T) {
			var linux, ours []float64
			for i := range *rounds {
				linux = append(linux, fromKernel(t, loss, uint64(i), *megabytes<<20).Seconds())
				ours = append(ours, fromOurs(t, loss, uint64(i), *megabytes<<20).Seconds())
			}
			rate := func(times []float64) float64 {
				slices.Sort(times)
				return float64(*megabytes) * 1.048576 / times[len(times)/2]
			}
			l, o := rate(linux), rate(ours)
			t.Logf("%d MiB at %g %% loss: Linux %.2f MB/s, ours %.2f MB/s, ratio %.2f (median of %d)", *megabytes, 100*loss, l, o, o/l, *rounds)
			if o < 0.7*l { // short transfers scatter; -megabytes=100 for a figure
				t.Errorf("%.2f of Linux's throughput", o/l)
			}
		})
	}
}
