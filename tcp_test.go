package fstack

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

func TestConn(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		for _, host := range []string{b4, b6} {
			t.Run(host, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					l, err := w.b.Listen("tcp", host+":0")
					if err != nil {
						return nil, nil, nil, err
					}
					defer l.Close()
					if c1, err = w.a.Dial("tcp", l.Addr().String()); err != nil {
						return nil, nil, nil, err
					}
					if c2, err = l.Accept(); err != nil {
						c1.Close()
						return nil, nil, nil, err
					}
					return c1, c2, func() { c1.Close(); c2.Close() }, nil
				})
			})
		}
	})
}

func TestAddresses(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, b := w.pipe(t)
		for _, c := range []struct{ got, want net.Addr }{{a.RemoteAddr(), b.LocalAddr()}, {b.RemoteAddr(), a.LocalAddr()}} {
			got, ok := c.got.(*net.TCPAddr)
			if want := c.want.(*net.TCPAddr); !ok || got.Port != want.Port || !got.IP.Equal(want.IP) || got.String() != want.String() {
				t.Errorf("one end's remote address is %v, the other's local one %v", c.got, c.want)
			}
		}
		if host := strings.TrimSuffix(b.LocalAddr().String(), port(b.LocalAddr())); host != b4 {
			t.Errorf("the accepted end has address %v, want %v", host, b4)
		}
		a.Close()
		if a.LocalAddr().String() != b.RemoteAddr().String() {
			t.Error("a closed connection has lost its address")
		}
	})
}

func TestHalfClose(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 20*time.Second, "half close")()
		a, b := w.pipe(t)
		want := bytes.Repeat([]byte("question "), 50_000)
		go func() {
			a.Write(want)
			a.CloseWrite()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes of %d, %v", len(got), len(want), err)
		}
		if _, err := b.Write([]byte("answer")); err != nil {
			t.Errorf("write after the peer's half close: %v", err)
		}
		b.Close()
		if got, err := io.ReadAll(a); err != nil || string(got) != "answer" {
			t.Errorf("read %q, %v after the own half close", got, err)
		}
		if _, err := a.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a write after CloseWrite gave %v, want EPIPE", err)
		}
	})
}

func TestCloseReadEndsRead(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, _ := w.pipe(t)
		done := make(chan error, 1)
		go func() {
			_, err := a.Read(make([]byte, 1))
			done <- err
		}()
		time.Sleep(10 * time.Millisecond)
		if err := a.CloseRead(); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, done); err != io.EOF {
			t.Errorf("Read ended with %v, want io.EOF", err)
		}
	})
}

// TestBulk sends megabytes both ways at once through a wire that loses, delays, reorders and duplicates.
func TestBulk(t *testing.T) {
	wires := map[string]simnet.Config{
		"perfect": {},
		"bad":     {Latency: 200 * time.Microsecond, Loss: 0.005, Reorder: 0.01, Dup: 0.01, Corrupt: 0.002, Seed: 7},
	}
	for name, wire := range wires {
		wired(t, func(t *testing.T, own bool) {
			defer within(t, 60*time.Second, "bulk over a "+name+" wire")()
			a, b := simWorld(t, own, wire, stack.IdleAdaptive).pipe(t)
			var wg sync.WaitGroup
			for i, ends := range [][2]*TCPConn{{a, b}, {b, a}} {
				from, to := ends[0], ends[1]
				data := make([]byte, 2<<20)
				rand.NewChaCha8([32]byte{byte(i)}).Read(data)
				wg.Go(func() {
					if n, err := from.ReadFrom(bytes.NewReader(data)); n != int64(len(data)) || err != nil {
						t.Errorf("ReadFrom sent %d of %d: %v", n, len(data), err)
					}
					from.CloseWrite()
				})
				wg.Go(func() {
					var got bytes.Buffer
					if n, err := to.WriteTo(&got); n != int64(len(data)) || err != nil {
						t.Errorf("WriteTo received %d of %d: %v", n, len(data), err)
					}
					if !bytes.Equal(got.Bytes(), data) {
						t.Error("what came is not what was sent")
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestCloseWhileBlocked(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, _ := w.pipe(t)
		l := w.listen(t, "tcp", b4)
		big := make([]byte, 64<<20)
		for _, c := range []struct {
			name  string
			block func() error
			close func() error
		}{
			{"Read and Write", func() error {
				var wg sync.WaitGroup
				errs := make([]error, 6)
				for i := range errs {
					wg.Go(func() {
						if i%2 == 0 {
							_, errs[i] = a.Read(make([]byte, 1))
						} else {
							_, errs[i] = a.Write(big)
						}
					})
				}
				wg.Wait()
				for _, err := range errs {
					if !errors.Is(err, net.ErrClosed) {
						return err
					}
				}
				return errs[0]
			}, a.Close},
			{"Accept", func() error { _, err := l.Accept(); return err }, l.Close},
		} {
			t.Run(c.name, func(t *testing.T) {
				done := make(chan error, 1)
				go func() { done <- c.block() }()
				time.Sleep(20 * time.Millisecond)
				if err := c.close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if err := receive(t, done); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "use of closed network connection") {
					t.Errorf("the call that waited returned %v", err)
				}
				if err := c.close(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the second Close returned %v", err)
				}
			})
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close returned %v", err)
		}
	})
}

// TestCallsAfterClose has calls race with Close: the handle goes to somebody else at once, who must not be touched.
func TestCallsAfterClose(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 30*time.Second, "calls after close")()
		for range 50 {
			a, b := w.pipe(t)
			var wg sync.WaitGroup
			for _, f := range []func(){
				func() { a.Read(make([]byte, 1)) },
				func() { a.Write([]byte("x")) },
				func() { a.SetNoDelay(false) },
				func() { a.SetDeadline(time.Now().Add(time.Hour)) },
				func() { a.Close() },
				func() { a.CloseWrite() },
			} {
				wg.Go(f)
			}
			a.Close()
			c, d := w.pipe(t) // takes the handle
			for _, err := range []error{second(a.Read(make([]byte, 1))), second(a.Write([]byte("x"))), a.SetNoDelay(true), a.SetDeadline(time.Time{}), a.CloseWrite(), a.Close()} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("a call after Close returned %v", err)
				}
			}
			if _, err := c.Write([]byte("y")); err != nil {
				t.Error(err)
			}
			var p [2]byte
			if n, err := d.Read(p[:]); n != 1 || p[0] != 'y' {
				t.Errorf("the next connection read %q, %v", p[:n], err)
			}
			wg.Wait()
			b.Close()
			c.Close()
			d.Close()
		}
	})
}

func second[T any](_ T, err error) error { return err }

func receive(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Second):
		t.Fatal("a call that waits was not woken")
		return nil
	}
}

func TestReset(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, b := w.pipe(t)
		if err := b.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		a.Write([]byte("never read"))
		time.Sleep(10 * time.Millisecond)
		b.Close()
		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("Read from a connection that was reset: %v", err)
		}
		want := "read tcp " + a.LocalAddr().String() + "->" + a.RemoteAddr().String() + ": read: connection reset by peer"
		if err.Error() != want {
			t.Errorf("the error reads\n%s, want\n%s", err, want)
		}
	})
}

func TestOptions(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, _ := w.pipe(t)
		for name, err := range map[string]error{
			"SetNoDelay":         a.SetNoDelay(false),
			"SetKeepAlive":       a.SetKeepAlive(true),
			"SetKeepAlivePeriod": a.SetKeepAlivePeriod(1500 * time.Millisecond),
			"SetKeepAliveConfig": a.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Interval: time.Second, Count: -1}),
			"SetLinger":          a.SetLinger(3),
			"SetReadBuffer":      a.SetReadBuffer(100_000),
			"SetWriteBuffer":     a.SetWriteBuffer(100_000),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, err := range map[string]error{"TCPConn": second(a.SyscallConn()), "TCPListener": second(w.listen(t, "tcp", b4).SyscallConn())} {
			if !errors.Is(err, ErrNoDescriptor) {
				t.Errorf("%s.SyscallConn returned %v", name, err)
			}
		}
		idle := func(want byte) {
			t.Helper()
			var v [4]byte
			if n, err := a.Option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, v[:]); n != 4 || err != nil || v[0] != want {
				t.Errorf("TCP_KEEPIDLE is %v, %v, want %d", v[:n], err, want)
			}
		}
		idle(15)
		a.SetKeepAlivePeriod(2500 * time.Millisecond)
		idle(3)
		a.SetKeepAlivePeriod(-1)
		idle(3)
		a.SetKeepAlivePeriod(0)
		idle(15)
		if err := a.SetOption(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, []byte{9, 0, 0, 0}); err != nil {
			t.Error(err)
		}
		idle(9)
		a.Close()
		if _, err := a.Option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, make([]byte, 4)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Option after Close: %v", err)
		}
	})
}

func TestZeroValues(t *testing.T) {
	for _, err := range []error{
		second(new(TCPConn).Read(nil)), second(new(TCPConn).Write(nil)), new(TCPConn).Close(), new(TCPConn).SetDeadline(time.Time{}), new(TCPConn).CloseWrite(),
		second(new(TCPConn).ReadFrom(nil)), second(new(TCPConn).WriteTo(nil)), new(TCPConn).SetNoDelay(true), new(TCPConn).SetLinger(1),
		second(new(TCPListener).Accept()), new(TCPListener).Close(), new(TCPListener).SetDeadline(time.Time{}),
		second(new(UDPConn).WriteTo(nil, nil)), second(new(IPConn).WriteTo(nil, nil)), second(new(UDPConn).Read(nil)), second(new(IPConn).Read(nil)),
	} {
		if err != syscall.EINVAL {
			t.Errorf("a call on a zero connection returned %v, want EINVAL", err)
		}
	}
}
