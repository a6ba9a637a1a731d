package tcp

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// session is one client and, once accepted, its server, on their way through a random life.
type session struct {
	c, s       stack.Handle
	cOpen      bool
	sOpen      bool
	toSend     [2]int // bytes left, client's and server's
	end        int    // how it ends
	started    int64
	halfClosed bool
}

// TestSoak lives through minutes of connects, transfers, half-closes, resets, vanished peers and memory that runs out,
// over a wire that loses; then nothing is left.
func TestSoak(t *testing.T) {
	minutes := 3 * time.Minute
	if testing.Short() {
		minutes = 20 * time.Second
	}
	p := &pair{t: t, sim: new(simnet.Sim)}
	p.sim.Sleep(time.Hour)
	p.wire = simnet.New(simnet.Config{Latency: 3 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.01, Reorder: 0.01, Dup: 0.01, Corrupt: 0.005, Seed: 11, Rate: 20e6}, p.sim.Now)
	for i := range p.host {
		p.host[i] = newHost(t, p.sim.Now, p.wire.End(i), byte(i+1), Config{Connections: 300, Memory: 1 << 20})
		p.sim.Stacks = append(p.sim.Stacks, p.host[i].st)
		must(t, p.host[i].SetSysctl("net.inet.tcp.msl", "2000"))
		must(t, p.host[i].SetSysctl("net.inet.tcp.finwait2_timeout", "3000"))
		must(t, p.host[i].SetSysctl("net.inet.tcp.maxorphans", "20"))
		must(t, p.host[i].SetSysctl("net.inet.tcp.pmtud_blackhole_detection", "1"))
		must(t, p.host[i].SetSysctl("net.inet.tcp.pacing", []string{"0", "1"}[i]))
	}
	p.sim.Wires = []*simnet.Wire{p.wire}
	a, b := p.host[0], p.host[1]
	to := ap(b.ip4, 80)
	l := b.listen(t, to)
	r := rand.New(rand.NewPCG(12, 13))
	var all []*session
	byClient := map[string]*session{}
	buf := make([]byte, 1<<16)
	made, reset, finished := 0, 0, 0

	step := func(s *session, h *host, mine stack.Handle, k int) (over bool) {
		for {
			n, err := h.Recv(mine, buf, 0)
			if err == syscall.EAGAIN {
				break
			}
			if err != nil {
				reset++
				return true
			}
			if n == 0 {
				return s.toSend[k] == 0
			}
		}
		for s.toSend[k] > 0 {
			n, err := h.Send(mine, buf[:min(s.toSend[k], len(buf))], 0)
			if err == syscall.EAGAIN {
				break
			}
			if err != nil {
				return true
			}
			s.toSend[k] -= n
		}
		return false
	}
	deadline := p.sim.Now() + int64(minutes)
	for p.sim.Now() < deadline {
		if len(all) < 120 {
			if c, err := a.Open(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
				if err := a.Connect(c, to); err == syscall.EINPROGRESS {
					s := &session{c: c, cOpen: true, end: r.IntN(6), started: p.sim.Now(), toSend: [2]int{r.IntN(60_000), r.IntN(60_000)}}
					local, _ := a.LocalAddr(c)
					byClient[local.String()] = s
					all = append(all, s)
					made++
				} else {
					must(t, a.Close(c))
				}
			}
		}
		p.sim.Sleep(time.Duration(1+r.IntN(20)) * time.Millisecond)
		for {
			h, from, err := b.Accept(l)
			if err != nil {
				break
			}
			if s := byClient[from.String()]; s != nil && !s.sOpen && s.cOpen {
				s.s, s.sOpen = h, true
			} else {
				must(t, b.Close(h))
			}
		}
		kept := all[:0]
		for _, s := range all {
			old := p.sim.Now()-s.started > int64(20*time.Second)
			if s.cOpen {
				over := step(s, a, s.c, 0)
				if s.end == 1 && s.toSend[0] == 0 && !s.halfClosed {
					s.halfClosed = true
					a.Shutdown(s.c, unix.SHUT_WR)
				}
				switch {
				case s.end == 2 && r.IntN(30) == 0: // a reset in the middle
					a.SetOption(s.c, unix.SOL_SOCKET, unix.SO_LINGER, append(le32(1), le32(0)...))
					over = true
				case s.end == 3 && s.toSend[0] == 0:
					over = true
				}
				if over || old {
					must(t, a.Close(s.c))
					s.cOpen = false
				}
			}
			if s.sOpen {
				over := s.end != 4 && step(s, b, s.s, 1) // 4: the server does not read until it gives up
				if over || old && r.IntN(20) == 0 {
					must(t, b.Close(s.s))
					s.sOpen = false
				}
			}
			if s.cOpen || s.sOpen {
				kept = append(kept, s)
			} else {
				finished++
			}
		}
		all = kept
		if made%50 == 0 {
			for i, h := range p.host {
				if err := h.invariants(); err != nil {
					t.Fatalf("host %d: %v", i, err)
				}
			}
		}
	}
	t.Logf("%d connections made, %d seen through, %d ended by errors; %+v", made, finished, reset, b.Usage())
	for _, s := range all {
		if s.cOpen {
			must(t, a.Close(s.c))
		}
		if s.sOpen {
			must(t, b.Close(s.s))
		}
	}
	must(t, b.Close(l))
	p.sim.Sleep(10 * time.Minute)
	a.empty(t, 0)
	b.empty(t, 0)
	if made < 100 || a.Counters().SendNoMemory+b.Counters().SendNoMemory == 0 {
		t.Errorf("%d connections, memory ran out %d times: not much of a soak", made, a.Counters().SendNoMemory+b.Counters().SendNoMemory)
	}
}
