package diff

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
)

// ending is what an end does when it has sent all that it has.
type ending uint8

const (
	endShutdown ending = iota // SHUT_WR, read to the end, close
	endWait                   // read to the end, then close
	endClose                  // close at once, whatever may still come
	endReset                  // close with SO_LINGER of zero
)

// script is what an end does.
type script struct {
	writes     []write
	readSize   int           // bytes asked for by a read
	readSome   int           // after so many bytes it does not read for readPause; 0: never
	readPause  time.Duration //
	recvBuffer int           // SO_RCVBUF, 0: as it is
	sendBuffer int
	nodelay    bool
	end        ending
}

// write is one piece that is sent, after a pause.
type write struct {
	size  int
	pause time.Duration
}

func (s *script) total() (n int) {
	for _, w := range s.writes {
		n += w.size
	}
	return n
}

func (s *script) rude() bool { return s.end >= endClose }

// workload is what is done over one wire.
type workload struct {
	seed  uint64
	wire  simnet.Config
	six   bool // IPv6
	conns [][2]script
}

func makeWorkload(seed uint64) *workload {
	r := rand.New(rand.NewPCG(seed, 0xd1ff))
	w := &workload{seed: seed, six: r.IntN(3) == 0, wire: makeWire(r, seed)}
	for range 1 + r.IntN(4) {
		a, b := makeScript(r), makeScript(r)
		if a.end == endWait && b.end == endWait { // each would wait for the other
			a.end = endShutdown
		}
		w.conns = append(w.conns, [2]script{a, b})
	}
	return w
}

func makeWire(r *rand.Rand, seed uint64) simnet.Config {
	c := simnet.Config{Seed: seed, MTU: []int{1500, 1500, 1500, 1280, 9000}[r.IntN(5)]}
	c.Latency = time.Duration(r.IntN(5)*r.IntN(5)*4) * time.Millisecond
	some := func(most float64) float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return r.Float64() * most
	}
	c.Loss, c.Dup, c.Reorder, c.Corrupt = some(0.05), some(0.05), some(0.1), some(0.03)
	if r.IntN(3) == 0 {
		c.Jitter = time.Duration(r.IntN(20)) * time.Millisecond
	}
	if r.IntN(3) == 0 {
		c.Rate = 1e6 * float64(1+r.IntN(50))
		c.Buffer = max(10, int(queueMax.Seconds()*c.Rate)/(8*c.MTU)*(1+r.IntN(4))/4)
	}
	return c
}

// queueMax is how long a frame waits at most before a wire that has a rate.
const queueMax = 300 * time.Millisecond

func makeScript(r *rand.Rand) (s script) {
	for range r.IntN(8) {
		size := 1 + r.IntN([]int{10, 3000, 100_000, 400_000}[r.IntN(4)])
		w := write{size: size}
		if r.IntN(3) == 0 {
			w.pause = time.Duration(r.IntN(3000)) * time.Millisecond
		}
		s.writes = append(s.writes, w)
	}
	s.readSize = 1 + r.IntN([]int{10, 3000, 65536}[r.IntN(3)])
	if s.readSize < 100 { // many calls: fewer bytes
		s.readSize += 100
	}
	if r.IntN(4) == 0 {
		s.readSome, s.readPause = 1+r.IntN(100_000), time.Duration(r.IntN(20_000))*time.Millisecond
		s.readSome = max(s.readSome, 20_000)
	}
	if r.IntN(4) == 0 {
		s.recvBuffer = 2048 << r.IntN(6)
	}
	if r.IntN(4) == 0 {
		s.sendBuffer = 4096 << r.IntN(6)
	}
	s.nodelay = r.IntN(2) == 0
	s.end = []ending{endShutdown, endShutdown, endShutdown, endWait, endWait, endClose, endReset}[r.IntN(7)]
	return s
}

// fill writes the bytes of a stream that begin at offset; a stream is named by seed, connection and sender.
func fill(p []byte, stream uint64, offset int) {
	for i := range p {
		o := uint64(offset + i)
		x := (stream + o>>3) * 0x9e3779b97f4a7c15
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		p[i] = byte(x >> (8 * (o & 7)))
	}
}

func (w *workload) String() string {
	c := w.wire
	s := fmt.Sprintf("seed %d, IPv6 %v, MTU %d, latency %v, jitter %v, rate %.0f, loss %.3f, dup %.3f, reorder %.3f, corrupt %.3f",
		w.seed, w.six, c.MTU, c.Latency, c.Jitter, c.Rate, c.Loss, c.Dup, c.Reorder, c.Corrupt)
	for i, sides := range w.conns {
		for j, x := range sides {
			s += fmt.Sprintf("\n  connection %d host %d: sends %d in %d, reads %d, rcvbuf %d, sndbuf %d, read pause %v after %d, end %d",
				i, j, x.total(), len(x.writes), x.readSize, x.recvBuffer, x.sendBuffer, x.readPause, x.readSome, x.end)
		}
	}
	return s
}
