package netstack

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// waker is a sink that wakes the goroutines that wait for a socket, by tag.
type waker struct {
	mu sync.Mutex
	ch map[uint32]chan struct{}
}

func (w *waker) Notify(tag uint32, _ stack.Events) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.ch[tag] <- struct{}{}:
	default:
	}
}

// live is a host whose loop runs, for goroutines that block.
type live struct {
	*host
	sink  stack.SinkID
	waker *waker
	serve atomic.Pointer[func() bool]
}

// conn is a socket whose calls block.
type conn struct {
	*live
	h     stack.Handle
	ready chan struct{}
}

func (l *live) conn(h stack.Handle) *conn {
	c := &conn{l, h, make(chan struct{}, 1)}
	l.waker.mu.Lock()
	l.waker.ch[uint32(h)] = c.ready
	l.waker.mu.Unlock()
	l.Watch(h, l.sink, uint32(h))
	return c
}

// block repeats f until it does not return EAGAIN.
func (c *conn) block(f func() error) error {
	for timeout := time.After(20 * time.Second); ; {
		if err := f(); err != syscall.EAGAIN {
			return err
		}
		select {
		case <-c.ready:
		case <-timeout:
			return c.stalled()
		}
	}
}

// stalled tells what is known of a connection that makes no progress.
func (c *conn) stalled() error {
	var stats []string
	c.EachStat(func(name string, v uint64) {
		if v != 0 && (strings.HasPrefix(name, "TCP.") || strings.Contains(name, "rop")) {
			stats = append(stats, fmt.Sprintf("%s=%d", name, v))
		}
	})
	return fmt.Errorf("no news for 20 s: events %#x, %+v, %+v, loop %+v, %v", c.Events(c.h), c.tcpInfoOf(c.h), c.Counters(), c.st.Counters(), stats)
}

func (c *conn) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		err = c.block(func() (err error) { m, err = c.Send(c.h, b[n:], 0); return err })
		n += m
	}
	return n, err
}

func (c *conn) Read(b []byte) (n int, err error) {
	err = c.block(func() (err error) { n, err = c.Recv(c.h, b, 0); return err })
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *conn) accept() (a *conn, err error) {
	err = c.block(func() error {
		h, _, err := c.Accept(c.h)
		if err == nil {
			a = c.conn(h)
		}
		return err
	})
	return a, err
}

func (l *live) dial(to netip.AddrPort) (*conn, error) {
	h, err := l.Open(family(to.Addr()), unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	c := l.conn(h)
	if err := l.Connect(h, to); err != syscall.EINPROGRESS {
		return c, err
	}
	return c, c.block(func() error {
		if l.Events(h)&(stack.EventOut|stack.EventErr) == 0 {
			return syscall.EAGAIN
		}
		b := make([]byte, 4)
		l.Option(h, unix.SOL_SOCKET, unix.SO_ERROR, b)
		if e := syscall.Errno(native.Uint32(b)); e != 0 {
			return e
		}
		return nil
	})
}

// run starts two hosts on a wire with their loops, and stops them when the test ends.
func run(t *testing.T, idle stack.Idle, wire simnet.Config) (a, b *live) {
	t.Helper()
	epoch := time.Now()
	now := func() int64 { return int64(time.Since(epoch)) }
	w := simnet.New(wire, now)
	stop := make(chan struct{})
	var loops sync.WaitGroup
	start := func(i int, ip4, ip6 netip.Addr) *live {
		h := newHost(t, now, w.End(i), Config{TCP: true}, ip4, ip6)
		l := &live{host: h, waker: &waker{ch: map[uint32]chan struct{}{}}}
		l.sink = h.st.AddSink(l.waker)
		h.st.Serve = func() bool {
			f := l.serve.Load()
			return f != nil && (*f)()
		}
		loops.Go(func() {
			if err := h.st.Loop(idle, stop); err != nil {
				t.Error(err)
			}
			w.End(i).Close()
		})
		return l
	}
	a, b = start(0, a4, a6), start(1, b4, b6)
	t.Cleanup(func() {
		close(stop)
		a.st.Kick()
		b.st.Kick()
		loops.Wait()
	})
	return a, b
}
