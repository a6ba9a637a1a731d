package diff

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp"
)

var soakFor = flag.Duration("soak", soakDefault(), "how long TestSoak runs, of the real clock (default $SOAK, or 2s)")

func soakDefault() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("SOAK")); err == nil {
		return d
	}
	return 2 * time.Second
}

// TestSoak opens and ends connections of all kinds without pause, over a bad wire and with far too little memory, and
// then looks for what is left.
func TestSoak(t *testing.T) {
	for _, k := range kinds[:3] {
		t.Run(k[0]+"-"+k[1], func(t *testing.T) {
			newSoak(newPair(t, k, soakWire, soakLimits)).play(*soakFor / 3)
		})
	}
}

// TestSoakLinux is the same over TAP, with the kernel at one end, and so on the real clock.
func TestSoakLinux(t *testing.T) {
	for _, k := range [][2]string{{"tcp", "linux"}, {"linux", "tcp"}} {
		t.Run(k[0]+"-"+k[1], func(t *testing.T) {
			t.Parallel()
			inNamespace(t, func() {
				limits := soakLimits
				limits.Memory /= 8 // the kernel has enough for both
				s := newSoak(newLinuxPair(t, k, soakWire, limits))
				s.real = true
				s.play(*soakFor)
				s.closeLinux()
			})
		})
	}
}

var (
	soakWire = simnet.Config{
		Latency: 5 * time.Millisecond, Jitter: 2 * time.Millisecond, Rate: 200e6, Buffer: 300,
		Loss: 0.01, Dup: 0.01, Reorder: 0.03, Corrupt: 0.01, Seed: 1,
	}
	soakLimits = tcp.Config{Connections: 512, Memory: 1 << 20, Records: 1 << 10, Secret: [32]byte{1}}
)

// play lives through a time of the real clock.
func (s *soak) play(d time.Duration) {
	s.run(d)
	s.drain()
	s.t.Logf("%d connections in %v of its time: %d ended well, %d were reset, %d refused or given up",
		s.begun, time.Duration(s.now())-time.Hour, s.well, s.reset, s.refused)
	for _, h := range s.hosts {
		if h.own != nil {
			c := h.own.Counters()
			s.t.Logf("host %d: memory ran out %d times, %d segments dropped for want of it", h.index, c.SendNoMemory, c.DropNoMemory)
		}
	}
	if s.begun < 20 || s.well == 0 || s.reset == 0 {
		s.t.Errorf("not what a soak is: see the line above")
	}
}

// soak keeps so many connections going as its memory cannot carry.
type soak struct {
	*pair
	rand *rand.Rand
	to   netip.AddrPort
	live map[uint16]*[2]*end // by the client's port
	late []*[2]*end          // whose client has gone, and its port to another

	begun, well, reset, refused int

	real bool // the clock is
}

const soakLive = 80

func newSoak(p *pair) *soak {
	s := &soak{pair: p, rand: rand.New(rand.NewPCG(uint64(*first), 0x50a6)), live: map[uint16]*[2]*end{}}
	for i, h := range s.hosts {
		if h.own != nil && p.slack == 0 {
			if err := h.own.SetSysctl("net.inet.tcp.msl", "2000"); err != nil {
				p.t.Fatal(err)
			}
		}
		s.apps[i] = newApp(s.pair, h)
		s.apps[i].hasty, s.apps[i].tolerant = true, true
	}
	s.to = netip.AddrPortFrom(s.hosts[1].addrs[0], port)
	s.apps[1].listen(s.to, func(port uint16, fd int) *end {
		if l := s.live[port]; l != nil && l[1].fd == 0 {
			return l[1]
		}
		return nil // its client has given up
	})
	return s
}

// run replaces connections that ended by new ones, until the real clock says so.
func (s *soak) run(d time.Duration) {
	start := time.Now()
	for time.Since(start) < d && !s.t.Failed() {
		s.pair.run(time.Second, func() bool {
			s.reap()
			for len(s.live) < soakLive && s.open() {
			}
			return time.Since(start) >= d || s.t.Failed()
		})
	}
}

// open begins a connection, or returns false if there is no socket for one.
func (s *soak) open() bool {
	scripts := [2]script{s.script(), s.script()}
	if scripts[0].end == endWait && scripts[1].end == endWait {
		scripts[0].end = endShutdown
	}
	s.begun++
	pair := &[2]*end{}
	for j := range pair {
		pair[j] = &end{app: s.apps[j], script: &scripts[j], stream: uint64(s.begun)<<1 + uint64(j)}
	}
	pair[0].peer, pair[1].peer = pair[1], pair[0]
	a := s.apps[0]
	a.connect(pair[0], netip.AddrPort{}, s.to)
	if pair[0].closed {
		s.refused++
		return false
	}
	local, err := a.table.Getsockname(pair[0].fd)
	a.must(err)
	port := portOf(local)
	if old := s.live[port]; old != nil {
		// gVisor gives a port out again as soon as its connection is over, before it is closed.
		if !old[0].closed && s.hosts[0].own != nil {
			s.t.Fatalf("port %d was given out twice", port)
		}
		s.late = append(s.late, old)
	}
	pair[0].port, pair[1].port = port, port
	s.live[port] = pair
	s.seen.watch(port, [2]uint64{pair[0].stream, pair[1].stream}, [2]bool{s.hosts[0].own != nil, s.hosts[1].own != nil})
	for j := range pair {
		s.apps[j].all = append(s.apps[j].all, pair[j])
	}
	return true
}

// script is short for most, so that many connections come and go among the long ones.
func (s *soak) script() script {
	x := makeScript(s.rand)
	if s.real {
		x.hurry()
	}
	if s.rand.IntN(8) > 0 {
		x.readSome, x.recvBuffer = 0, 0
		for i := range x.writes {
			x.writes[i] = write{size: 1 + x.writes[i].size%6000}
		}
	}
	return x
}

// reap counts and forgets the connections whose both ends are over.
func (s *soak) reap() {
	for port, pair := range s.live {
		if s.over(pair) {
			delete(s.live, port)
		}
	}
	s.late = slices.DeleteFunc(s.late, s.over)
	for _, a := range s.apps {
		if len(a.all) > 4*soakLive {
			kept := a.all[:0]
			for _, e := range a.all {
				if !e.closed {
					kept = append(kept, e)
				}
			}
			clear(a.all[len(kept):])
			a.all = kept
		}
	}
}

// over counts a connection if both its ends are over.
func (s *soak) over(pair *[2]*end) bool {
	a, b := pair[0], pair[1]
	if !a.closed || !b.closed && b.fd != 0 {
		return false
	}
	switch {
	case a.err == nil && b.err == nil && a.sawEnd && b.sawEnd:
		s.well++
		if a.got != b.written || b.got != a.written {
			s.t.Errorf("connection from port %d ended well with %d of %d and %d of %d bytes", a.port, a.got, b.written, b.got, a.written)
		}
	case !a.established || b.fd == 0:
		s.refused++
	default:
		s.reset++
	}
	return true
}

// drain lets all come to its end and looks for leaks.
func (s *soak) drain() {
	most, after := timeMost, 40*time.Minute
	if s.real {
		// An orphan whose round trip was never measured gives up after eight retransmissions: one second, two, four …
		most, after = 2*time.Minute, 6*time.Minute
	}
	if !s.pair.run(most, func() bool { s.reap(); return len(s.live)+len(s.late) == 0 || s.t.Failed() }) {
		s.t.Errorf("%d connections do not end", len(s.live)+len(s.late))
	}
	a := s.apps[1]
	a.must(a.table.Close(a.listener))
	for _, h := range s.hosts {
		if !s.pair.run(after, func() bool { _, left := h.leftovers(); return !left }) {
			u, _ := h.leftovers()
			s.t.Errorf("host %d has in use %v after all was closed: %+v", h.index, after, u)
			var left [8]tcp.Connection
			n, _ := h.own.Connections(0, left[:])
			s.t.Logf("%+v", left[:n])
		}
	}
}
