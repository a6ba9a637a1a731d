package fstack

import (
	"io"
	"runtime"
	"testing"
	"time"
)

// TestConnectsLeaveNothing makes a thousand connections, one after the other.
func TestConnectsLeaveNothing(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 60*time.Second, "connects")()
		l := w.listen(t, "tcp", b4)
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				s, err := l.Accept()
				if err != nil {
					return
				}
				s.SetDeadline(time.Now().Add(time.Minute))
				io.Copy(s, s)
				s.Close()
			}
		}()
		connect := func() {
			c, err := w.a.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			if err := c.(*TCPConn).SetLinger(0); err != nil { // no TIME-WAIT: it would rightly be kept
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		for range 100 {
			connect()
		}
		goroutines, heap := runtime.NumGoroutine(), heapInUse()
		for range 1000 {
			connect()
		}
		if n := settle(goroutines, runtime.NumGoroutine); n > goroutines {
			t.Errorf("%d goroutines before, %d after", goroutines, n)
		}
		const slack = 1 << 20 // a connection that stays is more than 1 KiB
		if n := settle(heap+slack, heapInUse); n > heap+slack {
			t.Errorf("%d bytes of heap before, %d after", heap, n)
		}
		l.Close()
		<-served
		for _, s := range []*Stack{w.a, w.b} {
			if n := s.waiters.Watched(); n != 0 {
				t.Errorf("%d sockets are still watched", n)
			}
		}
	})
}

// settle asks for up to four seconds for a value that does not exceed a limit.
func settle(limit int, value func() int) (n int) {
	for range 200 {
		if n = value(); n <= limit {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return n
}

func heapInUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
