package tcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/wire"
)

const goodSums = stack.RxIPCsumGood | stack.RxL4CsumGood

// textAt is n bytes of a stream from off on: no two places of it look alike.
func textAt(off uint32, n int) string {
	b := make([]byte, n)
	for i := range b {
		at := off + uint32(i)
		b[i] = byte(at) ^ byte(at>>8)*7 ^ byte(at>>16)*31
	}
	return string(b)
}

// reader reads a stream and compares.
type reader struct {
	b   *bench
	h   stack.Handle
	off uint32
	buf [5000]byte
}

// read receives up to n bytes and returns how many came, -1 for EAGAIN.
func (r *reader) read(n, flags int) int {
	r.b.t.Helper()
	n, err := r.b.Recv(r.h, r.buf[:n], flags)
	if err == syscall.EAGAIN {
		return -1
	}
	must(r.b.t, err)
	if flags&unix.MSG_TRUNC == 0 && string(r.buf[:n]) != textAt(r.off, n) {
		r.b.t.Fatalf("wrong bytes in the %d at %d (flags %#x)", n, r.off, flags)
	}
	if flags&unix.MSG_PEEK == 0 {
		r.off += uint32(n)
	}
	return n
}

// want reads n bytes at once.
func (r *reader) want(n int) {
	r.b.t.Helper()
	if got := r.read(len(r.buf), 0); got != n {
		r.b.t.Fatalf("read %d bytes, want %d", got, n)
	}
}

func (b *bench) checkInvariants() {
	b.t.Helper()
	b.st.Lock()
	defer b.st.Unlock()
	must(b.t, b.invariants())
}

// TestLoansAtRandom delivers segments of a stream in any order, whole and in pieces, once and again, with other parts of
// it, between reads of all kinds and ends of turns after which the frames' memory has other content.
func TestLoansAtRandom(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			cfg := Config{Connections: 64, Memory: 1 << 20}
			if seed%3 == 0 {
				cfg.Memory = 96 << 10 // less than the window
			}
			b := newBench(t, cfg)
			l := b.listen(t, ap(b.ip4, 80))
			c, h := b.accept(l, 4000, [][]byte{synOptions, nil}[seed&1])
			r := &reader{b: b, h: h}
			first, have, total := c.seq, func() uint32 { return b.pcbs.at(uint32(h)).rcvNxt }, uint32(200_000)
			deliver := func(off uint32, n int, flags uint8) {
				k := c.pkt(flags, textAt(off, n))
				k.seq = first + off
				if c.stamp {
					c.tsVal++
					putStamp(k.opts, c.tsVal, c.tsEcr)
				}
				switch f := k.frame(); rnd.IntN(3) {
				case 0:
					b.deliver(f)
				case 1:
					b.deliverPieces(f, 134+rnd.IntN(600), goodSums)
				case 2:
					b.deliverPieces(f, 1+rnd.IntN(300), 0)
				}
			}
			for steps := 0; r.off < total; steps++ {
				if steps > 200_000 {
					t.Fatalf("stuck at %d", r.off)
				}
				switch rnd.IntN(10) {
				case 0, 1, 2, 3: // what comes next
					off := have() - first
					deliver(off, int(min(total-off, uint32(1+rnd.IntN(1448)))), wire.ACK)
				case 4: // behind a gap, or over what is known
					off := uint32(max(0, int(have()-first)+rnd.IntN(6000)-3000))
					if off < total {
						deliver(off, int(min(total-off, uint32(1+rnd.IntN(1448)))), wire.ACK)
					}
				case 5:
					r.read(1+rnd.IntN(3000), unix.MSG_PEEK)
				case 6:
					r.read(1+rnd.IntN(400), unix.MSG_TRUNC)
				case 7, 8:
					r.read(1+rnd.IntN(4000), 0)
				case 9:
					b.turn()
				}
				b.checkInvariants()
			}
			if n := b.Counters().DropNoMemory; n > 0 && cfg.Memory == 1<<20 {
				t.Errorf("%d segments were not taken in whole", n)
			}
			deliver(total, 0, wire.ACK|wire.FIN)
			if n := r.read(1, 0); n != 0 {
				t.Fatalf("read %d bytes at the end of the stream", n)
			}
			b.turn()
			b.checkInvariants()
			if b.chunks.used != 0 || b.chunks.kept != 0 {
				t.Fatalf("%d chunks in use, %d kept", b.chunks.used, b.chunks.kept)
			}
		})
	}
}

// lend delivers segments of n bytes without a turn behind them.
func (c *conn) lend(off *uint32, sizes ...int) {
	c.b.t.Helper()
	for _, n := range sizes {
		if !c.b.deliver(c.pkt(wire.ACK, textAt(*off, n)).frame()) {
			c.b.t.Fatal("not taken")
		}
		c.seq += uint32(n)
		*off += uint32(n)
	}
}

func newLoanBench(t *testing.T) (b *bench, c *conn, r *reader) {
	b = newBench(t, Config{})
	c, h := b.accept(b.listen(t, ap(b.ip4, 80)), 4000, nil)
	return b, c, &reader{b: b, h: h}
}

func TestReadInTheTurnTakesNoChunk(t *testing.T) {
	b, c, r := newLoanBench(t)
	var off uint32
	c.lend(&off, 1000, 1460, 1)
	if b.chunks.used != 0 || b.chunks.kept != 3 {
		t.Errorf("%d chunks in use, %d kept, want 0 and 3", b.chunks.used, b.chunks.kept)
	}
	r.want(2461)
	if b.chunks.used != 0 || b.chunks.kept != 0 || b.pcbs.at(uint32(r.h)).rcv != (queue{}) {
		t.Errorf("%d chunks in use, %d kept, queue %+v", b.chunks.used, b.chunks.kept, b.pcbs.at(uint32(r.h)).rcv)
	}
	b.turn()
	b.checkInvariants()
}

func TestUnreadLoansAreCopiedWhenTheTurnEnds(t *testing.T) {
	b, c, r := newLoanBench(t)
	var off uint32
	c.lend(&off, 500)
	b.turn() // a chunk
	c.lend(&off, 1460, 1460, 1460)
	if n := r.read(1000, 0); n != 1000 { // the chunk, and a part of the first loan
		t.Fatalf("read %d", n)
	}
	b.turn()
	if b.chunks.used != 2 || b.chunks.kept != 0 {
		t.Errorf("%d chunks in use, %d kept, want 2 and 0", b.chunks.used, b.chunks.kept)
	}
	c.lend(&off, 700) // behind them
	b.checkInvariants()
	r.want(500 + 3*1460 + 700 - 1000)
	b.turn()
	b.checkInvariants()
}

func TestLoansCountInTheWindow(t *testing.T) {
	b, c, r := newLoanBench(t)
	var off uint32
	p := b.pcbs.at(uint32(r.h))
	for p.window() >= 1460 {
		c.lend(&off, 1460)
	}
	if left := b.space(p); left != p.rcvBuf-p.rcv.len || left >= 1460 {
		t.Errorf("room for %d bytes in a queue of %d with %d", left, p.rcvBuf, p.rcv.len)
	}
	c.lend(&off, int(p.window()))
	before := p.rcvNxt
	b.deliver(c.pkt(wire.ACK, "beyond").frame())
	if p.rcvNxt != before {
		t.Error("took bytes beyond the window")
	}
	b.turn()
	b.out = nil
	for r.read(5000, 0) > 0 {
	}
	if r.off != off {
		t.Errorf("read %d bytes, want %d", r.off, off)
	}
}

// TestLoansEnd has a connection end in the turn in which bytes were lent, and in the one after: that must not differ.
func TestLoansEnd(t *testing.T) {
	for _, end := range []string{"RST", "FIN", "close", "shutdown", "reuse"} {
		var seen [2]string
		for turns := range 2 {
			b, c, r := newLoanBench(t)
			var off uint32
			c.lend(&off, 1000, 1000)
			if turns > 0 {
				b.turn()
			}
			switch end {
			case "RST":
				b.deliver(c.pkt(wire.RST, "").frame())
			case "FIN":
				b.deliver(c.pkt(wire.ACK|wire.FIN, "").frame())
			case "close":
				must(t, b.Close(r.h))
			case "shutdown":
				must(t, b.Shutdown(r.h, unix.SHUT_RDWR))
			case "reuse":
				must(t, b.Close(r.h))
				b.deliver(c.pkt(wire.RST, "").frame())
				h, err := b.Open(unix.AF_INET, unix.SOCK_STREAM, 0)
				must(t, err)
				defer b.Close(h)
			}
			b.checkInvariants()
			for range 4 {
				n, err := b.Recv(r.h, r.buf[:700], 0)
				seen[turns] += fmt.Sprintf("%d %v %v; ", n, err, n <= 0 || bytes.Equal(r.buf[:n], []byte(textAt(r.off, n))))
				r.off += uint32(max(n, 0))
			}
			b.turn()
			b.checkInvariants()
			for _, o := range b.out {
				seen[turns] += flagString(o.flags) + " "
			}
			if b.chunks.kept != 0 || len(b.borrowers) != 0 || len(b.chunks.loans) != 1 {
				t.Errorf("%s: %d chunks kept, %d borrowers, %d loans after the turn", end, b.chunks.kept, len(b.borrowers), len(b.chunks.loans)-1)
			}
		}
		if end == "FIN" { // the ACK of the data has left a turn earlier
			continue
		}
		if seen[0] != seen[1] {
			t.Errorf("%s in the turn: %s\nafter it: %s", end, seen[0], seen[1])
		}
	}
}

func TestUrgentByteInALoan(t *testing.T) {
	for _, inline := range []bool{false, true} {
		b, c, r := newLoanBench(t)
		if inline {
			must(t, b.SetOption(r.h, unix.SOL_SOCKET, unix.SO_OOBINLINE, le32(1)))
		}
		k := c.pkt(wire.ACK|wire.URG, textAt(0, 1000))
		k.urg = 601 // the byte at 600
		b.deliverPieces(k.frame(), 200, goodSums)
		b.checkInvariants()
		if n := r.read(5000, 0); n != 600 {
			t.Fatalf("inline %v: read %d bytes up to the mark", inline, n)
		}
		if !inline {
			if n, err := b.Recv(r.h, r.buf[:], unix.MSG_OOB); n != 1 || err != nil || string(r.buf[:1]) != textAt(600, 1) {
				t.Errorf("urgent: %d %v %#x", n, err, r.buf[0])
			}
			r.off++ // passed over
		}
		r.want(1000 - int(r.off))
		b.turn()
		b.checkInvariants()
	}
}

// TestLoansWithoutMemory has other queues take all the chunks that are not kept for loans.
func TestLoansWithoutMemory(t *testing.T) {
	b := newBench(t, Config{Connections: 64, Memory: 64 << 10}) // 32 chunks
	l := b.listen(t, ap(b.ip4, 80))
	c, h := b.accept(l, 4000, nil)
	_, other := b.accept(l, 4001, nil)
	r := &reader{b: b, h: h}
	var off uint32
	c.lend(&off, 1460, 1460, 1460)
	must(t, b.SetOption(other, unix.SOL_SOCKET, unix.SO_SNDBUF, le32(1<<20)))
	b.Send(other, make([]byte, 1<<20), 0)
	for b.chunks.used+b.chunks.kept < b.chunks.most { // it got single chunks once memory ran short
		if n, err := b.Send(other, make([]byte, 1<<20), 0); n <= 0 {
			t.Fatalf("%v with %d of %d chunks in use", err, b.chunks.used, b.chunks.most)
		}
	}
	c.lend(&off, 100) // no chunk could be kept for it: the loans are settled, and it goes behind them
	b.checkInvariants()
	b.turn()
	b.checkInvariants()
	r.want(int(off))
}

// TestTransferReadInTurn moves streams over a bad wire and over loopback whose readers run in the stack's turn.
func TestTransferReadInTurn(t *testing.T) {
	for seed := range uint64(8) {
		p := newPair(t, simnet.Config{Seed: seed, Loss: .02, Reorder: .05, Dup: .05, Corrupt: .02, Latency: 1e6})
		to := ap(p.host[1].ip4, 80)
		l := p.host[1].listen(t, to)
		a, s := p.dial(l, to)
		up := &stream{from: p.host[0], to: p.host[1], w: a, r: s, data: randomBytes(300_000, seed), chunk: 3000 + 1000*int(seed), fin: true}
		p.host[1].st.Serve = func() bool { return !up.eof && up.step(t) }
		if !p.sim.Run(600e9, func() bool { return up.eof }) {
			t.Fatalf("stalled after %d", up.read)
		}
		p.host[1].st.Serve = nil
		p.closeAll(a, s, l)
	}
	p := newPair(t, simnet.Config{})
	h := p.host[0]
	to := ap(h.ip4, 7)
	l := h.listen(t, to)
	a := h.open(t, unix.AF_INET)
	h.Connect(a, to)
	var s stack.Handle
	if !p.sim.Run(1e9, func() bool { var err error; s, _, err = h.Accept(l); return err == nil }) {
		t.Fatal("not accepted")
	}
	up := &stream{from: h, to: h, w: a, r: s, data: randomBytes(1<<20, 3), chunk: 10_000, fin: true}
	h.st.Serve = func() bool { return !up.eof && up.step(t) }
	if !p.sim.Run(1e9, func() bool { return up.eof }) {
		t.Fatalf("loopback: stalled after %d", up.read)
	}
	h.st.Serve = nil
	must(t, h.Close(a))
	must(t, h.Close(s))
	must(t, h.Close(l))
	p.sim.Sleep(120e9)
	h.empty(t, 0)
}
