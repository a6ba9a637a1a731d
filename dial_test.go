package fstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

func TestDialRefused(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		for _, host := range []string{b4, b6} {
			_, err := w.a.Dial("tcp", host+":1")
			var op *net.OpError
			if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Timeout() {
				t.Errorf("%s: %v, want ECONNREFUSED", host, err)
				continue
			}
			if want := "dial tcp " + host + ":1: connect: connection refused"; err.Error() != want {
				t.Errorf("the error reads %q, want %q", err, want)
			}
		}
	})
}

func TestDialNoRoute(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		for _, network := range []string{"tcp", "udp"} {
			_, err := w.a.Dial(network, "192.0.2.1:80")
			if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) {
				t.Errorf("%s: %v, want ENETUNREACH", network, err)
			}
		}
	})
}

func TestDialCancelled(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		for _, c := range []struct {
			name    string
			dial    func() (net.Conn, error)
			is      error
			timeout bool
			text    string
		}{
			{"cancel", func() (net.Conn, error) {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(20*time.Millisecond, cancel)
				return w.a.DialContext(ctx, "tcp", silent+":80")
			}, context.Canceled, false, "operation was canceled"},
			{"cancelled before", func() (net.Conn, error) {
				return w.a.DialContext(canceled, "tcp", b4+":80")
			}, context.Canceled, false, "operation was canceled"},
			{"context's deadline", func() (net.Conn, error) {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				return w.a.DialContext(ctx, "tcp", silent+":80")
			}, context.DeadlineExceeded, true, "i/o timeout"},
			{"DialTimeout", func() (net.Conn, error) {
				return w.a.DialTimeout("tcp", silent+":80", 20*time.Millisecond)
			}, context.DeadlineExceeded, true, "i/o timeout"},
			{"Dialer.Deadline", func() (net.Conn, error) {
				return (&Dialer{Stack: w.a, Deadline: time.Now().Add(20 * time.Millisecond), Timeout: time.Hour}).Dial("tcp", silent+":80")
			}, context.DeadlineExceeded, true, "i/o timeout"},
			{"past deadline", func() (net.Conn, error) {
				return (&Dialer{Stack: w.a, Deadline: time.Unix(1, 0)}).Dial("tcp", b4+":80")
			}, context.DeadlineExceeded, true, "i/o timeout"},
		} {
			t.Run(c.name, func(t *testing.T) {
				defer within(t, 5*time.Second, "dial")()
				_, err := c.dial()
				var op *net.OpError
				if !errors.Is(err, c.is) || !errors.As(err, &op) || op.Timeout() != c.timeout {
					t.Fatalf("got %v, want %v", err, c.is)
				}
				if host := silent; !strings.HasSuffix(err.Error(), ":80: "+c.text) || c.name == "cancel" && op.Addr.String() != host+":80" {
					t.Errorf("the error reads %q", err)
				}
			})
		}
	})
}

// TestErrorsReadAsPackageNets gives the same wrong arguments to package net and compares what both say.
func TestErrorsReadAsPackageNets(t *testing.T) {
	w := fakeWorld(t)
	asDefault(t, w.a)
	type call struct {
		ours, nets func(network, address string) error
	}
	ctx := context.Background()
	calls := map[string]call{
		"Listen":       {func(n, a string) error { return second(Listen(n, a)) }, func(n, a string) error { return second(net.Listen(n, a)) }},
		"ListenPacket": {func(n, a string) error { return second(ListenPacket(n, a)) }, func(n, a string) error { return second(net.ListenPacket(n, a)) }},
		"Dial":         {func(n, a string) error { return second(Dial(n, a)) }, func(n, a string) error { return second(net.Dial(n, a)) }},
		"Dial from TCP": {
			func(n, a string) error {
				return second((&Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}).DialContext(ctx, n, a))
			},
			func(n, a string) error {
				return second((&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}).DialContext(ctx, n, a))
			},
		},
		"ResolveTCPAddr": {func(n, a string) error { return second(ResolveTCPAddr(n, a)) }, func(n, a string) error { return second(net.ResolveTCPAddr(n, a)) }},
		"ResolveUDPAddr": {func(n, a string) error { return second(ResolveUDPAddr(n, a)) }, func(n, a string) error { return second(net.ResolveUDPAddr(n, a)) }},
	}
	cases := []struct{ only, network, address string }{
		{"", "", "127.0.0.1:80"},
		{"", "tpc", "127.0.0.1:80"},
		{"", "tcp5", "127.0.0.1:80"},
		{"", "tcp:6", "127.0.0.1:80"},
		{"", "tcp", "127.0.0.1"},
		{"", "tcp", "::1:80"},
		{"", "tcp", "[::1]"},
		{"", "tcp", "[::1"},
		{"", "tcp", "[::1]x:80"},
		{"", "tcp", "127.0.0.1:99999"},
		{"", "tcp", "127.0.0.1:-1"},
		{"", "tcp", "127.0.0.1:nosuchservice"},
		{"", "udp", "127.0.0.1:nosuchservice"},
		{"", "tcp4", "[::1]:80"},
		{"", "tcp6", "127.0.0.1:80"},
		{"", "udp4", "[::1]:80"},
		{"", "udp", "127.0.0.1"},
		{"Dial", "tcp", ""},
		{"Dial", "udp", ""},
		{"Dial", "ip4:icmp", ""},
		{"Dial", "ip4", "127.0.0.1"},
		{"Listen", "ip4", "127.0.0.1"},
		{"Listen", "udp", "127.0.0.1:0"},
		{"Listen", "ip4:icmp", "127.0.0.1"},
		{"ListenPacket", "tcp", "127.0.0.1:0"},
		{"ListenPacket", "ip4:nosuchprotocol", "127.0.0.1"},
		{"Dial from TCP", "udp", "127.0.0.1:80"},
		{"Dial from TCP", "tcp", "[::1]:80"},
	}
	for name, f := range calls {
		for _, c := range cases {
			if c.only != "" && c.only != name || strings.HasPrefix(name, "Resolve") && (c.network == "" || c.network == "tcp:6") {
				continue
			}
			t.Run(fmt.Sprintf("%s(%q, %q)", name, c.network, c.address), func(t *testing.T) {
				if name == "Dial from TCP" && c.network != "udp" && c.network != "tcp" {
					t.Skip("the address does not matter")
				}
				want := f.nets(c.network, c.address)
				if want == nil {
					t.Skip("package net finds nothing wrong")
				}
				got := f.ours(c.network, c.address)
				if got == nil || got.Error() != want.Error() {
					t.Errorf("ours: %v\nnet's: %v", got, want)
				}
				if a, b := fmt.Sprintf("%T", errors.Unwrap(got)), fmt.Sprintf("%T", errors.Unwrap(want)); a != b {
					t.Errorf("ours wraps %s, net's %s", a, b)
				}
			})
		}
	}
}

func TestNoStack(t *testing.T) {
	for _, err := range []error{
		second(Listen("tcp", ":80")), second(ListenPacket("udp", ":80")), second(Dial("tcp", "10.0.0.1:80")),
		second(DialTimeout("tcp", "10.0.0.1:80", time.Second)), second(DialContext(context.Background(), "tcp", "10.0.0.1:80")),
		second(ListenTCP("tcp", nil)), second(ListenUDP("udp", nil)), second(DialTCP("tcp", nil, &net.TCPAddr{})), second(DialUDP("udp", nil, &net.UDPAddr{})),
	} {
		if !errors.Is(err, errNoStack) || !strings.HasSuffix(err.Error(), "fstack: no stack is running: call fstack.Run") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := DefaultResolver.LookupHost(context.Background(), "host.invalid"); err == nil || !strings.Contains(err.Error(), "no stack is running") {
		t.Errorf("LookupHost returned %v", err)
	}
}

func TestDialOptions(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.listen(t, "tcp", b4)
		var seen []string
		control := func(network, address string, c syscall.RawConn) error {
			seen = append(seen, network+" "+address)
			if err := c.Control(func(uintptr) { t.Error("Control called f") }); err != ErrNoDescriptor {
				t.Errorf("RawConn.Control returned %v", err)
			}
			raw := c.(*RawConn)
			if err := raw.SetsockoptInt(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0); err != nil {
				return err
			}
			v, err := raw.GetsockoptInt(unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			if v != 0 {
				t.Errorf("SO_KEEPALIVE is %d", v)
			}
			return err
		}
		d := Dialer{Stack: w.a, LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5000}, KeepAlive: -1, Control: control}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.LocalAddr().String() != "10.0.0.1:5000" {
			t.Errorf("dialled from %v", c.LocalAddr())
		}
		lc := ListenConfig{Stack: w.b, Control: control}
		u, err := lc.ListenPacket(context.Background(), "udp", "10.0.0.2:7000")
		if err != nil {
			t.Fatal(err)
		}
		u.Close()
		if got, want := strings.Join(seen, ", "), "tcp4 "+l.Addr().String()+", udp4 10.0.0.2:7000"; got != want {
			t.Errorf("Control was called with %s; want %s", got, want)
		}
		failing := errors.New("not this one")
		d.ControlContext = func(context.Context, string, string, syscall.RawConn) error { return failing }
		if _, err := d.Dial("tcp", l.Addr().String()); !errors.Is(err, failing) {
			t.Errorf("a Control that fails gave %v", err)
		}
	})
}

// TestHappyEyeballs dials addresses of which the first never answers.
func TestHappyEyeballs(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.listen(t, "tcp", b4)
		good := netip.MustParseAddrPort(l.Addr().String())
		dead6, dead4 := netip.MustParseAddrPort("[fd00::77]:80"), netip.MustParseAddrPort(silent+":80")
		refused6 := netip.MustParseAddrPort("[fd00::2]:1")
		for _, c := range []struct {
			name   string
			all    []netip.AddrPort
			delay  time.Duration
			limit  time.Duration
			atMost time.Duration
			err    bool
		}{
			{"other family after the delay", []netip.AddrPort{dead6, good}, 20 * time.Millisecond, 0, 20 * time.Second, false},
			{"other family at once after a refusal", []netip.AddrPort{refused6, good}, time.Hour, 0, 20 * time.Second, false},
			{"none answers", []netip.AddrPort{dead6, dead4}, 10 * time.Millisecond, 50 * time.Millisecond, 20 * time.Second, true},
			{"both refuse", []netip.AddrPort{refused6, netip.MustParseAddrPort("10.0.0.2:1")}, 0, 0, 20 * time.Second, true},
			{"one after the other", []netip.AddrPort{refused6, good}, -1, 0, 20 * time.Second, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				ctx := context.Background()
				if c.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.limit)
					defer cancel()
				}
				d := dial{Dialer: &Dialer{FallbackDelay: c.delay}, stack: w.a, asked: "tcp", network: "tcp"}
				start := time.Now()
				conn, err := d.any(ctx, c.all)
				if took := time.Since(start); took > c.atMost {
					t.Errorf("it took %v", took)
				}
				if (err != nil) != c.err {
					t.Fatalf("got %v", err)
				}
				if err != nil {
					if !strings.Contains(err.Error(), c.all[0].String()) {
						t.Errorf("the error is not the first address's: %v", err)
					}
					return
				}
				defer conn.Close()
				if conn.RemoteAddr().String() != good.String() {
					t.Errorf("connected to %v", conn.RemoteAddr())
				}
			})
		}
	})
}

// TestDialDoesNotMeetItself dials the port that the stack will choose for the dial.
func TestDialDoesNotMeetItself(t *testing.T) {
	w := fakeWorld(t)
	n := w.a.tcp.(*fakeHost).net
	for _, host := range []string{"127.0.0.1", "", "10.0.0.1", "[::1]"} {
		n.mu.Lock()
		n.port = 40000
		n.mu.Unlock()
		if _, err := w.a.Dial("tcp", host+":40001"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: got %v, want ECONNREFUSED", host, err)
		}
	}
}

// TestDialWokenForNothing has news come while a connect is in progress.
func TestDialWokenForNothing(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- second(w.a.DialContext(ctx, "tcp", silent+":80")) }()
		for range 5 {
			time.Sleep(2 * time.Millisecond)
			w.a.waiters.Each(func(w *stack.Waiter) { w.Wake(stack.Sending) })
		}
		select {
		case err := <-done:
			t.Fatalf("the dial ended with %v", err)
		default:
		}
		cancel()
		if err := receive(t, done); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestDialerWithAddrPorts(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		d := Dialer{Stack: w.a}
		ctx := context.Background()
		l := w.listen(t, "tcp", b4)
		c, err := d.DialTCP(ctx, "tcp4", netip.MustParseAddrPort("10.0.0.1:6001"), netip.MustParseAddrPort(l.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		u, err := d.DialUDP(ctx, "udp", netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:9"))
		if err != nil {
			t.Fatal(err)
		}
		u.Close()
		if c.LocalAddr().String() != "10.0.0.1:6001" || u.RemoteAddr().String() != "10.0.0.2:9" {
			t.Errorf("dialled from %v, and to %v", c.LocalAddr(), u.RemoteAddr())
		}
	})
}

func TestResolveAddr(t *testing.T) {
	for _, c := range []struct{ network, address, want string }{
		{"tcp", "10.0.0.1:80", "10.0.0.1:80"},
		{"", ":http", ":80"},
		{"tcp6", "[fd00::1]:443", "[fd00::1]:443"},
		{"tcp", "[::ffff:10.0.0.1]:1", "10.0.0.1:1"},
	} {
		if a, err := ResolveTCPAddr(c.network, c.address); err != nil || a.String() != c.want {
			t.Errorf("ResolveTCPAddr(%q, %q) is %v, %v", c.network, c.address, a, err)
		}
	}
	if a, err := ResolveUDPAddr("udp", "[fe80::1%port0]:domain"); err != nil || a.String() != "[fe80::1%port0]:53" || a.Zone != "port0" {
		t.Errorf("ResolveUDPAddr is %v, %v", a, err)
	}
	if _, err := ResolveTCPAddr("udp", ":1"); err == nil {
		t.Error("a TCP address of network udp")
	}
}

// TestDialSharesTheTime has the first address not use up what the second needs.
func TestDialSharesTheTime(t *testing.T) {
	w := fakeWorld(t)
	good := netip.MustParseAddrPort(w.listen(t, "tcp", b4).Addr().String())
	ctx, cancel := context.WithTimeout(context.Background(), attemptMin+time.Second)
	defer cancel()
	d := dial{Dialer: new(Dialer), stack: w.a, asked: "tcp", network: "tcp"}
	c, err := d.any(ctx, []netip.AddrPort{netip.MustParseAddrPort(silent + ":80"), good})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestReachableFirst(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		far, near := netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("[fd00::2]:80")
		got := w.a.reachableFirst([]netip.AddrPort{far, near})
		if len(got) != 2 || got[0] != near || got[1] != far {
			t.Errorf("the order is %v", got)
		}
	})
}
