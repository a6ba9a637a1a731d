package netstack

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// TestSilentPeer checks when a connection to a peer that fell silent ends: by keep-alive (RFC 9293 §3.8.4) while it is
// idle, by the user timeout (RFC 5482) while data waits.
func TestSilentPeer(t *testing.T) {
	for _, c := range []struct {
		name  string
		data  bool
		set   func(w *network, h stack.Handle)
		after time.Duration
	}{
		{"keep-alive", false, func(w *network, h stack.Handle) {
			for name, v := range map[int]int{unix.TCP_KEEPIDLE: 10, unix.TCP_KEEPINTVL: 2, unix.TCP_KEEPCNT: 3} {
				w.a.ok(w.a.SetOption(h, unix.IPPROTO_TCP, name, cint(v)))
			}
			w.a.ok(w.a.SetOption(h, unix.SOL_SOCKET, unix.SO_KEEPALIVE, cint(1)))
		}, 16 * time.Second},
		{"user timeout", true, func(w *network, h stack.Handle) {
			w.a.ok(w.a.SetOption(h, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, cint(5000)))
		}, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			silent := false
			w := newNetwork(t, simnet.Config{Latency: time.Millisecond, Drop: func(int, []byte) bool { return silent }})
			h, _ := w.connect(netip.AddrPortFrom(b4, 80))
			c.set(w, h)
			silent = true
			start := w.sim.Now()
			if c.data {
				_, err := w.a.Send(h, []byte("into the void"), 0)
				w.a.ok(err)
			}
			if e := w.sockError(h, time.Minute); e != syscall.ETIMEDOUT {
				t.Errorf("%v, want ETIMEDOUT", e)
			}
			if took := time.Duration(w.sim.Now() - start); took < c.after*8/10 || took > c.after*2 {
				t.Errorf("after %v, want about %v", took, c.after)
			}
		})
	}
}

// TestHeldBackData counts the segments that leave for small writes.
func TestHeldBackData(t *testing.T) {
	for _, c := range []struct {
		name  string
		opt   int
		flags int
		least int // segments for ten writes
		most  int
	}{
		{"Nagle", 0, 0, 2, 2}, // the first alone, the others when it is acknowledged
		{"TCP_NODELAY", unix.TCP_NODELAY, 0, 10, 10},
		{"TCP_CORK", unix.TCP_CORK, 0, 0, 0},
		{"MSG_MORE", 0, unix.MSG_MORE, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := 0
			w := newNetwork(t, simnet.Config{Latency: 10 * time.Millisecond, Drop: func(end int, f []byte) bool {
				if end == 0 && f[12] == 8 && f[23] == 6 && len(f) > 14+20+32 {
					sent++
				}
				return false
			}})
			h, _ := w.connect(netip.AddrPortFrom(b4, 80))
			if c.opt != 0 {
				w.a.ok(w.a.SetOption(h, unix.IPPROTO_TCP, c.opt, cint(1)))
			}
			w.sim.Sleep(time.Second)
			sent = 0
			for range 10 {
				_, err := w.a.Send(h, []byte("small"), c.flags)
				w.a.ok(err)
			}
			w.sim.Sleep(100 * time.Millisecond)
			if sent < c.least || sent > c.most {
				t.Errorf("%d segments, want %d … %d", sent, c.least, c.most)
			}
			if c.flags == unix.MSG_MORE {
				_, err := w.a.Send(h, []byte("last"), 0)
				w.a.ok(err)
				w.sim.Sleep(100 * time.Millisecond)
				if sent != 1 {
					t.Errorf("%d segments after a send without MSG_MORE, want 1", sent)
				}
			}
			if c.opt == unix.TCP_CORK {
				w.a.ok(w.a.SetOption(h, unix.IPPROTO_TCP, unix.TCP_CORK, cint(0)))
				w.sim.Sleep(100 * time.Millisecond)
				if sent != 1 {
					t.Errorf("%d segments after the cork was pulled, want 1", sent)
				}
			}
		})
	}
}

// TestHeldBackDataBeforeTheEnd must not lose what was held back when the stream ends.
func TestHeldBackDataBeforeTheEnd(t *testing.T) {
	for _, cork := range []bool{false, true} {
		for _, shut := range []bool{false, true} {
			w := newNetwork(t, simnet.Config{Latency: 10 * time.Millisecond})
			h, s := w.connect(netip.AddrPortFrom(b4, 80))
			flags := unix.MSG_MORE
			if cork {
				w.a.ok(w.a.SetOption(h, unix.IPPROTO_TCP, unix.TCP_CORK, cint(1)))
				flags = 0
			}
			_, err := w.a.Send(h, []byte("held"), flags)
			w.a.ok(err)
			if shut {
				w.a.ok(w.a.Shutdown(h, unix.SHUT_WR))
			} else {
				w.a.ok(w.a.Close(h))
			}
			buf, got, eof := make([]byte, 10), "", false
			w.until(10*time.Second, "the end", func() bool {
				n, err := w.b.Recv(s, buf, 0)
				got += string(buf[:n])
				eof = n == 0 && err == nil
				return eof
			})
			if got != "held" {
				t.Errorf("cork %v, shutdown %v: %q arrived", cork, shut, got)
			}
		}
	}
}
