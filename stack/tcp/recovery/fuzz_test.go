package recovery

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// fuzzRun drives a connection by a script of bytes: sends, ACKs with any blocks, timers, changes of MSS. Whatever the
// peer says, the records stay whole, and an honest peer can still bring the stream to its end.
func fuzzRun(t testing.TB, script []byte) {
	e, err := New(Config{Records: 300, Flights: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	next := func() int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b)
	}
	wide := func() uint32 {
		var b [4]byte
		script = script[copy(b[:], script):]
		return binary.LittleEndian.Uint32(b[:])
	}
	var s State
	var r Result
	now := int64(1 << 31)
	base := wide()
	opt := next()
	e.Init(&s, base)
	e.Established(&s, Options{MSS: uint16(1 + opt&3*200), SACK: opt&4 == 0, CC: cc.ID(opt >> 3 & 1)})
	// point is a sequence number near the window, mostly.
	point := func() uint32 {
		switch b := next(); {
		case b < 64:
			return s.Una + uint32(b)*uint32(s.CC.MSS)
		case b < 128:
			return s.Nxt - uint32(b-64)*uint32(s.CC.MSS)
		case b < 240:
			return s.Una + wide()%(s.Nxt-s.Una+1)
		default:
			return wide()
		}
	}
	check := func(what string) {
		t.Helper()
		if err := e.verify(&s); err != nil {
			t.Fatalf("after %s: %v", what, err)
		}
		at, kind := e.Deadline(&s, now)
		if (kind == TimerNone) != (s.Una == s.Nxt) || kind != TimerNone && at > now+300e6 {
			t.Fatalf("after %s: %d bytes outstanding, timer %d at %d", what, s.Nxt-s.Una, kind, at-now)
		}
	}
	for len(script) > 0 {
		now += int64(next()) << (next() & 15)
		switch op := next(); op & 7 {
		case 0, 1:
			n := 1 + uint32(op>>3)*uint32(s.CC.MSS)/4
			if s.Nxt-s.Una < 512*uint32(s.CC.MSS) {
				e.OnSend(&s, s.Nxt, n, now, SendFlags(op>>5)&(SendFIN|SendLast))
			}
			check("a send")
		case 2, 3, 4:
			a := Ack{Ack: point(), Flags: AckFlags(op >> 3 & 7), Blocks: uint8(op >> 6), Echo: uint32(now/1000) - uint32(next()), Unsent: uint32(next()) << 8}
			for i := range a.SACK {
				a.SACK[i] = Block{point(), point()}
			}
			if op == 255 {
				a.Blocks = uint8(next())
			}
			una, nxt := s.Una, s.Nxt
			e.OnAck(&s, &a, now, &r)
			if s.Una-una > nxt-una || r.Acked != s.Una-una {
				t.Fatalf("an ACK of %d moved Una from %d to %d of %d, Acked %d", a.Ack, una, s.Una, nxt, r.Acked)
			}
			check("an ACK")
		case 5:
			a := e.OnTimer(&s, now, uint32(next())<<8)
			check("a timer")
			if a.Fired == TimerProbe && op&8 == 0 {
				if a.Len == 0 || a.Seq != s.Nxt && a.Seq-s.Una >= s.Nxt-s.Una {
					t.Fatalf("probe of %d bytes at %d, outstanding %d … %d", a.Len, a.Seq, s.Una, s.Nxt)
				}
				e.OnSend(&s, a.Seq, a.Len, now, SendProbe)
				check("a probe")
			}
		case 6:
			limit := uint32(s.CC.MSS) * uint32(1+op>>6)
			for range op >> 3 & 7 {
				seq, n, ok := e.NextRetransmit(&s, limit)
				if !ok {
					break
				}
				if n == 0 || n > limit+1 || seq-s.Una >= s.Nxt-s.Una || seq+n-s.Una > s.Nxt-s.Una {
					t.Fatalf("retransmission of %d bytes at %d, outstanding %d … %d", n, seq, s.Una, s.Nxt)
				}
				e.OnSend(&s, seq, n, now, 0)
				check("a retransmission")
			}
		case 7:
			if op == 7 {
				e.SetMSS(&s, uint16(1+next()*4))
			} else if op == 15 {
				e.SetCC(&s, cc.ID(next()&1))
			} else {
				e.OnSend(&s, point(), uint32(next()), now, SendFlags(op>>4)&SendProbe)
				if s.Nxt-s.Una > 1<<28 {
					t.Fatal("a send of nonsense was taken")
				}
			}
			check("a change")
		}
	}
	// An honest peer from now on: in order, each retransmission arrives.
	for i := range 1 << 17 {
		if s.Una == s.Nxt {
			break
		}
		at, _ := e.Deadline(&s, now)
		now = max(now, at)
		a := e.OnTimer(&s, now, 0)
		got := a.Fired == TimerProbe && a.Seq == s.Una
		if a.Fired == TimerProbe {
			e.OnSend(&s, a.Seq, a.Len, now, SendProbe)
		}
		end := s.Una
		if got {
			end = a.Seq + a.Len
		}
		for {
			seq, n, ok := e.NextRetransmit(&s, uint32(s.CC.MSS))
			if !ok {
				break
			}
			e.OnSend(&s, seq, n, now, 0)
			if seq == end {
				end += n
			}
		}
		if end != s.Una {
			e.OnAck(&s, &Ack{Ack: end, Flags: AckPure}, now+1000, &r)
		}
		if i&63 == 0 {
			check("the end")
		}
	}
	if s.Una != s.Nxt {
		t.Fatalf("%d bytes never left: phase %d, %+v", s.Nxt-s.Una, s.phase, e.Info(&s))
	}
	e.Release(&s)
	if rec, fl := e.Used(); rec != 0 || fl != 0 {
		t.Fatalf("%d records and %d flights are left", rec, fl)
	}
}

func FuzzOnAck(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(randomScript(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte) { fuzzRun(t, script[:min(len(script), 4096)]) })
}

func randomScript(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	script := make([]byte, 200+r.IntN(1500))
	for i := range script {
		script[i] = byte(r.Uint32())
	}
	return script
}

// TestRandomScripts is what the fuzz target does, with seeds.
func TestRandomScripts(t *testing.T) {
	for seed := range uint64(200) {
		fuzzRun(t, randomScript(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
