package posix

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever goroutines do to descriptors at the same time, the table's lists stay whole and nothing is lost.
func TestStress(t *testing.T) {
	table, f := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	l, sa := r.listener(unix.AF_INET)
	var eps [3]int
	for i := range eps {
		eps[i], _ = table.EpollCreate1(0)
	}
	deadline := time.Now().Add(300 * time.Millisecond)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			events, p := make([]EpollEvent, 5), make([]byte, 100)
			fd := func() int { return 3 + rnd.IntN(40) }
			pick := func() int { // not what the test goes on with
				for {
					if x := fd(); x != l && x != eps[0] {
						return x
					}
				}
			}
			modes := []uint32{0, unix.EPOLLET, unix.EPOLLONESHOT, unix.EPOLLET | unix.EPOLLONESHOT}
			for time.Now().Before(deadline) {
				switch rnd.IntN(16) {
				case 0, 1:
					if c, err := table.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err == nil {
						table.Connect(c, sa)
					}
				case 2, 3:
					table.Accept4AddrPort(l, unix.SOCK_NONBLOCK)
				case 4, 5:
					table.Close(pick())
				case 6:
					table.Dup(fd())
				case 7:
					table.Dup3(fd(), pick(), 0)
				case 8, 9:
					table.EpollCtl(eps[rnd.IntN(3)], unix.EPOLL_CTL_ADD, fd(), &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | modes[rnd.IntN(4)]})
				case 10:
					table.EpollCtl(eps[rnd.IntN(3)], 2+rnd.IntN(2), fd(), &EpollEvent{Events: unix.EPOLLIN | modes[rnd.IntN(4)]})
				case 11:
					table.EpollWait(eps[rnd.IntN(3)], events, rnd.IntN(2))
				case 12:
					table.SetNonblock(fd(), true)
					table.Read(fd(), p[:rnd.IntN(100)+1])
				case 13:
					table.SetNonblock(fd(), true)
					table.Sendto(fd(), p, unix.MSG_DONTWAIT, nil)
				case 14:
					table.Eventfd(uint(rnd.IntN(3)), unix.EFD_NONBLOCK)
				case 15:
					table.Poll([]PollFd{{Fd: int32(fd()), Events: unix.POLLIN}, {Fd: int32(fd())}}, rnd.IntN(2))
				}
			}
		})
	}
	// Blocking reads of descriptors that change under them may wait until the test closes all.
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		case <-time.After(500 * time.Millisecond):
			for fd := 3; fd < 300; fd++ {
				if fd != l && fd != eps[0] {
					table.Close(fd)
				}
			}
		}
	}
	table.checkLists(t)

	table.closeAll()
	if f.opened != f.closed+queued(f) {
		t.Errorf("%d sockets opened, %d closed", f.opened, f.closed)
	}
	if len(table.eventfds)+len(table.waiters)+len(table.timeouts) != 0 {
		t.Errorf("left: %d eventfds, %d waiters, %d timeouts", len(table.eventfds), len(table.waiters), len(table.timeouts))
	}
	for _, ep := range *table.epolls.Load() {
		if ep != nil {
			t.Error("an epoll is left")
		}
	}
	spare := 0
	for i := table.spare.free; i != 0; i = table.items[i].next {
		spare++
	}
	unused := 0
	for i := table.unused.free; i != 0; i = table.files[i].items {
		unused++
	}
	if spare != int(table.spare.top) || unused != int(table.unused.top) {
		t.Errorf("%d of %d items and %d of %d files came back", spare, table.spare.top, unused, table.unused.top)
	}
	if fd, err := table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); fd != firstFD || err != nil {
		t.Errorf("Socket: %d, %v, want the lowest number", fd, err)
	}
}

// queued is how many of a fake's sockets had no descriptor to close.
func queued(f *fake) (n int) {
	for _, s := range f.socks {
		if s != nil {
			n++
		}
	}
	return n
}

// checkLists follows every list to its end and back.
func (t *Table) checkLists(tb testing.TB) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h, ep := range *t.epolls.Load() {
		if ep == nil {
			continue
		}
		ready, before := 0, uint32(0)
		for i := ep.first; i != 0; i = t.items[i].after {
			it := &t.items[i]
			if !it.queued || it.before != before || int(it.epoll) != h {
				tb.Fatalf("item %d of epoll %d in the ready list: %+v", i, h, *it)
			}
			before = i
			ready++
		}
		if ep.last != before || ep.ready != ready || ep.some.Load() != (ready > 0) {
			tb.Errorf("epoll %d: last %d, want %d; %d ready, want %d", h, ep.last, before, ep.ready, ready)
		}
		prev := uint32(0)
		for i := ep.items; i != 0; i = t.items[i].next {
			it := &t.items[i]
			if it.prev != prev {
				tb.Fatalf("item %d of epoll %d: %+v", i, h, *it)
			}
			found := false
			for j := t.files[it.file].items; j != 0; j = t.items[j].sibling {
				found = found || j == i
			}
			if !found {
				tb.Errorf("item %d of epoll %d is not among its file's", i, h)
			}
			prev = i
		}
	}
	refs := map[uint32]uint32{}
	for fd := range 64 * len(t.used.levels[0]) {
		if f := t.file(fd); f != 0 {
			refs[f]++
		}
	}
	for f, n := range refs {
		if t.files[f].refs != n {
			tb.Errorf("file %d has %d descriptors, and counts %d", f, n, t.files[f].refs)
		}
	}
}
