package diff

import (
	"flag"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", workloads, "how many workloads each pair runs")
	first = flag.Int("first", 0, "seed of the first")
)

var kinds = [][2]string{{"tcp", "tcp"}, {"tcp", "gvisor"}, {"gvisor", "tcp"}, {"gvisor", "gvisor"}}

func TestPairs(t *testing.T) {
	for _, k := range kinds {
		t.Run(k[0]+"-"+k[1], func(t *testing.T) {
			for seed := *first; seed < *first+*seeds; seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { run(t, k, makeWorkload(uint64(seed))) })
			}
		})
	}
}

const (
	basePort = 40000 // of the connections' sides on host 0
	port     = 80
	timeMost = 90 * time.Minute // simulated, for a workload
)

// run plays a workload between two hosts on a simulated clock.
func run(t *testing.T, kinds [2]string, w *workload) (trace uint64) {
	p := newPair(t, kinds, w.wire, limits)
	p.play(w, timeMost, 40*time.Minute)
	return p.seen.trace
}

// play plays a workload and checks all that is said in the package's doc. It may last for limit, and what it leaves be in
// use for as long as after.
func (p *pair) play(w *workload, limit, after time.Duration) {
	t := p.t
	apps := [2]*app{newApp(p, p.hosts[0]), newApp(p, p.hosts[1])}
	p.apps = apps
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v", w)
		}
	})
	ends := p.makeEnds(w)
	p.seen.before = func(port uint16, host int) {
		if i := int(port) - basePort; i >= 0 && i < len(ends) {
			p.silence(w, ends[i][host])
		}
	}
	family := 0
	if w.six {
		family = 1
	}
	to := netip.AddrPortFrom(p.hosts[1].addrs[family], port)
	apps[1].listen(to, func(port uint16, fd int) *end { return ends[port-basePort][1] })
	for i := range ends {
		apps[0].connect(ends[i][0], netip.AddrPortFrom(p.hosts[0].addrs[family], basePort+uint16(i)), to)
	}
	over := p.run(limit, func() bool {
		all := true
		for i := range ends {
			for _, e := range ends[i] {
				p.silence(w, e)
				all = all && (e.closed || e.peer.closed && !e.established && e.app.index == 1)
			}
		}
		return all || t.Failed()
	})
	for i := range ends {
		for _, e := range ends[i] {
			if !t.Failed() {
				e.check(i, over)
			}
		}
	}
	if t.Failed() {
		return
	}
	apps[1].must(apps[1].table.Close(apps[1].listener))
	for _, h := range p.hosts {
		if !p.run(after, func() bool { _, left := h.leftovers(); return !left }) {
			u, _ := h.leftovers()
			t.Errorf("host %d has in use %v after all was closed: %+v", h.index, after, u)
		}
	}
}

func (p *pair) makeEnds(w *workload) (ends [][2]*end) {
	for i := range w.conns {
		pair := [2]*end{}
		for j := range pair {
			pair[j] = &end{
				app: p.apps[j], script: &w.conns[i][j], port: basePort + uint16(i), stream: w.seed<<16 + uint64(i)<<1 + uint64(j),
			}
			p.apps[j].all = append(p.apps[j].all, pair[j])
		}
		pair[0].peer, pair[1].peer = pair[1], pair[0]
		ends = append(ends, pair)
		p.seen.watch(pair[0].port, [2]uint64{pair[0].stream, pair[1].stream}, [2]bool{p.hosts[0].own != nil, p.hosts[1].own != nil})
	}
	return ends
}

// What happens between two of our TCPs is determined by the seed, to the segment and the microsecond.
func TestSameSeedSameSegments(t *testing.T) {
	for seed := range uint64(4) {
		if a, b := run(t, kinds[0], makeWorkload(seed)), run(t, kinds[0], makeWorkload(seed)); a != b {
			t.Errorf("seed %d: traces %x and %x", seed, a, b)
		}
	}
}

// check compares how it ended with how it had to.
func (e *end) check(i int, over bool) {
	t := e.app.pair.t
	t.Helper()
	say := func(what string) {
		t.Helper()
		t.Errorf("connection %d host %d (%s): %s: written %d of %d, got %d of %d, end %v, error %v", i, e.app.index, e.app.kind, what,
			e.written, e.script.total(), e.got, e.peer.script.total(), e.sawEnd, e.err)
	}
	switch {
	case !over:
		say("it does not end")
	case !e.script.rude() && !e.peer.script.rude():
		if e.err != nil || !e.sawEnd || e.got != e.peer.script.total() || e.written != e.script.total() {
			say("it should have gone well")
		}
	case e.err != nil && e.err != syscall.ECONNRESET && e.err != syscall.EPIPE && e.err != syscall.ETIMEDOUT:
		say("an unexpected error")
	case e.sawEnd && e.peer.script.end == endReset && e.peer.err == nil:
		say("a reset looks like an end")
	case e.sawEnd && e.got != e.peer.written:
		say("the end came before all that was sent")
	}
}

// silence fails the test if an end has something for its peer, which would take it, and has said nothing for longer
// than the rules allow. Retransmissions back off by doubling (RFC 6298 §5.5), and so do probes of a closed window
// (RFC 9293 §3.8.6.1), so that the next one comes at the latest as long after the last as that was after the last
// new acknowledgment. An acknowledgment that took so long is a round trip that the sender may have measured.
func (p *pair) silence(w *workload, e *end) {
	var since int64
	switch {
	case !e.established && e.app.index == 0 && !e.closed: // its SYN
		since = e.progress
	case e.peer.reading() && e.established && e.err == nil && !(e.script.rude() && e.closed) &&
		(e.written > e.peer.got || e.ended && !e.peer.sawEnd):
		since = max(e.lastWrite, e.peer.progress, e.peer.resumed)
	default:
		return
	}
	now := p.now()
	sent := p.seen.of(e.port, e.app.index).sent
	last := max(since, sent)
	rtt := 2*w.wire.Latency + 2*w.wire.Jitter + 200*time.Microsecond
	if w.wire.Rate > 0 {
		rtt += 2 * queueMax
	}
	allowed := p.slack + 5*time.Second + 4*rtt // a lost SYN makes a first RTT of a second, and that a timeout of more than 3 s
	progress := p.seen.of(e.port, e.peer.app.index).acked
	if !e.established || progress == 0 {
		progress = e.progress
	}
	allowed += time.Duration(float64(max(sent-progress, p.seen.of(e.port, e.app.index).slow)) * 1.25)
	if allowed = min(allowed, 130*time.Second); e.app.own == nil {
		allowed = 10 * time.Minute // gVisor's keeps a timeout that has backed off; it is not what is tested
	}
	if silent := time.Duration(now - last); silent > allowed {
		report := p.t.Errorf
		if e.app.own == nil {
			// Its FIN or tail can stay unsent for good when it was lost during SACK recovery: whoever has something to
			// send must go on asking, so that is not the doing of the other end.
			report = p.t.Skipf
		}
		report("host %d (%s) of connection %d is silent for %v at %v, allowed %v: written %d, ended %v, peer got %d, its last progress %v ago",
			e.app.index, e.app.kind, e.port-basePort, silent, time.Duration(now)-time.Hour, allowed, e.written, e.ended, e.peer.got,
			time.Duration(now-e.peer.progress))
	}
}
