package tcp

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// TestLoopsAndGoroutines has two loops that sleep when idle, and goroutines that use sockets at the same time: no
// wake-up is lost, and the race detector sees nothing.
func TestLoopsAndGoroutines(t *testing.T) {
	base := time.Now()
	clock := func() int64 { return int64(time.Since(base)) + int64(time.Hour) }
	w := simnet.New(simnet.Config{}, clock)
	var hosts [2]*host
	stop := make(chan struct{})
	var loops sync.WaitGroup
	for i := range hosts {
		hosts[i] = newHost(t, clock, w.End(i), byte(i+1), Config{Connections: 1000, Memory: 16 << 20})
		loops.Add(1)
		go func() {
			defer loops.Done()
			if err := hosts[i].st.Loop(stack.IdleAdaptive, stop); err != nil {
				t.Error(err)
			}
		}()
	}
	a, b := hosts[0], hosts[1]
	to := ap(b.ip4, 80)
	l := b.listen(t, to)
	deadline := time.Now().Add(20 * time.Second)
	try := func(what string, f func() error) bool {
		for time.Now().Before(deadline) {
			err := f()
			if err == nil {
				return true
			}
			if err != syscall.EAGAIN && err != syscall.EALREADY && err != syscall.EINPROGRESS {
				t.Errorf("%s: %v", what, err)
				return false
			}
			time.Sleep(100 * time.Microsecond)
		}
		t.Errorf("%s: not in time", what)
		return false
	}
	move := func(h *host, s stack.Handle, p []byte, f func(stack.Handle, []byte, int) (int, error)) error {
		for len(p) > 0 {
			n, err := f(s, p, 0)
			if err != nil && err != syscall.EAGAIN {
				return err
			}
			if n == 0 {
				time.Sleep(50 * time.Microsecond)
			}
			if p = p[n:]; time.Now().After(deadline) {
				return syscall.ETIMEDOUT
			}
		}
		return nil
	}
	const clients = 6
	var work sync.WaitGroup
	for range clients { // servers echo
		work.Add(1)
		go func() {
			defer work.Done()
			var s stack.Handle
			if !try("accept", func() (err error) { s, _, err = b.Accept(l); return err }) {
				return
			}
			buf := make([]byte, 50_000)
			for range 10 {
				if err := move(b, s, buf, b.Recv); err != nil {
					t.Errorf("server receives: %v", err)
				}
				if err := move(b, s, buf, b.Send); err != nil {
					t.Errorf("server sends: %v", err)
				}
			}
			must(t, b.Close(s))
		}()
	}
	for i := range clients {
		work.Add(1)
		go func() {
			defer work.Done()
			c := a.open(t, unix.AF_INET)
			a.Connect(c, to)
			if !try(fmt.Sprint("connect ", i), func() error { return a.Connect(c, to) }) {
				return
			}
			want, got := randomBytes(50_000, uint64(i)), make([]byte, 50_000)
			for range 10 {
				if err := move(a, c, want, a.Send); err != nil {
					t.Errorf("client sends: %v", err)
					return
				}
				if err := move(a, c, got, a.Recv); err != nil || !bytes.Equal(got, want) {
					t.Errorf("client receives: %v, the same %v", err, bytes.Equal(got, want))
					return
				}
			}
			must(t, a.Close(c))
		}()
	}
	work.Wait()
	must(t, b.Close(l))
	close(stop)
	a.st.Kick()
	b.st.Kick()
	loops.Wait()
}

func TestConnectionsListsAll(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: time.Millisecond})
	to := ap(p.host[1].ip6, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	must2(t)(p.host[1].Send(s, make([]byte, 10), 0))
	p.sim.Sleep(100 * time.Millisecond)
	must2(t)(p.host[0].Recv(c, make([]byte, 10), 0))
	fresh := p.host[1].open(t, unix.AF_INET)
	states := map[string]Connection{}
	for at, list := uint32(0), make([]Connection, 1); ; {
		n, next := p.host[1].Connections(at, list)
		for _, c := range list[:n] {
			states[c.State] = c
		}
		if at = next; at == 0 {
			break
		}
	}
	e := states["ESTABLISHED"]
	if len(states) != 3 || states["LISTEN"].Handle != l || states["LISTEN"].Local != to || states["LISTEN"].Unacked != 128 || e.Handle != s ||
		e.Local != to || !e.Remote.IsValid() || e.Unacked != 0 || states["CLOSED"].Handle != fresh {
		t.Errorf("%+v", states)
	}
	must(t, p.host[0].Close(c))
	p.sim.Sleep(10 * time.Millisecond)
	must(t, p.host[1].Close(s))
	p.sim.Sleep(10 * time.Millisecond)
	list := make([]Connection, 5)
	if n, next := p.host[0].Connections(0, list); n != 1 || next != 0 || list[0].State != "TIME-WAIT" || list[0].Timer != "time-wait" || list[0].Handle != 0 || list[0].Due > int64(time.Minute) {
		t.Errorf("%+v", list[:n])
	}
}
