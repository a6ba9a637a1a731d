package steer_test

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/steer"
)

// every is each, with gVisor's TCP too.
func every(t *testing.T, lcores int, f func(w *world)) {
	each(t, lcores, f)
	for _, md := range modes {
		if raced && !md.hardware {
			continue // it takes long
		}
		md.gvisor = true
		t.Run(md.name+", gVisor's TCP", func(t *testing.T) { f(newWorld(t, md, lcores, simnet.Config{Latency: 50 * time.Microsecond})) })
	}
}

// TestListenerOnOneWorker: who listens gets all connections, also those that the card brings to others, and goes on with
// them when others listen too, and when it listens no more.
func TestListenerOnOneWorker(t *testing.T) {
	every(t, 3, func(w *world) {
		l := w.workers[1].listen(80)
		first := w.open(60, 80)
		if names := w.exchange("one listener", first); names["1"] != 60 {
			w.Errorf("answers %v", names)
		}
		others := []*conn{w.workers[0].listen(80), w.workers[2].listen(80)}
		if names := w.exchange("others listen too", first); names["1"] != 60 {
			w.Errorf("answers %v", names)
		}
		second := w.open(90, 80)
		if names := w.exchange("all listen", second); len(names) != 3 {
			w.Errorf("answers %v", names)
		}
		l.close()
		if names := w.exchange("the first listens no more", first); names["1"] != 60 {
			w.Errorf("answers %v", names)
		}
		third := w.open(90, 80)
		if names := w.exchange("two listen", third); names["1"] != 0 || names["0"]+names["2"] != 90 {
			w.Errorf("answers %v", names)
		}
		for _, l := range others {
			l.close()
		}
		for _, all := range [][]*conn{first, second, third} {
			w.exchange("nobody listens", all)
		}
		c := w.client.connect(netip.AddrPortFrom(server4, 80), 0)
		w.until(time.Second, "refusal", func() bool { return c.ended })
		if c.err != syscall.ECONNREFUSED {
			w.Errorf("a connection that nobody wants: %v", c.err)
		}
	})
}

// TestConnectFromANamedPort: the answers may come to another worker.
func TestConnectFromANamedPort(t *testing.T) {
	every(t, 3, func(w *world) {
		w.client.listen(8080)
		var out []*conn
		for i := range 60 {
			out = append(out, w.workers[i%3].connect(netip.AddrPortFrom([]netip.Addr{client4, client6}[i/3%2], 8080), uint16(2000+i)))
		}
		w.all("connect", out, func(c *conn) bool { return c.up })
		if names := w.exchange("request", out); names["client"] != 60 {
			w.Errorf("answers %v", names)
		}
		for _, c := range out {
			c.close()
		}
		w.sleep(2 * time.Minute) // over TIME-WAIT
		for s := range 3 {
			for p := range 65536 {
				if w.m.Port(s, steer.TCPForeign, uint16(p)) {
					w.Fatalf("worker %d still claims port %d", s, p)
				}
			}
		}
	})
}

// TestDeathAndReturn kills a worker. The others' connections do not notice, nor those that are opened until it is back,
// then or later.
func TestDeathAndReturn(t *testing.T) {
	every(t, 3, func(w *world) {
		for _, h := range w.living() {
			h.listen(80)
		}
		w.client.listen(8080)
		out := func(n int) (all []*conn) {
			for i := range n {
				h := w.living()[i%len(w.living())]
				all = append(all, h.connect(netip.AddrPortFrom([]netip.Addr{client4, client6}[i%2], 8080), 0))
			}
			w.all("connect out", all, func(c *conn) bool { return c.up })
			return all
		}
		of := func(conns []*conn, name string) (theirs, others []*conn) {
			for _, c := range conns {
				if c.got == name {
					theirs = append(theirs, c)
				} else {
					others = append(others, c)
				}
			}
			return theirs, others
		}
		for round, victim := range []int{1, 0, 1} {
			if w.poller && victim == 0 {
				continue // nobody else polls
			}
			if raced && (w.gvisor && round > 0 || round > 1) {
				break // it takes long
			}
			name := w.workers[victim].name
			before, outBefore := w.open(90, 80), out(30)
			w.exchange("before", before)
			w.exchange("out, before", outBefore)
			lost, kept := of(before, name)
			if len(lost) == 0 || len(kept) == 0 {
				w.Fatalf("worker %s has %d of 90", name, len(lost))
			}
			outBefore = slices.DeleteFunc(outBefore, func(c *conn) bool { return c.app.name == name })

			w.kill(victim)
			mind := func() {}
			if !w.poller {
				mind = w.mind(victim) // frames that the card still puts there
			}
			w.exchange("the others', dead and not noticed", kept)
			w.leave(victim, steer.Dead)
			w.exchange("the others', dead", kept)
			w.exchange("the others', out, dead", outBefore)
			for _, c := range lost {
				c.send("x")
			}
			w.all("reset of the dead one's", lost, func(c *conn) bool { return c.ended && c.err == syscall.ECONNRESET })

			meanwhile, outMeanwhile := w.open(90, 80), out(30)
			names := w.exchange("meanwhile", meanwhile)
			if names[name] != 0 || len(names) != 2 {
				w.Errorf("round %d: answers %v with %s dead", round, names, name)
			}
			w.exchange("out, meanwhile", outMeanwhile)

			mind()
			w.start(victim, true).listen(80)
			w.join(victim)
			w.exchange("the others', back", kept)
			w.exchange("meanwhile's, back", meanwhile)
			w.exchange("out, meanwhile's, back", outMeanwhile)
			if after := w.exchange("after", w.open(90, 80)); after[name] < 10 {
				w.Errorf("round %d: answers %v with %s back", round, after, name)
			}
			out(30)
			w.exchange("meanwhile's, at last", meanwhile)
			w.exchange("out, meanwhile's, at last", outMeanwhile)
		}
	})
}

// TestNewGeneration replaces all workers while connections live, one after the other: the old ones keep what they have,
// new connections are the new ones'.
func TestNewGeneration(t *testing.T) {
	every(t, 2, func(w *world) {
		w.client.listen(8080)
		for _, h := range w.living() {
			h.listen(80)
		}
		old := w.open(60, 80)
		before := w.exchange("before", old)
		outOld := []*conn{}
		for i := range 20 {
			outOld = append(outOld, w.workers[i%2].connect(netip.AddrPortFrom(client4, 8080), 0))
		}
		w.all("connect out", outOld, func(c *conn) bool { return c.up })

		var conns [][]*conn
		for i := range 2 {
			// The new worker joins, then it takes the queue over.
			h := w.start(2+i, false)
			h.listen(80)
			w.join(2 + i)
			if w.m.State(i) != steer.Draining {
				w.Fatalf("slot %d is %v", i, w.m.State(i))
			}
			conns = append(conns, w.open(30, 80)) // the old one still polls
			if !w.poller || i == 0 {
				w.nic.pairs[i].polls, w.nic.pairs[2+i].polls = false, true
			}
			conns = append(conns, w.open(30, 80))
			if now := w.exchange("old, while they drain", old); now["0"] != before["0"] || now["1"] != before["1"] {
				w.Errorf("answers %v, before %v", now, before)
			}
			w.exchange("out, while they drain", outOld)
			c := w.workers[i].connect(netip.AddrPortFrom(client4, 8080), 0) // a draining worker may still connect
			w.all("a draining worker's connect", []*conn{c}, func(c *conn) bool { return c.up })
			outOld = append(outOld, c)
		}
		for i, c := range conns {
			names := w.exchange("new", c)
			if names["0"] != 0 || i > 1 && names["1"] != 0 {
				w.Errorf("answers %v", names)
			}
		}
		for i := range 2 {
			w.workers[i].accepted = nil
			for _, c := range w.workers[i].conns {
				if !c.listens {
					continue
				}
				c.close()
			}
		}
		w.exchange("old, without listeners", old)
		w.quiet("a new generation")
		for i := range 2 {
			w.kill(i)
			w.leave(i, steer.Free)
		}
		for _, c := range conns[2:] {
			w.exchange("new, the old gone", c)
		}
		for _, c := range old {
			if !c.ended { // a delayed acknowledgment came too late
				c.send("x")
			}
		}
		w.all("reset of the old ones'", old, func(c *conn) bool { return c.ended && c.err == syscall.ECONNRESET })
	})
}

// TestStartingWorker: a worker that does not serve yet may connect and ask, and keeps what it has when it serves.
func TestStartingWorker(t *testing.T) {
	every(t, 2, func(w *world) {
		w.client.listen(8080)
		server := w.client.datagram(client4, 53, netip.AddrPort{})
		for _, h := range w.living() {
			h.listen(80)
		}
		w.open(40, 80)
		w.m.SetSlot(3, steer.Slot{State: steer.Starting})
		h := w.start(3, false) // of the new generation
		var out []*conn
		for i := range 30 {
			out = append(out, h.connect(netip.AddrPortFrom([]netip.Addr{client4, client6}[i%2], 8080), 0))
		}
		w.all("connect", out, func(c *conn) bool { return c.up })
		w.exchange("starting", out)
		buf := make([]byte, 100)
		for range 10 {
			c := h.datagram(server4, 0, netip.AddrPort{})
			_, err := h.packets.SendTo(c, []byte("?"), netip.AddrPortFrom(client4, 53), 0)
			w.ok(err)
			w.until(time.Second, "answer", func() bool {
				w.client.reflect(server)
				_, err := h.packets.Recv(c, buf, 0)
				return err == nil
			})
			w.ok(h.packets.Close(c))
		}
		if names := w.exchange("in, meanwhile", w.open(40, 80)); names["3"] != 0 {
			w.Errorf("answers %v: one is not ready", names)
		}
		h.listen(80)
		w.join(3)
		w.exchange("serving", out)
		if !w.poller {
			w.nic.pairs[1].polls, w.nic.pairs[3].polls = false, true
		}
		w.exchange("polling", out)
		if names := w.exchange("in, at last", w.open(60, 80)); names["3"] == 0 || names["1"] != 0 {
			w.Errorf("answers %v", names)
		}
		w.quiet("a start")
	})
}

// TestFullRing: what cannot be handed over is counted, and sent again by who misses it.
func TestFullRing(t *testing.T) {
	w := newWorld(t, modes[2], 2, simnet.Config{})
	for _, h := range w.living() {
		h.listen(80)
	}
	w.nic.pairs[1].full = true
	var conns []*conn
	for range 40 {
		conns = append(conns, w.client.connect(netip.AddrPortFrom(server4, 80), 0))
	}
	w.sleep(100 * time.Millisecond)
	lost := w.workers[0].steer.Counters().DropHand
	if lost < 5 || lost > 40 {
		t.Errorf("%d frames were lost of 40 SYNs", lost)
	}
	w.nic.pairs[1].full = false
	w.all("connect", conns, func(c *conn) bool { return c.up })
	if names := w.exchange("request", conns); names["1"] == 0 || names["1"] > int(lost) {
		t.Errorf("answers %v, %d frames were lost", names, lost)
	}
}

// TestCookies: a SYN that another worker has answered with a cookie is its in the end, too.
func TestCookies(t *testing.T) {
	for _, md := range modes {
		t.Run(md.name, func(t *testing.T) {
			w := newWorld(t, md, 3, simnet.Config{Latency: 50 * time.Microsecond})
			for _, h := range w.living() {
				w.ok(h.tcp.SetSysctl("net.inet.tcp.syncookies_only", "1"))
			}
			w.workers[2].listen(80)
			w.workers[2].listen(81)
			w.workers[1].listen(81)
			w.workers[0].listen(81)
			for _, port := range []uint16{80, 81} {
				names := w.exchange("by cookies", w.open(60, port))
				if port == 80 && names["2"] != 60 || port == 81 && len(names) != 3 {
					t.Errorf("port %d: answers %v", port, names)
				}
			}
			w.quiet("cookies")
		})
	}
}
