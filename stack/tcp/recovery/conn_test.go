package recovery

import (
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// conn drives one connection by hand. Its segments are 1000 bytes; sequence numbers in tests are in segments from 0.
type conn struct {
	t   *testing.T
	e   *Engine
	s   State
	now int64
	r   Result
}

const (
	seg = 1000
	iss = 1<<32 - 20*seg - 1 // sequence numbers wrap after 20 segments
	ms  = 1000
)

type withOption func(*Config, *Options)

func withoutSACK(_ *Config, o *Options)       { o.SACK = false }
func withConfig(set func(*Config)) withOption { return func(c *Config, _ *Options) { set(c) } }

// dial makes a connection with SACK and NewReno whose SYN took 100 ms.
func dial(t *testing.T, with ...withOption) *conn {
	cfg, o := Config{Records: 1 << 12, Flights: 16}, Options{MSS: seg, SACK: true, CC: cc.NewReno}
	for _, w := range with {
		w(&cfg, &o)
	}
	c := &conn{t: t, e: newEngine(t, cfg), now: 1e9}
	c.e.Init(&c.s, iss)
	c.e.OnSend(&c.s, iss, 1, c.now, SendSYN)
	c.now += 100 * ms
	c.e.OnAck(&c.s, &Ack{Ack: iss + 1}, c.now, &c.r)
	c.e.Established(&c.s, o)
	t.Cleanup(func() {
		c.check()
		c.e.Release(&c.s)
		if r, f := c.e.Used(); r != 0 || f != 0 {
			t.Errorf("%d records and %d flights are left after Release", r, f)
		}
	})
	return c
}

func (c *conn) check() {
	c.t.Helper()
	if err := c.e.verify(&c.s); err != nil {
		c.t.Fatal(err)
	}
}

func at(n int) uint32 { var base uint32 = iss + 1; return base + uint32(n)*seg }

// send sends n new segments, each for itself, d µs apart.
func (c *conn) send(n int, d int64) {
	c.t.Helper()
	for i := range n {
		if i > 0 {
			c.now += d
		}
		if !c.e.OnSend(&c.s, c.s.Nxt, seg, c.now, 0) {
			c.t.Fatal("OnSend refused a segment")
		}
	}
	c.check()
}

// blk is the SACK block of the segments [from, to).
func blk(from, to int) Block { return Block{at(from), at(to)} }

// ack is a pure ACK up to segment n, d µs later.
func (c *conn) ack(d int64, n int, blocks ...Block) *Result {
	c.t.Helper()
	return c.input(d, Ack{Ack: at(n), Flags: AckPure}, blocks...)
}

func (c *conn) input(d int64, a Ack, blocks ...Block) *Result {
	c.t.Helper()
	c.now += d
	a.Blocks = uint8(copy(a.SACK[:], blocks))
	c.e.OnAck(&c.s, &a, c.now, &c.r)
	c.check()
	return &c.r
}

// resend sends again what NextRetransmit gives, and returns the segments' numbers.
func (c *conn) resend() (list []int) {
	c.t.Helper()
	for {
		seq, n, ok := c.e.NextRetransmit(&c.s, seg)
		if !ok {
			return list
		}
		if n != seg || (seq-at(0))%seg != 0 {
			c.t.Fatalf("NextRetransmit gives [%d, +%d)", seq-at(0), n)
		}
		c.e.OnSend(&c.s, seq, n, c.now, 0)
		c.check()
		list = append(list, int((seq-at(0))/seg))
	}
}

// expire turns the clock to the deadline and fires it.
func (c *conn) expire(want Timer, unsent uint32) Action {
	c.t.Helper()
	at, kind := c.e.Deadline(&c.s, c.now)
	if kind != want {
		c.t.Fatalf("timer %d is next, want %d", kind, want)
	}
	if a := c.e.OnTimer(&c.s, at-1, unsent); a.Fired != TimerNone {
		c.t.Fatalf("timer %d fires before its deadline", a.Fired)
	}
	c.now = max(at, c.now)
	a := c.e.OnTimer(&c.s, c.now, unsent)
	if a.Fired != want {
		c.t.Fatalf("timer %d fired, want %d", a.Fired, want)
	}
	c.check()
	return a
}

// due is how long after now the next timer is, in µs.
func (c *conn) due(want Timer) int64 {
	c.t.Helper()
	at, kind := c.e.Deadline(&c.s, c.now)
	if kind != want {
		c.t.Fatalf("timer %d is next, want %d", kind, want)
	}
	return at - c.now
}

func (c *conn) flight() *flight { return c.e.flights.at(c.s.flight) }

func (c *conn) want(what string, got, want any) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func (c *conn) wantList(what string, got []int, want ...int) {
	c.t.Helper()
	if len(got) != len(want) {
		c.t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			c.t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}
