package fstack

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// blocking are the calls that wait, each on a socket of its own on which nothing happens.
func blocking(t *testing.T, w world, f func(t *testing.T, call func() error, set func(time.Time) error)) {
	one := make([]byte, 1)
	a, b := w.pipe(t)
	t.Run("Read", func(t *testing.T) { f(t, func() error { return second(a.Read(one)) }, a.SetReadDeadline) })
	fill(t, b)
	// A megabyte, as room for a few bytes may come up: window probes take some over, and buffers grow.
	t.Run("Write", func(t *testing.T) {
		f(t, func() error { return second(b.Write(make([]byte, 1<<20))) }, b.SetWriteDeadline)
	})
	l := w.listen(t, "tcp", b4)
	t.Run("Accept", func(t *testing.T) { f(t, func() error { return second(l.Accept()) }, l.SetDeadline) })
	u, err := w.a.ListenPacket("udp", "10.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	t.Run("ReadFrom", func(t *testing.T) {
		f(t, func() error { _, _, err := u.ReadFrom(one); return err }, u.SetReadDeadline)
	})
}

// fill writes until nothing fits any more.
func fill(t *testing.T, c net.Conn) {
	t.Helper()
	for quiet := 0; quiet < 3; {
		c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := c.Write(make([]byte, 1<<20))
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if quiet++; n > 0 {
			quiet = 0
		}
	}
	c.SetWriteDeadline(time.Time{})
}

func checkTimeout(t *testing.T, err error) {
	t.Helper()
	var op *net.OpError
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || !errors.As(err, &ne) || !ne.Timeout() || op.Err != os.ErrDeadlineExceeded {
		t.Errorf("got %v (%T), want a *net.OpError with os.ErrDeadlineExceeded", err, err)
	}
}

func TestDeadlines(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		blocking(t, w, func(t *testing.T, call func() error, set func(time.Time) error) {
			ok := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			begin := func() <-chan error {
				done := make(chan error, 1)
				go func() { done <- call() }()
				return done
			}
			t.Run("past", func(t *testing.T) {
				for _, ago := range []time.Duration{0, time.Nanosecond, time.Hour} {
					ok(set(time.Now().Add(-ago)))
					checkTimeout(t, call())
					checkTimeout(t, call())
				}
				ok(set(time.Unix(1, 0)))
				checkTimeout(t, call())
			})
			t.Run("future", func(t *testing.T) {
				for _, after := range []time.Duration{time.Nanosecond, time.Millisecond, 30 * time.Millisecond} {
					start := time.Now()
					ok(set(start.Add(after)))
					checkTimeout(t, call())
					if took := time.Since(start); took < after || took > after+20*time.Second {
						t.Errorf("a deadline in %v ended the call after %v", after, took)
					}
				}
			})
			t.Run("set while blocked", func(t *testing.T) {
				ok(set(time.Time{}))
				done := begin()
				time.Sleep(10 * time.Millisecond)
				ok(set(time.Now().Add(10 * time.Millisecond)))
				checkTimeout(t, receive(t, done))
			})
			t.Run("past while blocked", func(t *testing.T) {
				ok(set(time.Time{}))
				done := begin()
				time.Sleep(10 * time.Millisecond)
				ok(set(time.Unix(1, 0)))
				checkTimeout(t, receive(t, done))
			})
			t.Run("moved off while blocked", func(t *testing.T) {
				after, start, done := beforeDeadline(t, set, begin, func(start time.Time, after time.Duration) time.Time { return start.Add(3 * after) })
				checkTimeout(t, receive(t, done))
				if took := time.Since(start); took < 3*after {
					t.Errorf("the deadline came after %v, it was moved to %v", took, 3*after)
				}
			})
			t.Run("drawn near while blocked", func(t *testing.T) {
				start := time.Now()
				ok(set(start.Add(time.Hour)))
				done := begin()
				time.Sleep(5 * time.Millisecond)
				ok(set(start.Add(30 * time.Millisecond)))
				checkTimeout(t, receive(t, done))
			})
			t.Run("zero while blocked", func(t *testing.T) {
				after, _, done := beforeDeadline(t, set, begin, func(time.Time, time.Duration) time.Time { return time.Time{} })
				select {
				case err := <-done:
					t.Errorf("the call ended with %v, its deadline was cleared", err)
				case <-time.After(3 * after):
				}
				ok(set(time.Unix(1, 0)))
				checkTimeout(t, receive(t, done))
			})
			t.Run("far", func(t *testing.T) {
				ok(set(time.Now().Add(1<<63 - 1)))
				done := begin()
				select {
				case err := <-done:
					t.Errorf("the call ended with %v, its deadline is in 292 years", err)
				case <-time.After(30 * time.Millisecond):
				}
				ok(set(time.Unix(1, 0)))
				checkTimeout(t, receive(t, done))
			})
		})
	})
}

// beforeDeadline begins a call with a deadline, and sets another while it waits. On a busy machine it may come too late,
// and tries again with more time.
func beforeDeadline(t *testing.T, set func(time.Time) error, begin func() <-chan error, next func(start time.Time, after time.Duration) time.Time) (after time.Duration, start time.Time, done <-chan error) {
	t.Helper()
	for after = 20 * time.Millisecond; ; after *= 4 {
		start = time.Now()
		if err := set(start.Add(after)); err != nil {
			t.Fatal(err)
		}
		done = begin()
		time.Sleep(5 * time.Millisecond)
		if err := set(next(start, after)); err != nil {
			t.Fatal(err)
		}
		if time.Since(start) < after {
			return after, start, done
		}
		if after > 5*time.Second {
			t.Skip("the machine is too busy to set a deadline in time")
		}
		set(time.Unix(1, 0))
		receive(t, done)
	}
}

// TestDeadlineThenData checks that a timeout takes no data, and that it fails calls that would not have to wait.
func TestDeadlineThenData(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, b := w.pipe(t)
		b.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		_, err := b.Read(make([]byte, 1))
		checkTimeout(t, err)
		if _, err := a.Write([]byte("data")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		_, err = b.Read(make([]byte, 10))
		checkTimeout(t, err)
		b.SetReadDeadline(time.Time{})
		p := make([]byte, 10)
		if n, err := b.Read(p); err != nil || string(p[:n]) != "data" {
			t.Errorf("after the deadline was cleared: %q, %v", p[:n], err)
		}
	})
}
