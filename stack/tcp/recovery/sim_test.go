package recovery

import (
	"container/heap"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// A simulation on a clock turned by hand: senders that use an Engine as the core would, receivers that answer as RFC
// 5681, 2018 and 2883 say, and a path between them. Times are µs.

// faults is what a path does to packets.
type faults struct {
	delay   int64   // one way
	rate    float64 // bytes per second of the data direction, 0: no limit
	buffer  int     // with rate: bytes that may wait
	loss    float64 // of data
	ackLoss float64
	reorder float64 // share of packets held back by up to hold
	hold    int64
	dup     float64
	every   int // lose each so many-th data packet, 0: none
	drop    func(f *flow, seq uint32, n int) bool
}

type event struct {
	at, order int64
	do        func()
}

type sim struct {
	t      testing.TB
	now    int64
	order  int64
	events []event
	rand   *rand.Rand
	path   faults
	free   int64 // when the bottleneck has sent all that waits
	count  int
	lost   int // data packets dropped by the bottleneck's buffer
	queued int // most bytes that waited
	flows  []*flow
	check  bool // verify every step
}

func (s *sim) Len() int { return len(s.events) }
func (s *sim) Less(i, j int) bool {
	a, b := s.events[i], s.events[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}
func (s *sim) Swap(i, j int) { s.events[i], s.events[j] = s.events[j], s.events[i] }
func (s *sim) Push(x any)    { s.events = append(s.events, x.(event)) }
func (s *sim) Pop() any {
	e := s.events[len(s.events)-1]
	s.events = s.events[:len(s.events)-1]
	return e
}

func (s *sim) at(t int64, do func()) {
	s.order++
	heap.Push(s, event{max(t, s.now), s.order, do})
}

func newSim(t testing.TB, seed uint64, p faults) *sim {
	return &sim{t: t, now: 1e6, rand: rand.New(rand.NewPCG(seed, 1)), path: p}
}

// run turns until the time is over or done says so.
func (s *sim) run(limit int64, done func() bool) bool {
	end := s.now + limit
	for len(s.events) > 0 && s.events[0].at <= end {
		e := heap.Pop(s).(event)
		s.now = e.at
		e.do()
		if done != nil && done() {
			return true
		}
	}
	s.now = end
	return done == nil
}

// flow is one connection with its receiver.
type flow struct {
	sim    *sim
	e      *Engine
	s      State
	iss    uint32
	total  uint32 // bytes to send
	window uint32 // of the receiver
	sack   bool
	stamp  bool
	tso    uint32 // segments per call of OnSend
	timer  int64  // when the timer event is set, 0: not

	// Receiver.
	rcv     uint32
	ooo     []Block // sorted
	recent  []Block // most recent first
	echo    uint32
	acked   uint32 // Last.ACK.sent
	owed    int
	delay   int64 // of a delayed ACK, 0: each segment is acknowledged
	ackAt   int64
	arrived uint64 // bytes, duplicates too
	renege  bool   // drops all that is out of order, once

	// For the checks and figures.
	sacked   []byte // by offset: what ACKs that were processed have SACKed
	sent     uint64
	progress int64
	acks     int
	trace    func(*flow)
}

type flowConfig struct {
	mss    uint16
	total  uint32
	cc     cc.ID
	sack   bool
	stamp  bool
	tso    uint32
	delay  int64
	window uint32
	iss    uint32
	config Config
}

func (s *sim) flow(c flowConfig) *flow {
	s.t.Helper()
	if c.config.Records == 0 {
		c.config.Records = 1 << 16
	}
	c.config.Flights = 4
	f := &flow{
		sim: s, e: newEngine(s.t, c.config), iss: c.iss, total: c.total, window: c.window, sack: c.sack, stamp: c.stamp,
		tso: max(c.tso, 1), rcv: c.iss + 1, acked: c.iss + 1, delay: c.delay, progress: s.now,
	}
	if f.window == 0 {
		f.window = 1 << 28
	}
	if s.check {
		f.sacked = make([]byte, c.total)
	}
	// The handshake: a SYN and its ACK one round trip later.
	f.e.Init(&f.s, c.iss)
	if !f.e.OnSend(&f.s, c.iss, 1, s.now, SendSYN) {
		s.t.Fatal("no record for the SYN")
	}
	s.at(s.now+2*s.path.delay+1, func() {
		var r Result
		f.e.OnAck(&f.s, &Ack{Ack: c.iss + 1}, s.now, &r)
		f.e.Established(&f.s, Options{MSS: c.mss, SACK: c.sack, CC: c.cc})
		f.pump()
	})
	s.flows = append(s.flows, f)
	return f
}

func (f *flow) done() bool { return f.s.Una == f.iss+1+f.total }

func (f *flow) unsent() uint32 {
	end := min(f.total-(f.s.Nxt-f.iss-1), f.s.Una+f.window-f.s.Nxt)
	return end
}

// pump is the core's send loop.
func (f *flow) pump() {
	mss := uint32(f.s.CC.MSS)
	for {
		seq, n, ok := f.e.NextRetransmit(&f.s, mss*f.tso)
		if !ok {
			break
		}
		f.emit(seq, n, 0)
	}
	for unsent := f.unsent(); unsent > 0; unsent = f.unsent() {
		n := min(unsent, f.e.Allowance(&f.s, f.sim.now), mss*f.tso)
		if n < unsent && n < mss { // no silly windows
			break
		}
		if n > mss {
			n = n / mss * mss
		}
		var flags SendFlags
		if f.s.Nxt+n == f.iss+1+f.total {
			flags = SendLast
		}
		if !f.emit(f.s.Nxt, n, flags) {
			break
		}
	}
	f.arm()
	f.verify()
}

func (f *flow) emit(seq, n uint32, flags SendFlags) bool {
	if !f.e.OnSend(&f.s, seq, n, f.sim.now, flags) {
		return false
	}
	mss := uint32(f.s.CC.MSS)
	for off := uint32(0); off < n; off += mss {
		f.sim.data(f, seq+off, int(min(mss, n-off)))
	}
	return true
}

func (f *flow) arm() {
	at, kind := f.e.Deadline(&f.s, f.sim.now)
	if f.s.Una != f.s.Nxt && (kind == TimerNone || at > f.sim.now+200e6) {
		f.sim.t.Fatalf("%d bytes outstanding and the timer is %v at %d", f.s.Nxt-f.s.Una, kind, at-f.sim.now)
	}
	if kind == TimerNone || f.timer != 0 && f.timer <= at && f.timer > f.sim.now {
		return
	}
	at = max(at, f.sim.now)
	f.timer = at
	f.sim.at(at, func() {
		if f.timer != at {
			return
		}
		f.timer = 0
		a := f.e.OnTimer(&f.s, f.sim.now, f.unsent())
		if a.Fired == TimerProbe {
			f.emit(a.Seq, a.Len, SendProbe)
		}
		f.pump()
	})
}

// data puts a packet on the path.
func (s *sim) data(f *flow, seq uint32, n int) {
	f.sent++
	s.count++
	stamp := uint32(s.now / 1000)
	p := &s.path
	if p.drop != nil && p.drop(f, seq, n) || p.every != 0 && s.count%p.every == 0 || s.rand.Float64() < p.loss {
		return
	}
	at := s.now
	if p.rate > 0 {
		wait := max(s.free-s.now, 0)
		if bytes := int(float64(wait) * p.rate / 1e6); bytes > p.buffer {
			s.lost++
			return
		} else if bytes > s.queued {
			s.queued = bytes
		}
		s.free = max(s.free, s.now) + int64(float64(n+40)/p.rate*1e6)
		at = s.free
	}
	at += p.delay
	if s.rand.Float64() < p.reorder {
		at += s.rand.Int64N(max(p.hold, 1))
	}
	s.at(at, func() { f.receive(seq, uint32(n), stamp) })
	if s.rand.Float64() < p.dup {
		s.at(at+s.rand.Int64N(p.delay+1), func() { f.receive(seq, uint32(n), stamp) })
	}
}

// receive is the receiver.
func (f *flow) receive(seq, n, stamp uint32) {
	f.arrived += uint64(n)
	b := Block{seq, seq + n}
	if seqLEQ(b.Start, f.acked) && int32(stamp-f.echo) >= 0 {
		f.echo = stamp // RFC 7323 §4.3
	}
	var dup *Block
	inOrder := b.Start == f.rcv
	switch {
	case seqLEQ(b.End, f.rcv):
		dup = &Block{b.Start, b.End}
	case seqLEQ(b.Start, f.rcv):
		f.rcv = b.End
		for len(f.ooo) > 0 && seqLEQ(f.ooo[0].Start, f.rcv) {
			if seqLT(f.rcv, f.ooo[0].End) {
				f.rcv = f.ooo[0].End
			}
			f.ooo = f.ooo[1:]
			inOrder = false // fills a hole: at once
		}
	default:
		for _, o := range f.ooo {
			if seqLEQ(o.Start, b.Start) && seqLEQ(b.End, o.End) {
				dup = &Block{b.Start, b.End}
			}
		}
		b = f.insert(b)
	}
	f.owed++
	if f.delay != 0 && inOrder && len(f.ooo) == 0 && f.owed < 2 {
		at := f.sim.now + f.delay
		f.ackAt = at
		f.sim.at(at, func() {
			if f.ackAt == at && f.owed > 0 {
				f.ack(Block{}, nil)
			}
		})
		return
	}
	if inOrder || dup != nil && seqLEQ(dup.End, f.rcv) {
		b = Block{}
	}
	f.ack(b, dup)
}

// insert puts a block among those out of order and returns the one it is part of.
func (f *flow) insert(b Block) Block {
	var rest []Block
	for _, o := range f.ooo {
		if seqLEQ(o.Start, b.End) && seqLEQ(b.Start, o.End) {
			if seqLT(o.Start, b.Start) {
				b.Start = o.Start
			}
			if seqLT(b.End, o.End) {
				b.End = o.End
			}
		} else {
			rest = append(rest, o)
		}
	}
	f.ooo = append(rest, b)
	sort.Slice(f.ooo, func(i, j int) bool { return seqLT(f.ooo[i].Start, f.ooo[j].Start) })
	return b
}

// ack sends an ACK; b is the block that the segment belongs to (RFC 2018 §4: it comes first).
func (f *flow) ack(b Block, dup *Block) {
	f.owed, f.ackAt = 0, 0
	f.acked = f.rcv
	if f.renege && len(f.ooo) > 3 {
		f.ooo, f.recent, f.renege = nil, nil, false
	}
	a := Ack{Ack: f.rcv, Flags: AckPure}
	if f.stamp {
		a.Flags |= AckEcho
		a.Echo = f.echo
	}
	if f.sack {
		add := func(b Block) {
			if int(a.Blocks) < 3 {
				a.SACK[a.Blocks] = b
				a.Blocks++
			}
		}
		if dup != nil {
			add(*dup)
		}
		order := append([]Block{b}, f.recent[:min(len(f.recent), 6)]...)
		f.recent = f.recent[:0:0]
		for _, want := range order { // those still out of order, grown as they may have
			for _, o := range f.ooo {
				if want.Start != want.End && seqLEQ(o.Start, want.Start) && seqLEQ(want.End, o.End) {
					known := false
					for _, k := range f.recent {
						known = known || k == o
					}
					if !known {
						f.recent = append(f.recent, o)
					}
				}
			}
		}
		for _, o := range f.recent {
			add(o)
		}
	}
	s := f.sim
	if s.rand.Float64() < s.path.ackLoss {
		return
	}
	s.at(s.now+s.path.delay, func() { f.input(&a) })
}

// input is the sender's side of an ACK.
func (f *flow) input(a *Ack) {
	if int32(a.Ack-f.s.Una) < 0 { // the core drops old ACKs, but takes their SACK blocks from none
		return
	}
	var r Result
	una := f.s.Una
	a.Unsent = f.unsent()
	f.e.OnAck(&f.s, a, f.sim.now, &r)
	f.acks++
	if r.Acked != a.Ack-una {
		f.sim.t.Fatalf("ACK of %d bytes gives Acked %d", a.Ack-una, r.Acked)
	}
	if r.Acked > 0 {
		f.progress = f.sim.now
	}
	if f.sacked != nil && f.sack {
		f.model(a)
	}
	if f.trace != nil {
		f.trace(f)
	}
	f.pump()
}

func simulate(t *testing.T, s *sim, f *flow, limit int64) {
	t.Helper()
	if !s.run(limit, f.done) {
		t.Fatalf("%d of %d bytes after %d ms; phase %d, cwnd %d, info %+v", f.s.Una-f.iss-1, f.total, limit/1000, f.s.phase, f.s.CC.Cwnd, f.e.Info(&f.s))
	}
}
