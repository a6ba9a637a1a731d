package steer_test

import (
	"math"
	"net/netip"
	"testing"

	"github.com/fstack-go/fstack/stack/simnet"
)

// TestConnectionsAreServedByOne opens connections in and out. Each is one worker's, each worker has its share, and with
// a card that hashes as we do nothing is handed over.
func TestConnectionsAreServedByOne(t *testing.T) {
	for _, md := range append(modes, mode{name: "RSS, gVisor's TCP", hardware: true, gvisor: true}, mode{name: "TAP, gVisor's TCP", tap: true, gvisor: true}) {
		t.Run(md.name, func(t *testing.T) {
			const workers = 3
			total := 10000
			if md.gvisor {
				total = 300
				if raced {
					total = 120
				}
			} else if raced {
				total = 1000
			}
			w := newWorld(t, md, workers, simnet.Config{})
			for _, h := range w.living() {
				h.listen(80)
			}
			w.client.listen(8080)
			in := map[string]int{}
			for n := 0; n < total; n += 500 {
				for name, k := range w.exchange("request", w.open(min(500, total-n), 80)) {
					in[name] += k
				}
			}
			accepted := 0
			for _, h := range w.living() {
				accepted += len(h.accepted)
				if in[h.name] != len(h.accepted) || h.served != len(h.accepted) {
					t.Errorf("worker %s answered %d requests, of %d connections, and the client had %d answers", h.name, h.served, len(h.accepted), in[h.name])
				}
				if share, sigma := float64(in[h.name])/float64(total), math.Sqrt(1./workers*(1-1./workers)/float64(total)); math.Abs(share-1./workers) > 4.5*sigma {
					t.Errorf("worker %s has %.3f of all connections", h.name, share)
				}
			}
			if accepted != total {
				t.Errorf("%d connections were accepted, want %d", accepted, total)
			}
			w.quiet("in")
			crossed := w.nic.crossed

			for n := 0; n < total; n += 300 {
				var out []*conn
				for i := range 300 {
					to := client4
					if i%2 == 1 {
						to = client6
					}
					out = append(out, w.workers[i%workers].connect(netip.AddrPortFrom(to, 8080), 0))
				}
				w.all("connect out", out, func(c *conn) bool { return c.up })
				if names := w.exchange("request out", out); len(names) != 1 || names["client"] != len(out) {
					t.Fatalf("answers %v", names)
				}
			}
			w.quiet("out")
			if md.hardware && w.nic.crossed != 0 {
				t.Errorf("%d frames were handed over", w.nic.crossed)
			}
			if !md.hardware && crossed < total/2 {
				t.Errorf("only %d frames were handed over: the test tests nothing", crossed)
			}
			if !md.poller && w.nic.crossed != crossed {
				t.Errorf("%d frames of outgoing connections were handed over", w.nic.crossed-crossed)
			}
		})
	}
}

// quiet checks that nobody was reset, and nothing lost between the workers.
func (w *world) quiet(what string) {
	w.Helper()
	for _, h := range append(w.living(), w.client) {
		if h.tcp != nil {
			if c := h.tcp.Counters(); c.TxResets+c.RxResets+c.DropNoListener+c.DropNoConnection+c.DropBadChecksum != 0 {
				w.Errorf("%s, %s: %d resets sent, %d received, %d segments to nobody, %d of no connection, %d damaged", what, h.name,
					c.TxResets, c.RxResets, c.DropNoListener, c.DropNoConnection, c.DropBadChecksum)
			}
		}
		if h.steer != nil {
			if c := h.steer.Counters(); c.DropHand+c.DropNobody+c.DropTooLong != 0 {
				w.Errorf("%s, %s: %+v", what, h.name, c)
			}
		}
	}
}
