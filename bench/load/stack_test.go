package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// stackServer is an HTTP server over a whole TCP, gVisor's: the client must get on with one that it was not made for.
type stackServer struct {
	*netstack.Netstack
	st       *stack.Stack
	listener stack.Handle
	conns    []stack.Handle
	answer   []byte
	closes   bool // closes after an answer
	discard  bool
	flood    bool // sends all the time
	buf      [65536]byte
}

func newStackServer(t *testing.T, now func() int64, end stack.Device) *stackServer {
	t.Helper()
	st := stack.New(now)
	port := st.AddPort(end)
	n, err := netstack.New(st, netstack.Config{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Destroy)
	st.AddLayer(n)
	if err := n.AddPort(port, netstack.PortConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("192.168.1.2/24")}}); err != nil {
		t.Fatal(err)
	}
	s := &stackServer{Netstack: n, st: st}
	if s.listener, err = n.Open(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		t.Fatal(err)
	}
	if err := n.Bind(s.listener, netip.MustParseAddrPort("0.0.0.0:80")); err != nil {
		t.Fatal(err)
	}
	if err := n.Listen(s.listener, 1000); err != nil {
		t.Fatal(err)
	}
	st.Serve = s.serve
	return s
}

// serve looks at all sockets.
func (s *stackServer) serve() (busy bool) {
	for {
		h, _, err := s.Accept(s.listener)
		if err != nil {
			break
		}
		s.conns = append(s.conns, h)
		busy = true
	}
	kept := s.conns[:0]
	for _, h := range s.conns {
		if s.flood {
			if n, _ := s.Send(h, s.buf[:], 0); n > 0 {
				busy = true
			}
		}
		n, err := s.Recv(h, s.buf[:], 0)
		switch {
		case err == syscall.EAGAIN:
		case err != nil || n == 0:
			s.Close(h)
			busy = true
			continue
		default:
			busy = true
			if s.discard || !bytes.Contains(s.buf[:n], []byte("\r\n\r\n")) {
				break
			}
			s.Send(h, s.answer, 0)
			if s.closes {
				s.Close(h)
				continue
			}
		}
		kept = append(kept, h)
	}
	s.conns = kept
	return busy
}

func TestAgainstNetstack(t *testing.T) {
	for _, c := range []struct {
		mode   string
		closes bool
		body   int
		loss   float64
	}{
		{modeKeepAlive, false, 600, 0},
		{modeKeepAlive, false, 20000, 0},
		{modeKeepAlive, false, 600, .01},
		{modeConnect, false, 600, 0},
		{modeConnect, true, 600, 0},
		{modeConnect, true, 600, .01},
		{modeSource, false, 0, 0},
		{modeSource, false, 0, .005},
		{modeSink, false, 0, 0},
	} {
		t.Run(fmt.Sprintf("%s_closes=%t_body=%d_loss=%v", c.mode, c.closes, c.body, c.loss), func(t *testing.T) {
			span, rate, conns := "10ms", 0., "8"
			switch { // the buffer is not to drop anything
			case c.mode == modeSource || c.mode == modeSink:
				rate, conns = 1e9, "1"
			case c.loss > 0: // a loss costs 200 ms
				span = "1s"
			}
			w := newWorld(t, simnet.Config{Latency: 20 * time.Microsecond, Rate: rate, Buffer: 10000, Loss: c.loss, Seed: 3}, c.body,
				"-mode", c.mode, "-conns", conns, "-window", "100000", "-time", span, "-warmup", "5ms", "-timeout", "3s")
			s := newStackServer(t, w.clock, w.r.dev)
			s.answer, s.closes, s.discard = w.r.answer, c.closes, c.mode == modeSource
			s.flood = c.mode == modeSink
			w.r = nil
			clock := func() int64 {
				w.now += int64(10 * time.Microsecond)
				s.st.Poll(w.now)
				s.Settle()
				return w.now
			}
			r, err := w.l.run(clock, up, notInterrupted)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.0f requests/s, %.3f Gbit/s sent, %v", r.Requests, r.Sent, r.Counters)
			switch {
			case r.Failures > 0,
				c.mode == modeSource && r.Sent < .2,
				c.mode == modeSink && r.Received < .3,
				rate == 0 && r.Requests < 100:
				t.Errorf("%+v", r)
			}
			if c.loss > 0 && r.Counters["Resent"]+r.Counters["Gaps"] == 0 {
				t.Error("nothing was lost on a wire with loss")
			}
			if c.loss == 0 && (r.Counters["Resent"] > 0 || r.Counters["Gaps"] > 0 || r.Counters["Strays"] > 0) {
				t.Errorf("trouble on a wire without loss: %v", r.Counters)
			}
			if !w.l.gone() {
				t.Error("not all connections are closed")
			}
		})
	}
}
