package posix

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// betweenWatch is sockets to which something happens just before the table watches one.
type betweenWatch struct {
	nothing
	happens *func()
}

func (b betweenWatch) Watch(h stack.Handle, sink stack.SinkID, tag uint32) stack.Events {
	(*b.happens)()
	return b.Events(h)
}

// What happens between the first registration of a descriptor and its watch is told to all registrations that were
// made meanwhile, though each has looked at the socket before.
func TestNothingIsLostBeforeTheFirstWatch(t *testing.T) {
	var ready stack.Events
	happens := func() {}
	table := New(stack.New(func() int64 { return 1 }), betweenWatch{nothing{events: &ready}, &happens})
	table.loop.Store(true)
	fd, err := table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var eps [3]int
	ctl := func(i int, events uint32) {
		t.Helper()
		if err := table.EpollCtl(eps[i], unix.EPOLL_CTL_ADD, fd, &EpollEvent{Events: events, Fd: int32(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range eps {
		eps[i], _ = table.EpollCreate1(0)
	}
	happens = func() {
		ctl(1, unix.EPOLLIN|unix.EPOLLET)
		ctl(2, unix.EPOLLOUT|unix.EPOLLET)
		ready = stack.EventIn // of which a sink would not be told
	}
	ctl(0, unix.EPOLLIN|unix.EPOLLET)
	events := make([]EpollEvent, 4)
	for i, want := range [...]int{1, 1, 0} {
		if n, err := table.EpollWait(eps[i], events, 0); n != want || err != nil || n > 0 && events[0].Events != unix.EPOLLIN {
			t.Errorf("epoll %d: %d, %v, %+v, want %d", i, n, err, events[0], want)
		}
	}
	table.checkLists(t)
}
