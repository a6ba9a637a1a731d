package tcp

import (
	"bytes"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// toTimeWait ends a connection from the host's side. The socket stays open.
func (b *bench) toTimeWait(c *conn, h stack.Handle) {
	b.t.Helper()
	must(b.t, b.Shutdown(h, unix.SHUT_WR))
	b.turn()
	c.ack++
	c.tsVal++
	if r := b.next(); r.flags&wire.FIN == 0 {
		b.t.Fatalf("no FIN: %v", r)
	}
	b.send(c.pkt(wire.ACK|wire.FIN, ""))
	c.seq++
	if r := b.next(); r.flags != wire.ACK || r.seq != c.ack || r.ack != c.seq {
		b.t.Fatalf("the answer to the FIN: %v", r)
	}
	b.silent()
	b.sound()
}

func (b *bench) sound() {
	b.t.Helper()
	if err := b.invariants(); err != nil {
		b.t.Fatal(err)
	}
}

func TestTimeWaitTakesOneRecord(t *testing.T) {
	if timeWaitSize > 96 {
		t.Errorf("a record has %d bytes", timeWaitSize)
	}
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	for i := range uint16(10) {
		c, h := b.accept(l, 5000+i, synOptions)
		b.toTimeWait(c, h)
		must(t, b.Close(h))
	}
	if u := b.Usage(); u.TimeWaits != 10 || u.PCBs != 1 || u.Entries != 10 || u.Timers != 0 || u.Records != 0 {
		t.Errorf("%+v", u)
	}
	b.wait(time.Minute + time.Second)
	b.sound()
	must(t, b.Close(l))
	b.empty(t, 0)
}

// The socket is closed, as on Linux: what it has not read can be read, and it has no peer any more.
func TestSocketAfterTimeWaitBegan(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, synOptions)
	b.send(c.pkt(wire.ACK|wire.PSH, "unread"))
	c.seq += 6
	b.toTimeWait(c, h)

	if ev := b.Events(h); ev != stack.EventIn|stack.EventOut|stack.EventRdHup|stack.EventHup {
		t.Errorf("events %#x", ev)
	}
	if _, err := b.PeerAddr(h); err != syscall.ENOTCONN {
		t.Errorf("peer: %v, want ENOTCONN", err)
	}
	if a, err := b.LocalAddr(h); a != c.dst || err != nil {
		t.Errorf("local address %v, %v", a, err)
	}
	if err := b.Connect(h, ap(b.peer, 90)); err != syscall.EISCONN {
		t.Errorf("connect: %v, want EISCONN", err)
	}
	if _, err := b.Send(h, []byte("x"), 0); err != syscall.EPIPE {
		t.Errorf("send: %v, want EPIPE", err)
	}
	info := make([]byte, 256)
	if n, err := b.Option(h, unix.IPPROTO_TCP, unix.TCP_INFO, info); err != nil || n < 128 || state(info[0]) != stateClosed {
		t.Errorf("TCP_INFO: %d bytes, %v, state %v", n, err, state(info[0]))
	}
	buf := make([]byte, 10)
	if n, err := b.Recv(h, buf, 0); err != nil || string(buf[:n]) != "unread" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if n, err := b.Recv(h, buf, 0); n != 0 || err != nil {
		t.Errorf("the end: %d, %v", n, err)
	}
	// A close that would reset a connection ends none, even with something unread.
	must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	must(t, b.Close(h))
	b.turn()
	b.silent()
	if u := b.Usage(); u.TimeWaits != 1 || u.PCBs != 1 {
		t.Errorf("after the close: %+v", u)
	}
	b.send(c.pkt(wire.ACK, "late")) // beyond the FIN: old or forged
	if r := b.next(); r.flags != wire.ACK || r.ack != c.seq || r.opts.has&hasStamp == 0 || r.opts.tsEcr != c.tsVal {
		t.Errorf("answer %v, options %+v", r, r.opts)
	}
}

func TestTimeWaitsExhausted(t *testing.T) {
	b := newBench(t, Config{Connections: 16, Memory: 1 << 20})
	l := b.listen(t, ap(b.ip4, 80))
	for i := range uint16(20) {
		c, h := b.accept(l, 5000+i, nil)
		b.toTimeWait(c, h) // each FIN is acknowledged
		must(t, b.Close(h))
	}
	if u, n := b.Usage(), b.Counters(); u.TimeWaits != 16 || n.TimeWaitsExhausted != 4 || u.PCBs != 1 {
		t.Errorf("%d in TIME-WAIT, %d ended without, %d PCBs", u.TimeWaits, n.TimeWaitsExhausted, u.PCBs)
	}
	b.wait(time.Minute + time.Second)
	c, h := b.accept(l, 6000, nil)
	b.toTimeWait(c, h)
	if u := b.Usage(); u.TimeWaits != 1 {
		t.Errorf("%d in TIME-WAIT when the others are over", u.TimeWaits)
	}
}

// A FIN that comes again begins the time anew, RFC 9293 §3.10.7.4, and the list stays in order.
func TestTimeWaitBeginsAnew(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	var conns [3]*conn
	for i := range conns {
		c, h := b.accept(l, 5000+uint16(i), synOptions)
		b.toTimeWait(c, h)
		must(t, b.Close(h))
		conns[i] = c
	}
	b.wait(40 * time.Second)
	for _, c := range conns[:2] { // the first and the middle one
		again := c.pkt(wire.ACK|wire.FIN, "")
		again.seq--
		b.send(again)
		if r := b.next(); r.flags != wire.ACK || r.seq != c.ack || r.ack != c.seq {
			t.Errorf("answer to the FIN: %v", r)
		}
		b.sound()
	}
	b.wait(30 * time.Second)
	if u := b.Usage(); u.TimeWaits != 2 {
		t.Errorf("%d in TIME-WAIT after 70 s, want the two whose FIN came after 40", u.TimeWaits)
	}
	must(t, b.SetSysctl("net.inet.tcp.msl", "10000")) // for those that are there, too
	b.wait(time.Second)
	if u := b.Usage(); u.TimeWaits != 0 {
		t.Errorf("%d in TIME-WAIT, of 20 s now", u.TimeWaits)
	}
	b.sound()
}

func TestTimeWaitLastsTwoSegmentLifetimes(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	b.now += 999_999 // the end of a millisecond
	c, h := b.accept(l, 5000, nil)
	b.toTimeWait(c, h)
	b.wait(time.Minute)
	if b.Usage().TimeWaits != 1 {
		t.Error("over before its time")
	}
	b.wait(2 * time.Millisecond)
	if b.Usage().TimeWaits != 0 {
		t.Error("not over in time")
	}
}

// A listener that comes again finds the port held, but with SO_REUSEADDR, and takes the place of a connection in
// TIME-WAIT (RFC 6191).
func TestReopenedListenerAndTimeWait(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	reuse := []byte{1, 0, 0, 0}
	must(t, b.SetOption(l, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuse))
	c, h := b.accept(l, 5000, synOptions)
	b.toTimeWait(c, h)
	must(t, b.Close(h))
	must(t, b.Close(l))

	b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, seq: c.seq + 1e6, wnd: 60000, opts: synOptions})
	if r := b.next(); r.flags != wire.ACK || r.seq != c.ack || r.ack != c.seq { // nobody listens
		t.Errorf("answer to a SYN: %v", r)
	}
	again := b.open(t, unix.AF_INET)
	if err := b.Bind(again, c.dst); err != syscall.EADDRINUSE {
		t.Errorf("bind: %v, want EADDRINUSE", err)
	}
	must(t, b.SetOption(again, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuse))
	must(t, b.Bind(again, c.dst))
	must(t, b.Listen(again, 10))
	syn := packet{src: c.src, dst: c.dst, flags: wire.SYN, seq: c.seq - 500, wnd: 60000, opts: bytes.Clone(synOptions)}
	putStampValue(syn.opts, c.tsVal+1)
	b.send(syn)
	r := b.next()
	if r.flags != wire.SYN|wire.ACK || r.ack != syn.seq+1 || !after(r.seq, c.ack+65535) {
		t.Errorf("answer to a newer SYN: %v, the old connection's next number was %d", r, c.ack)
	}
	if u, n := b.Usage(), b.Counters(); u.TimeWaits != 0 || n.TimeWaitReused != 1 {
		t.Errorf("%d in TIME-WAIT, %d reused", u.TimeWaits, n.TimeWaitReused)
	}
	b.sound()
}

// putStampValue sets the value of the timestamp in synOptions.
func putStampValue(opts []byte, v uint32) {
	i := bytes.Index(opts, []byte{optStamp, 10})
	copy(opts[i+2:], []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// A new connection may begin in the place of one whose socket is still held, as on Linux.
func TestTimeWaitOfAnOpenSocketIsReused(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	b.toTimeWait(c, h)
	b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, seq: c.seq + 1e6, wnd: 60000})
	if r := b.next(); r.flags != wire.SYN|wire.ACK {
		t.Errorf("answer to a SYN: %v", r)
	}
	if n, err := b.Recv(h, make([]byte, 1), 0); n != 0 || err != nil {
		t.Errorf("the old socket: %d, %v", n, err)
	}
	must(t, b.Close(h))
	b.sound()
}

func TestTimeWaitIPv6KeepsItsClass(t *testing.T) {
	b := newBench(t, Config{})
	b.peer, b.ip4 = b.ip6.Next(), b.ip6 // accept takes ip4
	l := b.listen(t, ap(b.ip6, 80))
	c, h := b.accept(l, 5000, synOptions)
	must(t, b.SetOption(h, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, []byte{0x28, 0, 0, 0}))
	b.toTimeWait(c, h)
	old := c.pkt(wire.ACK|wire.PSH, "again")
	old.seq -= 6
	b.send(old)
	r := b.next()
	if r.flags != wire.ACK || r.tos != 0x28 || r.opts.blocks != 1 || r.opts.sack[0].Start != old.seq || r.opts.sack[0].End != old.seq+5 {
		t.Errorf("answer to old data: %v, class %#x, options %+v", r, r.tos, r.opts)
	}
	b.sound()
}

// Nothing is in flight: no ICMP error can be about it (RFC 5927 §4.1).
func TestTimeWaitHeedsNoICMP(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	b.toTimeWait(c, h)
	b.deliver(icmpTooBig(reply{src: c.dst, dst: c.src, seq: c.ack - 1}, 1000))
	if n := b.Counters(); n.RxICMPErrors != 1 || n.DropICMPOutsideWindow != 1 || n.PathMTUsReduced != 0 {
		t.Errorf("%d errors, %d dropped, %d believed", n.RxICMPErrors, n.DropICMPOutsideWindow, n.PathMTUsReduced)
	}
}

func TestTimeWaitIsTraced(t *testing.T) {
	b := newBench(t, Config{})
	var out bytes.Buffer
	b.SetTraceWriter(&out)
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, synOptions)
	other, oh := b.accept(l, 5001, synOptions)
	must(t, b.Trace(h, true))
	b.toTimeWait(c, h)
	b.toTimeWait(other, oh)
	b.send(c.pkt(wire.RST, ""))
	must(t, b.TraceFlow(c.dst, c.src, false))
	b.send(c.pkt(wire.RST, ""))
	must(t, b.TraceFlow(c.dst, c.src, true))
	b.wait(time.Minute + time.Second)
	var events []string
	for line := range strings.Lines(out.String()) {
		var e TraceEvent
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Remote != c.src.String() || e.RcvNxt > 10 || e.Nxt > 10 || e.Seq > 10 {
			t.Errorf("line %s", line)
		}
		events = append(events, e.Event+" "+e.State)
	}
	if want := "received FIN-WAIT-1, time-wait TIME-WAIT, received TIME-WAIT, end TIME-WAIT"; !strings.HasSuffix(strings.Join(events, ", "), want) {
		t.Errorf("trace %q, want %q at the end", events, want)
	}
}

// Connections tells of records after PCBs, in pieces of any size.
func TestConnectionsInTimeWaitAreListed(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	for i := range uint16(5) {
		c, h := b.accept(l, 5000+i, nil)
		b.toTimeWait(c, h)
		must(t, b.Close(h))
		if i == 2 { // leaves a hole
			b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, seq: c.seq + 1e6, wnd: 60000})
			b.next()
		}
	}
	for size := 1; size < 9; size++ {
		var all []Connection
		for at, list := uint32(0), make([]Connection, size); ; {
			n, next := b.Connections(at, list)
			all = append(all, list[:n]...)
			if at = next; at == 0 {
				break
			}
		}
		ports := 0
		for _, c := range all[2:] {
			if c.State != "TIME-WAIT" || c.Timer != "time-wait" || c.Due <= 0 || c.Due > int64(time.Minute)+1e6 || c.Local != ap(b.ip4, 80) || c.Handle != 0 {
				t.Fatalf("%+v", c)
			}
			ports += int(c.Remote.Port())
		}
		if len(all) != 6 || all[0].State != "LISTEN" || all[1].State != "SYN-RECEIVED" || ports != 5000+5001+5003+5004 {
			t.Fatalf("in pieces of %d: %+v", size, all)
		}
	}
}

// Without a frame the FIN's acknowledgment is lost, as a wire loses one; the FIN comes again.
func TestTimeWaitWithoutAFrame(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 5000, nil)
	must(t, b.Shutdown(h, unix.SHUT_WR))
	b.turn()
	b.next()
	c.ack++
	for b.dev.queue.Alloc() != nil {
	}
	fin := c.pkt(wire.ACK|wire.FIN, "")
	b.deliver(fin.frame())
	b.dev.queue.Sent(len(b.dev.queue.Taken()))
	b.turn()
	b.silent()
	if u, n := b.Usage(), b.Counters(); u.TimeWaits != 1 || n.DropReplyQueueFull != 1 {
		t.Errorf("%d in TIME-WAIT, %d answers dropped", u.TimeWaits, n.DropReplyQueueFull)
	}
	b.send(fin)
	if r := b.next(); r.flags != wire.ACK || r.ack != c.seq+1 {
		t.Errorf("answer to the FIN: %v", r)
	}
	b.sound()
}
