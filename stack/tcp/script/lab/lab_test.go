package lab_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

var local = netip.MustParsePrefix("10.0.0.1/24")

func open(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.New(lab.Config{Local: local}, func(cfg lab.Config, dev stack.Device, now func() int64) (*lab.Host, error) {
		st := stack.New(now)
		port := st.AddPort(dev)
		n, err := netstack.New(st, netstack.Config{TCP: true})
		if err != nil {
			return nil, err
		}
		if err := n.AddPort(port, netstack.PortConfig{Addrs: []netip.Prefix{cfg.Local}, Gateway4: cfg.Gateway}); err != nil {
			return nil, err
		}
		st.AddLayer(n)
		return &lab.Host{Stack: st, Sockets: n, Settle: n.Settle, Close: func() error { n.Destroy(); return nil }}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func check[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func listener(t *testing.T, l *lab.Lab) int {
	t.Helper()
	fd := check[int](t)(l.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	if err := l.Bind(fd, netip.AddrPortFrom(local.Addr(), 80)); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(fd, 8); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestTimeoutsEndCallsAtTheirTime(t *testing.T) {
	l := open(t)
	fd := listener(t, l)
	timeval := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 1), 500_000)
	if err := l.SetOption(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, timeval); err != nil {
		t.Fatal(err)
	}
	ep := check[int](t)(l.EpollCreate())
	if err := l.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, 5); err != nil {
		t.Fatal(err)
	}
	begin := l.Now()
	accept := l.Accept(fd)
	poll := l.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 700)
	wait := l.EpollWait(ep, make([]lab.EpollEvent, 1), 900)
	never := l.EpollWait(ep, make([]lab.EpollEvent, 1), -1)
	if err := l.Advance(begin + int64(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		call  *lab.Call
		after time.Duration
		n     int
		err   error
	}{
		"accept":     {accept, 1500 * time.Millisecond, -1, unix.EAGAIN},
		"poll":       {poll, 700 * time.Millisecond, 0, nil},
		"epoll_wait": {wait, 900 * time.Millisecond, 0, nil},
	} {
		if took := time.Duration(c.call.Ended - begin); !c.call.Done || took != c.after || c.call.N != c.n || c.call.Err != c.err {
			t.Errorf("%s: returned %v (%d, %v) after %v, want (%d, %v) after %v", name, c.call.Done, c.call.N, c.call.Err, took, c.n, c.err, c.after)
		}
	}
	if never.Done {
		t.Error("epoll_wait without timeout returned")
	}
}

func TestDescriptorsThatAreNotThere(t *testing.T) {
	l := open(t)
	fd := listener(t, l)
	ep := check[int](t)(l.EpollCreate())
	if c := l.Recv(77, nil, 0); !c.Done || c.Err != unix.EBADF {
		t.Errorf("recv of a closed descriptor: %v", c.Err)
	}
	if c := l.Accept(ep); !c.Done || c.Err != unix.ENOTSOCK {
		t.Errorf("accept of an epoll: %v", c.Err)
	}
	if c := l.EpollWait(fd, make([]lab.EpollEvent, 1), 0); c.Err != unix.EINVAL {
		t.Errorf("epoll_wait of a socket: %v", c.Err)
	}
	if err := l.EpollCtl(ep, unix.EPOLL_CTL_MOD, fd, 0, 0); err != unix.ENOENT {
		t.Errorf("epoll_ctl MOD of what was not added: %v", err)
	}
	if err := l.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, 0); err != nil {
		t.Error(err)
	}
	if err := l.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, 0); err != unix.EEXIST {
		t.Errorf("epoll_ctl ADD twice: %v", err)
	}
	if err := l.CloseFD(fd); err != nil {
		t.Error(err)
	}
	if err := l.CloseFD(fd); err != unix.EBADF {
		t.Errorf("close twice: %v", err)
	}
	if err := l.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, 0, 0); err != unix.EBADF {
		t.Errorf("epoll_ctl of a closed descriptor: %v", err)
	}
}

func TestLocalAddressIsNeeded(t *testing.T) {
	if _, err := lab.New(lab.Config{}, nil); err == nil {
		t.Error("a lab without an address is made")
	}
}

// Packets to any address leave: the lab answers for every link address.
func TestPacketsComeOut(t *testing.T) {
	l := open(t)
	fd := check[int](t)(l.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0))
	begin := l.Now()
	if c := l.Connect(fd, netip.MustParseAddrPort("192.0.2.9:80")); c.Err != unix.EINPROGRESS {
		t.Fatalf("connect: %v", c.Err)
	}
	if err := l.Turn(); err != nil {
		t.Fatal(err)
	}
	b, at, ok := l.Sent()
	if !ok || at != begin || len(b) < 40 || b[9] != unix.IPPROTO_TCP || netip.AddrFrom4([4]byte(b[16:20])) != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("sent %x at %d, want a SYN to 192.0.2.9 at %d", b, at, begin)
	}
}
