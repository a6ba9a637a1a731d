package tcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// play reads a script of bytes: connections in any state, segments of any kind near their numbers, calls in any order,
// time that passes, memory and frames that run out. Nothing may panic, hang or get lost.
type play struct {
	b       *bench
	in      []byte
	l       stack.Handle
	conns   []*conn
	handles []stack.Handle
}

func (p *play) byte() byte {
	if len(p.in) == 0 {
		return 0
	}
	v := p.in[0]
	p.in = p.in[1:]
	return v
}

// near is a number close to v: mostly it, or a little off, seldom anywhere.
func (p *play) near(v uint32) uint32 {
	switch k := p.byte(); {
	case k < 128:
		return v
	case k < 200:
		return v + uint32(int8(p.byte()))
	case k < 240:
		return v + uint32(p.byte())<<8
	}
	return v ^ uint32(p.byte())<<24
}

func (p *play) check() {
	p.b.t.Helper()
	p.b.st.Lock()
	defer p.b.st.Unlock()
	if err := p.b.invariants(); err != nil {
		p.b.t.Fatal(err)
	}
}

// learn takes over what the host has told of its numbers.
func (p *play) learn() {
	for _, r := range p.b.out {
		for _, c := range p.conns {
			if r.src == c.dst && r.dst == c.src {
				if r.flags&wire.SYN != 0 {
					c.ack = r.seq + 1
				} else if r.flags&wire.RST == 0 && int32(r.seq+uint32(len(r.payload))-c.ack) > 0 {
					c.ack = r.seq + uint32(len(r.payload)) + uint32(r.flags&wire.FIN)
				}
				if r.flags&wire.ACK != 0 && int32(r.ack-c.seq) > 0 {
					c.seq = r.ack
				}
				if r.opts.has&hasStamp != 0 {
					c.stamp, c.tsEcr = true, r.opts.tsVal
				}
			}
		}
	}
	p.b.out = nil
}

func (p *play) segment(c *conn) {
	k := c.pkt(p.byte(), "")
	if p.byte() < 200 {
		k.flags = [...]uint8{wire.ACK, wire.ACK | wire.PSH, wire.SYN, wire.SYN | wire.ACK, wire.FIN | wire.ACK, wire.RST, wire.RST | wire.ACK, wire.URG | wire.ACK}[p.byte()&7]
	}
	k.seq, k.ack = p.near(c.seq), p.near(c.ack)
	switch p.byte() & 7 {
	case 0:
		k.wnd = 0
	case 1:
		k.wnd = uint16(p.byte())
	case 2:
		k.wnd = 65535
	}
	k.urg = uint16(p.byte())
	how := p.byte()
	k.tos = how & 3
	if n := p.byte(); n < 128 {
		k.payload = make([]byte, int(n)*12)
	}
	c.tsVal += uint32(p.byte() & 3)
	switch v := p.byte(); {
	case v < 32:
		k.opts = synOptions
	case v < 64: // SACK blocks
		k.opts = make([]byte, 4+8*int(1+v&3))
		k.opts[0], k.opts[1], k.opts[2], k.opts[3] = optNop, optNop, optSACK, byte(len(k.opts)-2)
		for i := 4; i < len(k.opts); i += 4 {
			s := p.near(c.ack - 2000)
			k.opts[i], k.opts[i+1], k.opts[i+2], k.opts[i+3] = byte(s>>24), byte(s>>16), byte(s>>8), byte(s)
		}
	case v < 80: // anything
		k.opts = make([]byte, int(v&7)*4)
		for i := range k.opts {
			k.opts[i] = p.byte()
		}
	}
	if f := k.frame(); how>>4 == 1 {
		p.b.deliverPieces(f, 140+int(how), stack.RxIPCsumGood|stack.RxL4CsumGood)
	} else {
		p.b.deliver(f)
	}
}

func (p *play) call(h stack.Handle) {
	b := p.b
	buf := make([]byte, 3000)
	switch p.byte() % 16 {
	case 0, 1, 2:
		b.Send(h, make([]byte, int(p.byte())*40), []int{0, 0, unix.MSG_MORE, unix.MSG_OOB}[p.byte()&3])
	case 3, 4, 5:
		n, _ := b.Recv(h, buf[:int(p.byte())*10], []int{0, 0, unix.MSG_PEEK, unix.MSG_OOB, unix.MSG_TRUNC}[p.byte()%5])
		for _, v := range buf[:n] {
			if v != 0 {
				b.t.Fatalf("read %#x, all that was sent is zero", v)
			}
		}
	case 6:
		b.Shutdown(h, int(p.byte()&3))
	case 7:
		b.Close(h)
	case 8:
		b.Events(h)
		b.PeerAddr(h)
		b.LocalAddr(h)
	case 9:
		names := [...]int{unix.TCP_NODELAY, unix.TCP_CORK, unix.TCP_KEEPIDLE, unix.TCP_USER_TIMEOUT, unix.TCP_MAXSEG, unix.TCP_QUICKACK, unix.TCP_WINDOW_CLAMP, unix.TCP_LINGER2, unix.TCP_NOTSENT_LOWAT, unix.TCP_DEFER_ACCEPT}
		b.SetOption(h, unix.IPPROTO_TCP, names[int(p.byte())%len(names)], le32(int(p.byte())*8))
	case 10:
		names := [...]int{unix.SO_MAX_PACING_RATE, unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_KEEPALIVE, unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_OOBINLINE, unix.SO_RCVLOWAT}
		b.SetOption(h, unix.SOL_SOCKET, names[int(p.byte())%len(names)], le32(int(p.byte())*64))
	case 11:
		b.SetOption(h, unix.SOL_SOCKET, unix.SO_LINGER, append(le32(int(p.byte()&1)), le32(0)...))
	case 12:
		var info [tcpInfoMost]byte
		b.Option(h, unix.IPPROTO_TCP, unix.TCP_INFO, info[:])
	case 13:
		b.Connect(h, ap(b.peer, uint16(p.byte())))
	case 14:
		b.Bind(h, ap(b.ip4, uint16(80+p.byte()&3)))
	case 15:
		b.Listen(h, int(p.byte()&7))
	}
}

func (p *play) run() {
	b := p.b
	p.l = b.listen(b.t, ap(b.ip4, 80))
	p.handles = append(p.handles, p.l)
	for steps := 0; len(p.in) > 0 && steps < 2000; steps++ {
		switch op := p.byte(); {
		case op < 20: // a new peer
			c := &conn{b: b, src: ap(b.peer, uint16(1000+len(p.conns))), dst: ap(b.ip4, 80), seq: uint32(p.byte()) << 24}
			opts := synOptions
			if p.byte() < 100 {
				opts = nil
			}
			b.deliver(packet{src: c.src, dst: c.dst, flags: wire.SYN, seq: c.seq, wnd: 30000, opts: opts}.frame())
			c.seq++
			p.conns = append(p.conns, c)
		case op < 30: // a peer of our own
			if h, err := b.Open(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
				p.handles = append(p.handles, h)
				b.Connect(h, ap(b.peer, uint16(9000+len(p.conns))))
				if a, err := b.LocalAddr(h); err == nil {
					p.conns = append(p.conns, &conn{b: b, src: ap(b.peer, uint16(9000+len(p.conns))), dst: a, seq: 77})
				}
			}
		case op < 50:
			if h, _, err := b.Accept(p.l); err == nil {
				p.handles = append(p.handles, h)
			}
		case op < 150:
			if len(p.conns) > 0 {
				p.segment(p.conns[int(p.byte())%len(p.conns)])
			}
		case op < 200:
			p.call(p.handles[int(p.byte())%len(p.handles)])
		case op < 240:
			b.turn()
			p.learn()
		case op < 250:
			b.wait(time.Duration(p.byte()) * 20 * time.Millisecond)
			p.learn()
		case op < 253:
			b.net.changes++
			b.net.pending = p.byte() < 60
			b.net.gone = p.byte() < 30
		default:
			if len(b.out) > 0 {
				b.deliver(icmpTooBig(b.out[0], uint16(p.byte())*8))
			}
		}
		p.check()
	}
	b.net.pending, b.net.gone = false, false
	b.net.changes++
	for _, h := range p.handles {
		b.Close(h)
	}
	p.check()
	for { // the accept queue of a second listener is gone with it; nothing but closing connections is left
		if b.wait(20 * time.Minute); b.Usage().PCBs == 0 || b.st.Next() == stack.Never {
			break
		}
		b.out = nil
	}
	p.check()
	b.out = nil
	b.empty(b.t, 0)
}

func FuzzSegments(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBench(t, Config{Connections: 64, Memory: 128 << 10})
		(&play{b: b, in: in}).run()
	})
}

// TestRandomPlays is the fuzz target with more seeds than its corpus has.
func TestRandomPlays(t *testing.T) {
	n := uint64(80)
	if testing.Short() {
		n = 10
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(seed, 3))
		in := make([]byte, 2000)
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		b := newBench(t, Config{Connections: 64, Memory: 128 << 10})
		(&play{b: b, in: in}).run()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzFrames delivers arbitrary bytes as a frame.
func FuzzFrames(f *testing.F) {
	f.Add(packet{src: ap(benchPeer, 1), dst: ap(benchHost, 80), flags: wire.SYN, opts: synOptions}.frame())
	f.Add(packet{src: ap(benchPeer, 1), dst: ap(benchHost, 81), flags: wire.ACK, payload: []byte("x")}.frame())
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBench(t, Config{Connections: 64, Memory: 128 << 10})
		b.listen(t, ap(b.ip4, 80))
		for cut := range 3 { // whole, and in pieces
			var frames []stack.Frame
			for rest := in; len(rest) > 0; {
				n := len(rest)
				if cut > 0 {
					n = min(n, 7*cut*cut)
				}
				fr := stack.MakeFrame(rest[:n:n], 0)
				if rest = rest[n:]; len(rest) > 0 {
					fr.Flags |= stack.More
				}
				frames = append(frames, fr)
			}
			if len(frames) == 0 {
				frames = []stack.Frame{stack.MakeFrame(nil, 0)}
			}
			b.st.Lock()
			b.Deliver(0, frames)
			frames[0].Flags |= stack.RxIPCsumGood | stack.RxL4CsumGood
			b.Deliver(0, frames)
			b.st.Unlock()
			b.turn()
		}
		if err := b.invariants(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzOptions reads arbitrary options.
func FuzzOptions(f *testing.F) {
	f.Add(synOptions, true)
	f.Add([]byte{optSACK, 10, 0, 0, 0, 1, 0, 0, 0, 2}, false)
	f.Fuzz(func(t *testing.T, in []byte, syn bool) {
		if len(in) > 40 {
			in = in[:40]
		}
		var o options
		o.parse(in, syn)
		if o.blocks > 4 || o.has&hasScale != 0 && o.scale > scaleMost {
			t.Fatalf("%+v", o)
		}
	})
}
