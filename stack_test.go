package fstack

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// TestDefaultStackEnds has the sockets of the running stack closed when it ends.
func TestDefaultStackEnds(t *testing.T) {
	w := fakeWorld(t)
	setDefault(w.a)
	l, err := Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- second(l.Accept()) }()
	setDefault(nil)
	if err := receive(t, done); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept ended with %v", err)
	}
	if _, err := Listen("tcp", ":0"); !errors.Is(err, errNoStack) {
		t.Errorf("Listen after the end: %v", err)
	}
}

// TestNoListenersAtTheEnd: once a program is asked to end, its listeners close, also one that comes later.
func TestNoListenersAtTheEnd(t *testing.T) {
	w := fakeWorld(t)
	l, err := w.a.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- second(l.Accept()) }()
	busy := make(chan error, 1)
	go func() {
		for {
			l, err := w.a.Listen("tcp", ":0")
			if err == nil {
				_, err = l.Accept()
			}
			if err != nil {
				busy <- err
				return
			}
		}
	}()
	w.a.closeListeners()
	for _, c := range []chan error{done, busy} {
		if err := receive(t, c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
	}
	if _, err := w.a.Listen("tcp", ":0"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen after the end: %v", err)
	}
	if n := w.a.waiters.Watched(); n != 0 {
		t.Errorf("%d sockets are still open", n)
	}
	c, err := w.a.ListenPacket("udp", ":0") // what is in flight may still need others
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestStackClose has goroutines wait in every kind of call, and others make sockets, when the stack closes.
func TestStackClose(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 20*time.Second, "closing")()
		a, _ := w.pipe(t)
		l, err := w.a.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := w.a.ListenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		far := w.listen(t, "tcp", b4).Addr().String()
		var wg sync.WaitGroup
		for name, call := range map[string]func() error{
			"Read":     func() error { return second(a.Read(make([]byte, 1))) },
			"Write":    func() error { return second(a.Write(make([]byte, 64<<20))) },
			"ReadFrom": func() error { _, _, err := u.ReadFrom(make([]byte, 1)); return err },
			"Dial":     func() error { return second(w.a.Dial("tcp", silent+":80")) },
			"dials": func() error {
				for {
					if _, err := w.a.Dial("tcp", far); err != nil {
						return err
					}
				}
			},
			"listens": func() error {
				for {
					l, err := w.a.Listen("tcp", ":0")
					if err != nil {
						return err
					}
					l.Close()
				}
			},
			"accepts": func() error {
				for {
					if _, err := l.Accept(); err != nil {
						return err
					}
				}
			},
			"dials itself": func() error {
				for {
					if _, err := w.a.Dial("tcp", l.Addr().String()); err != nil {
						return err
					}
				}
			},
		} {
			wg.Go(func() {
				err := call()
				if op := (*net.OpError)(nil); !errors.As(err, &op) {
					t.Errorf("%s ended with %v", name, err)
				}
				// A dial of itself may meet the listener when it is closed already.
				if name != "dials itself" && !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s ended with %v", name, err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		w.a.Close()
		if n := w.a.waiters.Watched(); n != 0 {
			t.Errorf("%d sockets are still open", n)
		}
		wg.Wait()
		if n := w.a.waiters.Watched(); n != 0 {
			t.Errorf("%d sockets were made after the end", n)
		}
		for _, err := range []error{a.Close(), second(w.a.Listen("tcp", ":0")), second(w.a.Dial("udp", far)), second(w.a.Dial("tcp", far)), second(w.a.ListenPacket("udp", ":0"))} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a call after the end gave %v", err)
			}
		}
	})
}
