package netstack

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// TestConnectionsOverRunningLoops has goroutines talk in both directions over many connections at once.
func TestConnectionsOverRunningLoops(t *testing.T) {
	for _, idle := range []stack.Idle{stack.IdlePoll, stack.IdleAdaptive} {
		a, b := run(t, idle, simnet.Config{})
		to := netip.AddrPortFrom(b4, 80)
		l := b.conn(b.listen(to))
		const conns, size = 12, 50_000
		var all sync.WaitGroup
		all.Go(func() { // an echo server
			for range conns {
				c, err := l.accept()
				if err != nil {
					t.Error("accept:", err)
					return
				}
				all.Go(func() {
					if _, err := io.Copy(c, c); err != nil {
						t.Error("echo:", err)
					}
					c.Close(c.h)
				})
			}
		})
		for i := range conns {
			all.Go(func() {
				c, err := a.dial(to)
				if err != nil {
					t.Error("dial:", err)
					return
				}
				data := random(uint64(i), size)
				all.Go(func() {
					if _, err := c.Write(data); err != nil {
						t.Error("write:", err)
					}
					c.Shutdown(c.h, unix.SHUT_WR)
				})
				got, err := io.ReadAll(c)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("connection %d: %d bytes of %d came back: %v", i, len(got), size, err)
				}
				c.Close(c.h)
			})
		}
		all.Wait()
	}
}

// TestLoopbackOverRunningLoop talks to itself, over 127.0.0.1 and its own address.
func TestLoopbackOverRunningLoop(t *testing.T) {
	a, _ := run(t, stack.IdleAdaptive, simnet.Config{})
	for _, ip := range []netip.Addr{addr("127.0.0.1"), addr("::1"), a4, a6} {
		to := netip.AddrPortFrom(ip, 80)
		l := a.conn(a.listen(to))
		done := make(chan error, 1)
		go func() {
			c, err := l.accept()
			if err == nil {
				_, err = io.Copy(c, c)
				c.Close(c.h)
			}
			done <- err
		}()
		c, err := a.dial(to)
		if err != nil {
			t.Fatalf("dial %v: %v", to, err)
		}
		data := random(9, 50_000)
		go func() {
			c.Write(data)
			c.Shutdown(c.h, unix.SHUT_WR)
		}()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v: %d bytes came back: %v", to, len(got), err)
		}
		if err := <-done; err != nil {
			t.Errorf("%v: %v", to, err)
		}
		c.Close(c.h)
		l.Close(l.h)
	}
}

// TestWriteWakesTheLoop sends while the loops sleep, which they do for up to a second.
func TestWriteWakesTheLoop(t *testing.T) {
	a, b := run(t, stack.IdleAdaptive, simnet.Config{})
	to := netip.AddrPortFrom(b4, 7)
	r := b.conn(b.open(unix.AF_INET, unix.SOCK_DGRAM, 0))
	b.ok(b.Bind(r.h, to))
	s := a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	var took []time.Duration
	for range 5 {
		time.Sleep(20 * time.Millisecond) // they sleep after 50 µs
		start := time.Now()
		_, err := a.SendTo(s, []byte("wake up"), to, 0)
		a.ok(err)
		if _, err := r.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	if slices.Sort(took); took[2] > 400*time.Millisecond {
		t.Errorf("datagrams took %v", took)
	}
}

// TestCallsFromTheLoop uses sockets from Serve, the application's part of a turn, with no other goroutine: nothing may
// wait for the loop.
func TestCallsFromTheLoop(t *testing.T) {
	a, b := run(t, stack.IdleAdaptive, simnet.Config{})
	to := netip.AddrPortFrom(b4, 80)
	l := b.listen(to)
	var served []stack.Handle
	serve := func() (did bool) {
		if s, _, err := b.Accept(l); err == nil {
			served, did = append(served, s), true
		}
		buf := make([]byte, 2048)
		for _, s := range served {
			if n, err := b.Recv(s, buf, 0); err == nil && n > 0 {
				b.Send(s, buf[:n], 0)
				did = true
			}
		}
		return did
	}
	b.serve.Store(&serve)
	c, err := a.dial(to)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		request := []byte(fmt.Sprintf("request %d", i))
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(request))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, request) {
			t.Fatalf("%q, %v, want %q", got, err, request)
		}
	}
	c.Close(c.h)
}

// TestDestroyWithOpenConnections must leave no goroutine: TestMain looks for them.
func TestDestroyWithOpenConnections(t *testing.T) {
	a, b := run(t, stack.IdlePoll, simnet.Config{})
	to := netip.AddrPortFrom(b4, 80)
	l := b.conn(b.listen(to))
	for range 10 {
		c, err := a.dial(to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.accept(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	a.open(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP)
}
