package main

import (
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// world is a client and a responder at the ends of a simulated wire.
type world struct {
	now  int64
	step time.Duration // of tick
	l    *client
	r    *responder
}

func newWorld(t testing.TB, cfg simnet.Config, body int, args ...string) *world {
	t.Helper()
	o, err := parse(append([]string{"-device", "simnet"}, args...), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{step: time.Microsecond}
	wire := simnet.New(cfg, w.clock)
	l, err := newClient(o, wire.End(0))
	if err != nil {
		t.Fatal(err)
	}
	l.look = 16
	w.l, w.r = l, newResponder(wire.End(1), body)
	return w
}

func (w *world) clock() int64 { return w.now }

// tick moves on by a step at each look, and turns the responder.
func (w *world) tick() int64 {
	w.now += int64(w.step)
	if w.r != nil {
		w.r.turn()
	}
	return w.now
}

func up() bool             { return true }
func notInterrupted() bool { return false }

func (w *world) run(t testing.TB) report {
	t.Helper()
	r, err := w.l.run(w.tick, up, notInterrupted)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeepAlive(t *testing.T) {
	for _, offload := range []stack.FrameFlags{0, stack.TxTCPCsum} {
		w := newWorld(t, simnet.Config{Latency: 10 * time.Microsecond, Offload: offload}, 650, "-conns", "10", "-time", "10ms", "-warmup", "1ms")
		r := w.run(t)
		// A round trip is 20 µs and two turns.
		if r.Requests < 10/24e-6 || r.Requests > 10/20e-6 {
			t.Errorf("%.0f requests/s over a round trip of 20 µs with 10 connections", r.Requests)
		}
		if r.Failures != 0 || r.Counters["Resent"] != 0 || r.Connects != 0 || r.Established != 10 {
			t.Errorf("%+v", r)
		}
		if p := r.Latency; p.P50 < 20 || p.P50 > 24 || p.P999 > 30 || p.Max < p.P999 {
			t.Errorf("latency %+v", p)
		}
		if r.IdleShare < .5 || r.IdleShare > 1 {
			t.Errorf("idle %.2f of the time", r.IdleShare)
		}
		if !w.l.gone() || w.l.established != 0 || w.l.opening != 0 {
			t.Errorf("not all closed at the end: %d established, %d opening", w.l.established, w.l.opening)
		}
	}
}

func TestConnectPerRequest(t *testing.T) {
	for _, closes := range []bool{false, true} {
		w := newWorld(t, simnet.Config{Latency: 10 * time.Microsecond}, 100, "-mode", "connect", "-conns", "20", "-time", "10ms", "-warmup", "1ms")
		w.r.closes = closes
		r := w.run(t)
		if r.Failures != 0 || r.Counters["Resent"] != 0 || r.Counters["Strays"] != 0 {
			t.Errorf("%+v", r)
		}
		// Three round trips for SYN, request and FIN.
		if d := r.Requests - r.Connects; r.Requests < 20/70e-6 || r.Requests > 20/60e-6 || d > 2000 || d < -2000 {
			t.Errorf("server closes %t: %.0f requests/s, %.0f connects/s", closes, r.Requests, r.Connects)
		}
		if p := r.Latency.P50; p < 40 || p > 46 {
			t.Errorf("latency %v µs is not of two round trips", p)
		}
	}
}

func TestIdleConnections(t *testing.T) {
	w := newWorld(t, simnet.Config{Latency: time.Microsecond}, 100, "-from", "192.168.1.10", "-conns", "3", "-idle-conns", "70000", "-time", "5ms", "-warmup", "1ms")
	r := w.run(t)
	if r.Established != 70003 || r.Failures != 0 {
		t.Errorf("%d established, %d failures", r.Established, r.Failures)
	}
	if s := w.l.lastSource().String(); s != "192.168.1.17" {
		t.Errorf("sources up to %v", s)
	}
}

// TestLoss loses, repeats and reorders frames: all requests are answered in the end.
func TestLoss(t *testing.T) {
	for _, mode := range []string{modeKeepAlive, modeConnect} {
		w := newWorld(t, simnet.Config{Latency: 100 * time.Microsecond, Loss: .02, Dup: .02, Reorder: .02, Corrupt: .02, Seed: 7}, 650,
			"-mode", mode, "-conns", "50", "-time", "1s", "-warmup", "0")
		w.step = 20 * time.Microsecond
		r := w.run(t)
		if r.Counters["Resent"] == 0 || r.Counters["Duplicates"] == 0 || r.Counters["DropBadChecksum"] == 0 {
			t.Errorf("%s: nothing went wrong: %v", mode, r.Counters)
		}
		if r.Requests < 500 {
			t.Errorf("%s: %.0f requests/s", mode, r.Requests)
		}
		if n := r.Failures - r.Counters["DropBadChecksum"]; n > 0 && mode == modeKeepAlive {
			t.Errorf("%s: %d failures: %v", mode, n, r.Counters)
		}
	}
}

func TestLongAnswers(t *testing.T) {
	w := newWorld(t, simnet.Config{Latency: 10 * time.Microsecond}, 30000, "-conns", "2", "-time", "10ms", "-warmup", "1ms")
	if r := w.run(t); r.Failures != 0 || r.Requests == 0 || r.Received < r.Requests*30000*8/1e9 {
		t.Errorf("%+v", r)
	}
}

// TestSplitHeads has heads of answers arrive in pieces of any size.
func TestSplitHeads(t *testing.T) {
	l := &client{partial: map[uint32][]byte{}, conns: make([]conn, 1), timers: make([]int64, 1), pending: make([]uint32, 1)}
	l.mode = modeKeepAlive
	text := "HTTP/1.1 200 OK\r\ncontent-length:  5\r\n\r\nhello"
	for size := 1; size <= len(text); size++ {
		c := &l.conns[0]
		c.phase, c.state = asked, open
		before := l.counters.Requests
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			if !l.take(0, c, []byte(rest[:min(size, len(rest))])) {
				t.Fatalf("pieces of %d: refused", size)
			}
		}
		if l.counters.Requests != before+1 || c.phase != asked {
			t.Errorf("pieces of %d: %d answers", size, l.counters.Requests-before)
		}
	}
}

func TestHeads(t *testing.T) {
	for _, c := range []struct {
		head string
		ok   bool
		body int64
		good bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", true, 12, true},
		{"HTTP/1.0 404 Not Found\r\nX: y\r\nCONTENT-LENGTH:0\r\n\r\n", true, 0, false},
		{"HTTP/1.1 204 No Content\r\n\r\n", true, 0, true},
		{"HTTP/1.1 200 OK\r\n\r\n", true, toFIN, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", false, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", false, 0, false},
		{"HTTP/1.1 100 Continue\r\n\r\n", false, 0, false},
		{"SSH-2.0-x\r\n\r\n", false, 0, false},
		{"\r\n\r\n", false, 0, false},
	} {
		var a answer
		if ok := a.read([]byte(c.head)); ok != c.ok || ok && (a.body != c.body || a.good != c.good) {
			t.Errorf("%q: %t %+v, want %+v", c.head, ok, a, c)
		} else if !ok && len(a.head) != 0 {
			t.Errorf("%q: is remembered though not understood", c.head)
		}
	}
}

// TestBadServers has servers that do wrong: the client says what.
func TestBadServers(t *testing.T) {
	for _, c := range []struct {
		name, says string
		change     func(*world)
	}{
		{"nobody", "does not answer ARP", func(w *world) { w.r = nil }},
		{"silent", "0 of 2 connections", func(w *world) { w.r.mute = func() bool { return true } }},
	} {
		w := newWorld(t, simnet.Config{}, 10, "-conns", "2", "-time", "5ms", "-timeout", "300ms")
		c.change(w)
		if _, err := w.l.run(w.tick, up, notInterrupted); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	w := newWorld(t, simnet.Config{}, 10, "-timeout", "10ms")
	if _, err := w.l.run(w.tick, func() bool { return false }, notInterrupted); err == nil || !strings.Contains(err.Error(), "nobody has connected") {
		t.Errorf("no link: %v", err)
	}
	w = newWorld(t, simnet.Config{}, 10, "-conns", "2", "-time", "50ms", "-timeout", "20ms", "-warmup", "1ms")
	w.r.answer = []byte("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
	if r := w.run(t); r.Counters["BadStatus"] == 0 || r.Failures != r.Counters["BadStatus"] {
		t.Errorf("status 500: %v", r.Counters)
	}
	for _, c := range []struct {
		answer string
		closes bool
		count  func(*counters) uint64
		says   string
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxxxxx", false, func(c *counters) uint64 { return c.BadAnswers }, "answers not understood"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxxxxx", true, func(c *counters) uint64 { return c.CutShort }, "cut short"},
	} {
		w := newWorld(t, simnet.Config{}, 10, "-conns", "2", "-time", "50ms", "-timeout", "20ms", "-warmup", "1ms")
		w.r.answer, w.r.closes = []byte(c.answer), c.closes
		if _, err := w.l.run(w.tick, up, notInterrupted); c.count(&w.l.counters) == 0 || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, %+v", c.answer, err, w.l.counters)
		}
	}
}

func TestSource(t *testing.T) {
	for _, offload := range []stack.FrameFlags{0, stack.TxTCPCsum} {
		w := newWorld(t, simnet.Config{Latency: 10 * time.Microsecond, Rate: 1e9, Offload: offload}, 0, "-mode", "source", "-conns", "1", "-window", "50000", "-time", "50ms", "-warmup", "10ms")
		w.r.answer = nil
		if r := w.run(t); r.Sent < .85 || r.Sent > 1 || r.Failures != 0 {
			t.Errorf("%.3f Gbit/s over a wire of 1: %v", r.Sent, r.Counters)
		}
	}
}

// TestNoAllocations: a turn neither allocates nor grows anything.
func TestNoAllocations(t *testing.T) {
	for _, mode := range []string{modeKeepAlive, modeConnect} {
		l, s := newEcho(t, "-mode", mode, "-conns", "64")
		for range 1000 {
			l.turn(s.clock)
		}
		before := l.counters.Requests
		if n := testing.AllocsPerRun(1000, func() { l.turn(s.clock) }); n != 0 {
			t.Errorf("%s: %v allocations per turn", mode, n)
		}
		if l.counters.Requests == before {
			t.Errorf("%s: nothing was done", mode)
		}
	}
}
