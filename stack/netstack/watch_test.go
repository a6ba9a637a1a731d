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

func TestWatchTellsOfEachChange(t *testing.T) {
	w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
	ra, rb := &recorder{}, &recorder{}
	ka, kb := w.a.st.AddSink(ra), w.b.st.AddSink(rb)
	to := netip.AddrPortFrom(b4, 80)
	l := w.b.listen(to)
	w.b.Watch(l, kb, 1)
	c := w.a.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	w.a.Watch(c, ka, 2)
	_ = w.a.Connect(c, to)
	settle := func() { w.sim.Sleep(100 * time.Millisecond) }
	settle()
	if got := ra.take(); got[2]&stack.EventOut == 0 {
		t.Errorf("connected: %v", got)
	}
	if got := rb.take(); got[1]&stack.EventIn == 0 {
		t.Errorf("to accept: %v", got)
	}

	// What happened before the watch is seen by whoever looks after it began.
	_, err := w.a.Send(c, []byte("early"), 0)
	w.a.ok(err)
	settle()
	s, _, err := w.b.Accept(l)
	w.b.ok(err)
	w.b.Watch(s, kb, 3)
	if ev := w.b.Events(s); ev&stack.EventIn == 0 {
		t.Errorf("events of an accepted socket with data: %#x", ev)
	}
	// New data is news even while old data is unread.
	rb.take()
	_, err = w.a.Send(c, []byte("more"), 0)
	w.a.ok(err)
	settle()
	if got := rb.take(); got[3]&stack.EventIn == 0 {
		t.Errorf("more data: %v", got)
	}
	// Another tag, then none.
	w.b.Watch(s, kb, 4)
	_, err = w.a.Send(c, []byte("again"), 0)
	w.a.ok(err)
	settle()
	if got := rb.take(); got[4]&stack.EventIn == 0 || got[3] != 0 {
		t.Errorf("with another tag: %v", got)
	}
	w.b.Watch(s, stack.SinkNone, 0)
	_, err = w.a.Send(c, []byte("unheard"), 0)
	w.a.ok(err)
	settle()
	if got := rb.take(); len(got) != 0 {
		t.Errorf("after the watch ended: %v", got)
	}
	w.b.Watch(s, kb, 5)
	w.a.ok(w.a.Shutdown(c, unix.SHUT_WR))
	settle()
	if got := rb.take(); got[5]&(stack.EventIn|stack.EventRdHup) != stack.EventIn|stack.EventRdHup {
		t.Errorf("the peer sends no more: %v", got)
	}
	w.b.ok(w.b.Close(s))
	w.a.Close(c)
	settle()
	if got := rb.take(); got[5] != 0 {
		t.Errorf("after the close: %v", got)
	}
	w.b.Watch(s, kb, 6) // a handle that is none: harmless
	if ev := w.b.Events(s); ev != 0 {
		t.Errorf("events of no socket: %#x", ev)
	}
}

func TestAcceptedSocketsInheritOptions(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	to := netip.AddrPortFrom(b4, 80)
	l := w.b.listen(to)
	linger := append(cint(1), cint(7)...)
	for _, o := range []struct {
		level, name int
		value       []byte
		want        []byte
	}{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, cint(1), cint(1)},
		{unix.SOL_SOCKET, unix.SO_LINGER, linger, linger},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, cint(30000), cint(60000)},
		{unix.SOL_SOCKET, unix.SO_SNDBUF, cint(40000), cint(80000)},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, cint(1), cint(1)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, cint(11), cint(11)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, cint(12), cint(12)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, cint(5), cint(5)},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, cint(9000), cint(9000)},
		{unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("reno"), []byte("reno")},
		{unix.IPPROTO_IP, unix.IP_TTL, cint(33), cint(33)},
		{unix.IPPROTO_IP, unix.IP_TOS, cint(0x10), cint(0x10)},
	} {
		_ = w.b.SetOption(l, o.level, o.name, cint(0)) // the last one that is taken counts
		if err := w.b.SetOption(l, o.level, o.name, o.value); err != nil {
			t.Fatalf("option %d/%d: %v", o.level, o.name, err)
		}
		c := w.a.open(unix.AF_INET, unix.SOCK_STREAM, 0)
		_ = w.a.Connect(c, to)
		var s stack.Handle
		w.until(time.Second, "accept", func() (ok bool) {
			var err error
			s, _, err = w.b.Accept(l)
			return err == nil
		})
		got := make([]byte, len(o.want))
		if _, err := w.b.Option(s, o.level, o.name, got); err != nil || string(got) != string(o.want) {
			t.Errorf("option %d/%d of the accepted socket: %x, %v, want %x", o.level, o.name, got, err, o.want)
		}
		w.b.Close(s)
		w.a.Close(c)
	}
}

func TestTCPInfo(t *testing.T) {
	w := newNetwork(t, simnet.Config{Latency: 10 * time.Millisecond})
	c, s := w.connect(netip.AddrPortFrom(b4, 80))
	f := &flow{from: w.a, to: w.b, out: c, in: s, data: random(1, 100000)}
	w.until(time.Minute, "transfer", func() bool { f.step(t, make([]byte, 65536)); return f.eof })
	w.sim.Sleep(time.Second)
	info := w.a.tcpInfoOf(c)
	if info.State != unix.BPF_TCP_FIN_WAIT2 || info.Rtt < 19000 || info.Rtt > 100000 || info.Rto < info.Rtt ||
		info.Snd_cwnd < 10 || info.Segs_out < 3 || info.Segs_in < 2 || info.Snd_mss != 1460 {
		t.Errorf("%+v", info)
	}
	if info := w.b.tcpInfoOf(s); info.State != unix.BPF_TCP_CLOSE_WAIT {
		t.Errorf("state %d of the receiver", info.State)
	}
	l := w.b.listen(netip.AddrPortFrom(b4, 81))
	if info := w.b.tcpInfoOf(l); info.State != unix.BPF_TCP_LISTEN {
		t.Errorf("state %d of a listener", info.State)
	}
}

func TestTCPDeferAccept(t *testing.T) {
	w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
	to := netip.AddrPortFrom(b4, 80)
	l := w.b.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	w.b.ok(w.b.SetOption(l, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, cint(5)))
	w.b.ok(w.b.Bind(l, to))
	w.b.ok(w.b.Listen(l, 5))
	c := w.a.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	_ = w.a.Connect(c, to)
	w.sim.Sleep(500 * time.Millisecond)
	if _, _, err := w.b.Accept(l); err != syscall.EAGAIN {
		t.Errorf("accept before data: %v, want EAGAIN", err)
	}
	_, err := w.a.Send(c, []byte("data"), 0)
	w.a.ok(err)
	w.until(3*time.Second, "accept with data", func() bool {
		s, _, err := w.b.Accept(l)
		return err == nil && w.b.Events(s)&stack.EventIn != 0
	})
}

// TestBacklogIsBounded opens more connections than a listener holds.
func TestBacklogIsBounded(t *testing.T) {
	w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
	to := netip.AddrPortFrom(b4, 80)
	l := w.b.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	w.b.ok(w.b.Bind(l, to))
	w.b.ok(w.b.Listen(l, 4))
	for range 20 {
		_ = w.a.Connect(w.a.open(unix.AF_INET, unix.SOCK_STREAM, 0), to)
	}
	w.sim.Sleep(100 * time.Millisecond)
	n := 0
	for {
		if _, _, err := w.b.Accept(l); err != nil {
			break
		}
		n++
	}
	if n < 4 || n > 6 {
		t.Errorf("%d connections waited on a backlog of 4", n)
	}
}
