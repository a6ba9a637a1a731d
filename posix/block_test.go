package posix

import (
	"bytes"
	"encoding/binary"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon fails the test if f takes long.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// blockingPair is a connection between two sockets that block.
func blockingPair(t *testing.T, table *Table) (client, server int) {
	r := &transcript{calls: table, t: t}
	client, server = r.pair()
	r.must(table.SetNonblock(client, false))
	r.must(table.SetNonblock(server, false))
	return client, server
}

func TestCallsBlock(t *testing.T) {
	table, _ := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	l, sa := r.listener(unix.AF_INET)
	r.must(table.SetNonblock(l, false))
	accepted := make(chan int)
	go func() {
		fd, _, err := table.Accept(l)
		if err != nil {
			t.Error(err)
		}
		accepted <- fd
	}()
	time.Sleep(5 * time.Millisecond)
	c := r.socket(unix.AF_INET, unix.SOCK_STREAM)
	soon(t, "Connect", func() { r.must(table.Connect(c, sa)) })
	s := <-accepted

	big := bytes.Repeat([]byte("0123456789abcdef"), fakeBuffer/4)
	soon(t, "Write and Read", func() {
		go func() {
			time.Sleep(5 * time.Millisecond)
			if n, err := table.Write(c, big); n != len(big) || err != nil {
				t.Errorf("Write: %d, %v, want all %d", n, err, len(big))
			}
			table.Shutdown(c, unix.SHUT_WR)
		}()
		p := make([]byte, len(big))
		n, _, err := table.Recvfrom(s, p, unix.MSG_WAITALL)
		if n != len(big) || err != nil || !bytes.Equal(p, big) {
			t.Errorf("Recvfrom with MSG_WAITALL: %d, %v", n, err)
		}
		if n, err := table.Read(s, p); n != 0 || err != nil {
			t.Errorf("Read at the end: %d, %v", n, err)
		}
	})
	none := r.socket(unix.AF_INET, unix.SOCK_STREAM)
	soon(t, "Connect", func() {
		if err := table.Connect(none, &SockaddrInet4{Port: 1, Addr: inet4}); err != syscall.ECONNREFUSED {
			t.Errorf("Connect to nobody: %v", err)
		}
	})
}

func TestTimeouts(t *testing.T) {
	table, _ := newFakeTable(t)
	c, s := blockingPair(t, table)
	tv := unix.NsecToTimeval(int64(20 * time.Millisecond))
	for _, fd := range []int{c, s} {
		for _, o := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
			if err := table.SetsockoptTimeval(fd, unix.SOL_SOCKET, o, &tv); err != nil {
				t.Fatal(err)
			}
			if got, err := table.GetsockoptTimeval(fd, unix.SOL_SOCKET, o); err != nil || *got != tv {
				t.Errorf("timeout: %+v, %v", got, err)
			}
		}
	}
	takes := func(what string, atLeast time.Duration, f func()) {
		t.Helper()
		start := time.Now()
		soon(t, what, f)
		// The clock of a stack is that of its last turn: on a busy machine it is late, and time is up early.
		if d := time.Since(start); d < atLeast/2 {
			t.Errorf("%s took %v, want at least %v", what, d, atLeast)
		}
	}
	takes("Read", 20*time.Millisecond, func() {
		if n, err := table.Read(s, make([]byte, 1)); n != -1 || err != syscall.EAGAIN {
			t.Errorf("Read: %d, %v", n, err)
		}
	})
	takes("Write", 20*time.Millisecond, func() {
		if n, err := table.Write(c, make([]byte, fakeBuffer+1)); n != fakeBuffer || err != nil {
			t.Errorf("Write: %d, %v, want what fits", n, err)
		}
	})
	takes("Write", 20*time.Millisecond, func() {
		if n, err := table.Write(c, make([]byte, 1)); n != -1 || err != syscall.EAGAIN {
			t.Errorf("Write: %d, %v", n, err)
		}
	})
	ep, _ := table.EpollCreate1(0)
	takes("EpollWait", 30*time.Millisecond, func() {
		if n, err := table.EpollWait(ep, make([]EpollEvent, 1), 30); n != 0 || err != nil {
			t.Errorf("EpollWait: %d, %v", n, err)
		}
	})
	takes("Poll", 30*time.Millisecond, func() {
		if n, err := table.Poll([]PollFd{{Fd: int32(c), Events: unix.POLLIN}}, 30); n != 0 || err != nil {
			t.Errorf("Poll: %d, %v", n, err)
		}
	})
	if tv := (Timeval{Usec: 1e6}); table.SetsockoptTimeval(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv) != syscall.EDOM {
		t.Error("a million microseconds are no EDOM")
	}
	if len(table.waiters) != 0 {
		t.Errorf("%d files have waiters left", len(table.waiters))
	}
}

func TestCloseEndsBlockedCalls(t *testing.T) {
	table, _ := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	_, s := blockingPair(t, table)
	l, _ := r.listener(unix.AF_INET)
	r.must(table.SetNonblock(l, false))
	ep, _ := table.EpollCreate1(0)
	ev, _ := table.Eventfd(0, 0)
	var wg sync.WaitGroup
	for what, f := range map[string]func() error{
		"Read":      func() error { _, err := table.Read(s, make([]byte, 1)); return err },
		"Accept":    func() error { _, _, err := table.Accept(l); return err },
		"EpollWait": func() error { _, err := table.EpollWait(ep, make([]EpollEvent, 1), -1); return err },
		"eventfd":   func() error { _, err := table.Read(ev, make([]byte, 8)); return err },
	} {
		wg.Go(func() {
			if err := f(); err != syscall.EBADF {
				t.Errorf("%s: %v, want EBADF", what, err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	for _, fd := range []int{s, l, ep, ev} {
		r.must(table.Close(fd))
	}
	soon(t, "a blocked call", wg.Wait)
	if len(table.waiters) != 0 {
		t.Errorf("%d files have waiters left", len(table.waiters))
	}
}

func TestPollAndSelectWake(t *testing.T) {
	table, _ := newFakeTable(t)
	c, s := blockingPair(t, table)
	ev, _ := table.Eventfd(0, unix.EFD_NONBLOCK)
	later := func(fd int, p []byte) {
		time.Sleep(10 * time.Millisecond)
		table.Write(fd, p)
	}
	soon(t, "Poll", func() {
		go later(c, []byte("x"))
		p := []PollFd{{Fd: int32(ev), Events: unix.POLLIN}, {Fd: int32(s), Events: unix.POLLIN}}
		if n, err := table.Poll(p, -1); n != 1 || err != nil || p[1].Revents != unix.POLLIN {
			t.Errorf("Poll: %d, %v, %+v", n, err, p)
		}
	})
	soon(t, "Select", func() {
		go later(ev, binary.NativeEndian.AppendUint64(nil, 1))
		var r FdSet
		r.Set(ev)
		if n, err := table.Select(ev+1, &r, nil, nil, nil); n != 1 || err != nil || !r.IsSet(ev) {
			t.Errorf("Select: %d, %v", n, err)
		}
	})
}

// Each event of an edge-triggered registration goes to one of the goroutines that wait at the epoll, and none
// is lost.
func TestManyWaitAtOneEpoll(t *testing.T) {
	table, _ := newFakeTable(t)
	ep, _ := table.EpollCreate1(0)
	const goroutines, rounds = 8, 400
	var mu sync.Mutex
	sum := uint64(0)
	var wg sync.WaitGroup
	events := make([]int, goroutines)
	for i := range events {
		events[i], _ = table.Eventfd(0, unix.EFD_NONBLOCK)
		table.EpollCtl(ep, unix.EPOLL_CTL_ADD, events[i], &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(events[i])})
	}
	for range goroutines {
		wg.Go(func() {
			var got [3]EpollEvent
			var p [8]byte
			for {
				n, err := table.EpollWait(ep, got[:], -1)
				if err == syscall.EBADF {
					return
				}
				for _, e := range got[:n] {
					if _, err := table.Read(int(e.Fd), p[:]); err == nil {
						mu.Lock()
						sum += binary.NativeEndian.Uint64(p[:])
						mu.Unlock()
					}
				}
			}
		})
	}
	one := binary.NativeEndian.AppendUint64(nil, 1)
	for i := range rounds {
		table.Write(events[i%goroutines], one)
		if i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		done := sum
		mu.Unlock()
		if done == rounds {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d counted: an event was lost", done, rounds)
		}
	}
	table.Close(ep)
	soon(t, "EpollWait", wg.Wait)
}

// One notification wakes one epoll that waits exclusively, and every one that does not.
func TestExclusiveWakesOne(t *testing.T) {
	table, _ := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	l, sa := r.listener(unix.AF_INET)
	woken := make(chan bool, 8)
	for range 4 {
		ep, _ := table.EpollCreate1(0)
		r.must(table.EpollCtl(ep, unix.EPOLL_CTL_ADD, l, &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE}))
		go func() {
			n, _ := table.EpollWait(ep, make([]EpollEvent, 1), 300)
			woken <- n == 1
		}()
	}
	time.Sleep(30 * time.Millisecond)
	c := r.socket(unix.AF_INET, unix.SOCK_STREAM)
	r.must(table.Connect(c, sa))
	n := 0
	for range 4 {
		if <-woken {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d epolls woke for one connection, want 1", n)
	}
}
