package fstack

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDualStack(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		for _, c := range []struct {
			network, host string
			four, six     bool
		}{
			{"tcp", "", true, true},
			{"tcp", "0.0.0.0", true, true},
			{"tcp", "[::]", true, true},
			{"tcp4", "", true, false},
			{"tcp6", "", false, true},
			{"tcp6", "[::]", false, true},
			{"tcp", b4, true, false},
			{"tcp", b6, false, true},
		} {
			t.Run(c.network+" "+c.host, func(t *testing.T) {
				l := w.listen(t, c.network, c.host)
				go func() {
					for {
						s, err := l.Accept()
						if err != nil {
							return
						}
						io.WriteString(s, s.LocalAddr().String()+" "+s.RemoteAddr().String())
						s.Close()
					}
				}()
				for _, d := range []struct {
					to   string
					want bool
				}{{b4 + port(l.Addr()), c.four}, {b6 + port(l.Addr()), c.six}} {
					s, err := w.a.DialTimeout("tcp", d.to, 5*time.Second)
					if (err == nil) != d.want || err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("dial %s: %v", d.to, err)
					}
					if err != nil {
						continue
					}
					got, err := io.ReadAll(s)
					if want := s.RemoteAddr().String() + " " + s.LocalAddr().String(); err != nil || string(got) != want {
						t.Errorf("the server sees %q, the client %q, %v", got, want, err)
					}
					s.Close()
				}
			})
		}
	})
}

func TestAddressInUse(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.listen(t, "tcp4", b4)
		_, err := w.b.Listen("tcp", l.Addr().String())
		if want := "listen tcp " + l.Addr().String() + ": bind: address already in use"; !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		l6, err := w.b.Listen("tcp6", port(l.Addr()))
		if err != nil {
			t.Errorf("the same port of the other family: %v", err)
		} else {
			l6.Close()
		}
		l.Close()
		again, err := w.b.Listen("tcp", l.Addr().String())
		if err != nil {
			t.Fatalf("the port of a closed listener: %v", err)
		}
		again.Close()

		_, err = w.b.Listen("tcp", "10.0.0.1:0")
		if !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("an address of another host: %v", err)
		}
	})
}

// TestListenAgainWhileAccepting has the port free as soon as Close returns, although an Accept was waiting.
func TestListenAgainWhileAccepting(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		first := w.listen(t, "tcp", b4)
		address := first.Addr().String()
		first.Close()
		for range 20 {
			l, err := w.b.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- second(l.Accept()) }()
			time.Sleep(time.Millisecond)
			l.Close()
			if err := receive(t, done); !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
		}
		if n := w.b.waiters.Watched(); n != 0 {
			t.Errorf("%d closed sockets are remembered", n)
		}
	})
}

func TestAcceptedInheritOptions(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		lc := ListenConfig{Stack: w.b, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 1500 * time.Millisecond, Count: 4}}
		l, err := lc.Listen(context.Background(), "tcp", b4+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := w.a.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, o := range []struct {
			name              string
			level, opt        int
			accepted, dialled int
		}{
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, 1},
			{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, 1},
			{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 2, 15},
			{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15, 15},
			{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4, 9},
		} {
			for _, end := range []struct {
				what string
				s    *socket
				want int
			}{{"accepted", &s.(*TCPConn).socket, o.accepted}, {"dialled", &c.(*TCPConn).socket, o.dialled}} {
				if v, err := end.s.int(o.level, o.opt); v != end.want || err != nil {
					t.Errorf("%s of the %s end is %d, %v; want %d", o.name, end.what, v, err, end.want)
				}
			}
		}
	})
}

func TestListenWithoutIPv6(t *testing.T) {
	now := clock()
	st := newHostWithout6(t, now)
	l, err := st.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !strings.HasPrefix(l.Addr().String(), "0.0.0.0:") {
		t.Errorf("listens on %v", l.Addr())
	}
	if _, err := st.Listen("tcp6", ":0"); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("tcp6 gave %v", err)
	}
}

func TestListenNamed(t *testing.T) {
	w := fakeWorld(t)
	asDefault(t, w.b)
	l, err := ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	c, err := DialTCP("tcp", &net.TCPAddr{Port: 6000}, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if port(c.LocalAddr()) != ":6000" {
		t.Errorf("dialled from %v", c.LocalAddr())
	}
	d, err := DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: u.LocalAddr().(*net.UDPAddr).Port})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, err := range []error{
		second(ListenUDP("tcp", nil)), second(ListenTCP("udp", nil)), second(DialTCP("udp", nil, &net.TCPAddr{Port: 1})),
		second(DialUDP("tcp", nil, &net.UDPAddr{Port: 1})), second(DialTCP("tcp", nil, nil)), second(DialUDP("udp", nil, nil)),
	} {
		if op := (*net.OpError)(nil); !errors.As(err, &op) {
			t.Errorf("wrong arguments gave %v", err)
		}
	}
}
