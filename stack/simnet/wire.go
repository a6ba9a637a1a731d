package simnet

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// Config says what a wire does to frames. The zero value is a perfect wire of MTU 1500.
type Config struct {
	Latency time.Duration // one way
	Jitter  time.Duration // up to so much more; frames keep their order unless Reorder says otherwise
	Rate    float64       // bits per second each way, 0: no limit
	Buffer  int           // with Rate: frames that queue before the tail is dropped, 0: 1000
	Loss    float64       // share of frames lost, 0 … 1; the other shares likewise
	Dup     float64       // delivered twice
	Reorder float64       // overtaken by those of the next Latency/4 (at least 100 µs)
	Corrupt float64       // one random bit flipped
	Seed    uint64
	MTU     int                              // 0: 1500
	Offload stack.FrameFlags                 // Tx checksum offloads to pretend; such a frame arrives with a good verdict
	Drop    func(end int, frame []byte) bool // if set: also loses the frames sent by that end for which it returns true
}

// Wire is a full-duplex link between End(0) and End(1).
type Wire struct {
	cfg  Config
	now  func() int64
	mu   sync.Mutex
	rand *rand.Rand
	ends [2]*End
	dirs [2]direction // by the end that receives
	seq  uint64
	lost uint64
}

type direction struct {
	flight  flightHeap
	free    int64 // when the transmitter is done with the frames before
	arrived int64 // latest arrival so far, to keep the order
}

type flight struct {
	at    int64
	seq   uint64
	flags stack.FrameFlags
	frame []byte
}

// New returns a wire on the clock now (monotonic nanoseconds).
func New(cfg Config, now func() int64) *Wire {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = 1000
	}
	w := &Wire{cfg: cfg, now: now, rand: rand.New(rand.NewPCG(cfg.Seed, 0x5eed))}
	for i := range w.ends {
		w.ends[i] = newEnd(w, i)
	}
	return w
}

// End returns one end of the wire, 0 or 1. Its MAC address is 02:00:00:00:00:01 or …:02.
func (w *Wire) End(i int) *End { return w.ends[i] }

// Lost is how many frames the wire has dropped.
func (w *Wire) Lost() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// InFlight is how many frames are on their way.
func (w *Wire) InFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dirs[0].flight) + len(w.dirs[1].flight)
}

// Next is when the next frame arrives at either end, stack.Never if none is on its way.
func (w *Wire) Next() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := stack.Never
	for i := range w.dirs {
		if f := w.dirs[i].flight; len(f) > 0 {
			next = min(next, f[0].at)
		}
	}
	return next
}

// Inject puts a frame on the wire as if the peer of end had sent it, past all faults.
func (w *Wire) Inject(end int, frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(end, w.now(), 0, append([]byte(nil), frame...))
	w.ends[end].wake()
}

func (w *Wire) send(from int, frame []byte, flags stack.FrameFlags) {
	if w.cfg.Drop != nil && w.cfg.Drop(from, frame) || w.rand.Float64() < w.cfg.Loss {
		w.lost++
		return
	}
	to, now := 1-from, w.now()
	d := &w.dirs[to]
	at := now
	if w.cfg.Rate > 0 {
		each := int64(float64(len(frame)*8) / w.cfg.Rate * 1e9)
		if d.free-now > each*int64(w.cfg.Buffer) {
			w.lost++
			return
		}
		d.free = max(d.free, now) + each
		at = d.free
	}
	at += int64(w.cfg.Latency)
	if w.cfg.Jitter > 0 {
		at += w.rand.Int64N(int64(w.cfg.Jitter))
	}
	if w.cfg.Reorder > 0 && w.rand.Float64() < w.cfg.Reorder {
		at += max(int64(w.cfg.Latency)/4, int64(100*time.Microsecond))
	} else {
		at = max(at, d.arrived)
		d.arrived = at
	}
	b := append([]byte(nil), frame...)
	if w.cfg.Corrupt > 0 && w.rand.Float64() < w.cfg.Corrupt {
		b[w.rand.IntN(len(b))] ^= 1 << w.rand.IntN(8)
		flags = 0
	}
	w.put(to, at, flags, b)
	if w.cfg.Dup > 0 && w.rand.Float64() < w.cfg.Dup {
		w.put(to, at, flags, b)
	}
}

func (w *Wire) put(to int, at int64, flags stack.FrameFlags, frame []byte) {
	w.seq++
	heap.Push(&w.dirs[to].flight, flight{at, w.seq, flags, frame})
}

type flightHeap []flight

func (h flightHeap) Len() int      { return len(h) }
func (h flightHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *flightHeap) Push(x any)   { *h = append(*h, x.(flight)) }
func (h flightHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h *flightHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = flight{}
	*h = old[:len(old)-1]
	return f
}

var macs = [2]net.HardwareAddr{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}
