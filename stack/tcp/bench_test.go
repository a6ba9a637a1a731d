package tcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// generator is a device whose wire ends in memory: it plays the clients of a server on the stack. Each sends a request
// when it has the answer to the last one. Nothing but the server's side is meant to cost much.
type generator struct {
	queue   stack.Queue
	offload stack.FrameFlags
	rx      [32]stack.Frame
	bufs    [32][]byte
	clients []genClient
	ready   []uint32 // clients that may send a request
	request []byte
	answer  int
	done    int // answers received
	now     func() int64
	discard bool // forget what is sent, without looking
}

type genClient struct {
	seq, ack uint32
	port     uint16
	host     uint32 // last bits of the address
	got      int
	open     bool
	tsEcr    uint32
}

const (
	genHead = wire.EthernetLen + wire.IPv4Len + wire.TCPLen + stampRoom
	genBase = 0x0a010000
)

var (
	genMAC  = [6]byte{2, 0, 0, 0, 0, 99}
	genOurs = [6]byte{2, 0, 0, 0, 0, 1}
	genIP   = [4]byte{10, 0, 0, 1}
)

func newGenerator(offload stack.FrameFlags, request, answer int, now func() int64) *generator {
	g := &generator{offload: offload, request: make([]byte, request), answer: answer, now: now}
	tx := make([]stack.Frame, 256)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, 2048), 0)
	}
	g.queue = stack.MakeQueue(tx)
	for i := range g.bufs {
		g.bufs[i] = make([]byte, 2048)
	}
	return g
}

func (g *generator) Queue() *stack.Queue { return &g.queue }
func (g *generator) Close() error        { return nil }
func (g *generator) Info() stack.DeviceInfo {
	return stack.DeviceInfo{Name: "gen", MAC: net.HardwareAddr(genOurs[:]), MTU: 1500, Offloads: g.offload}
}

func (g *generator) Flush() {
	taken := g.queue.Taken()
	for i := range taken {
		b := taken[i].Bytes()
		tcp := b[wire.EthernetLen+wire.IPv4Len:]
		h := wire.TCPAt(tcp)
		if g.discard {
			continue
		}
		c := &g.clients[g.index(binary.BigEndian.Uint32(b[30:34]), h.DstPort())]
		c.tsEcr = binary.BigEndian.Uint32(tcp[24:28])
		if h.Flags()&wire.SYN != 0 {
			c.ack = h.Seq() + 1
			c.open = true
			continue
		}
		n := len(tcp) - h.HeaderLen()
		c.ack = h.Seq() + uint32(n)
		if c.got += n; c.got >= g.answer {
			c.got -= g.answer
			g.done++
			g.ready = append(g.ready, g.index(binary.BigEndian.Uint32(b[30:34]), h.DstPort()))
		}
	}
	g.queue.Sent(len(taken))
}

func (g *generator) index(host uint32, port uint16) uint32 {
	return (host-genBase)<<15 | uint32(port-1024)
}

func (g *generator) Exchange() {
	g.Flush()
	n := 0
	for ; n < len(g.rx) && len(g.ready) > 0; n++ {
		i := g.ready[0]
		g.ready = g.ready[1:]
		c := &g.clients[i]
		g.rx[n] = g.frame(g.bufs[n], i, c, wire.ACK|wire.PSH, g.request)
		c.seq += uint32(len(g.request))
	}
	if len(g.ready) == 0 {
		g.ready = g.ready[:0]
	}
	g.queue.Rx = g.rx[:n]
}

// frame writes a client's segment.
func (g *generator) frame(b []byte, i uint32, c *genClient, flags uint8, payload []byte) stack.Frame {
	wire.EthernetAt(b).Set(&genOurs, &genMAC, wire.TypeIPv4)
	tcp := b[wire.EthernetLen+wire.IPv4Len:]
	head := wire.TCPLen + stampRoom
	stamp := uint32(uint64(g.now()) / 1e6)
	if flags&wire.SYN != 0 {
		head = wire.TCPLen + putSYNOptions(tcp[wire.TCPLen:], hasStamp|hasSACKPerm|hasScale, 1460, 7, stamp, 0)
	} else {
		putStamp(tcp[wire.TCPLen:], stamp, c.tsEcr)
	}
	n := head + copy(tcp[head:], payload)
	var src [4]byte
	binary.BigEndian.PutUint32(src[:], genBase+i>>15)
	ip := wire.IPv4At(b[wire.EthernetLen:])
	ip.Set(0, n, 0, wire.IPv4DF, 64, wire.ProtoTCP, &src, &genIP)
	wire.TCPAt(tcp).Set(uint16(i&0x7fff)+1024, 80, c.seq, c.ack, head, flags, 8192, 0)
	f := stack.MakeFrame(b[:wire.EthernetLen+wire.IPv4Len+n], 0)
	if g.offload&stack.TxTCPCsum != 0 {
		f.Flags = stack.RxIPCsumGood | stack.RxL4CsumGood
	} else {
		ip.SetChecksum()
		wire.TCPAt(tcp).SetChecksum(wire.PseudoIPv4(&src, &genIP, wire.ProtoTCP, n).Add(tcp[:n]).Fold())
	}
	return f
}

// genServer is a server in one event loop over a stack with a generator.
type genServer struct {
	*TCP
	st    *stack.Stack
	gen   *generator
	ready []uint32
	l     stack.Handle
	buf   []byte
	reply []byte
	sink  stack.SinkID
	now   int64
	close bool // at the end of a stream
}

func (s *genServer) Notify(tag uint32, ev stack.Events) { s.ready = append(s.ready, tag) }

func (s *genServer) serve() bool {
	if len(s.ready) == 0 {
		return false
	}
	for _, tag := range s.ready {
		if tag == 0 {
			for {
				h, _, err := s.Accept(s.l)
				if err != nil {
					break
				}
				s.Watch(h, s.sink, uint32(h))
			}
			continue
		}
		h := stack.Handle(tag)
		n, err := s.Recv(h, s.buf, 0)
		switch {
		case n > 0:
			s.Send(h, s.reply, 0)
		case err == nil && s.close:
			s.Close(h)
		}
	}
	s.ready = s.ready[:0]
	return true
}

func newGenServer(tb testing.TB, offload stack.FrameFlags, request, answer, conns int, cfg Config) *genServer {
	s := &genServer{buf: make([]byte, 4096), reply: make([]byte, answer), now: int64(time.Hour)}
	clock := func() int64 { return s.now }
	s.gen = newGenerator(offload, request, answer, clock)
	s.st = stack.New(clock)
	s.st.AddPort(s.gen)
	n := &staticNet{local: []netip.Addr{netip.AddrFrom4(genIP)}, mtu: 1500}
	var err error
	if s.TCP, err = New(s.st, n, cfg); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.TCP.Destroy() })
	s.st.AddLayer(s.TCP)
	s.st.Serve = s.serve
	s.sink = s.st.AddSink(s)
	s.l = func() stack.Handle {
		h, err := s.Open(unix.AF_INET, unix.SOCK_STREAM, 0)
		must(tb, err)
		must(tb, s.Bind(h, netip.AddrPortFrom(netip.AddrFrom4(genIP), 80)))
		must(tb, s.Listen(h, 4096))
		return h
	}()
	s.Watch(s.l, s.sink, 0)
	s.gen.clients = make([]genClient, conns)
	s.connect(tb, conns)
	return s
}

// connect establishes connections, past the device.
func (s *genServer) connect(tb testing.TB, conns int) {
	const batch = 32
	for at := 0; at < conns; at += batch {
		end := min(at+batch, conns)
		for _, flags := range []uint8{wire.SYN, wire.ACK} {
			s.st.Lock()
			for i := at; i < end; i++ {
				c := &s.gen.clients[i]
				f := s.gen.frame(s.gen.bufs[0], uint32(i), c, flags, nil)
				if flags == wire.SYN {
					c.seq++
				}
				if !s.Deliver(0, []stack.Frame{f}) {
					tb.Fatal("a frame was refused")
				}
			}
			s.st.Unlock()
			s.turn()
			s.turn()
		}
	}
	if got := s.Counters().Accepted; got != uint64(conns) {
		tb.Fatalf("%d of %d connections were accepted", got, conns)
	}
}

func (s *genServer) turn() {
	s.now += 1000
	s.st.Poll(s.now)
}

const allOffloads = stack.TxIPCsum | stack.TxTCPCsum

// BenchmarkRequest is a request of 100 bytes and an answer of 650 on established connections, whole turns of the loop
// with a socket layer that reads and writes once.
func BenchmarkRequest(b *testing.B) {
	for _, off := range []stack.FrameFlags{allOffloads, 0} {
		for _, conns := range []int{1, 64, 1024} {
			name := fmt.Sprintf("offload=%t/conns=%d", off != 0, conns)
			b.Run(name, func(b *testing.B) {
				s := newGenServer(b, off, 100, 650, conns, Config{Connections: 1 << 16, Memory: 64 << 20})
				for i := range conns {
					s.gen.ready = append(s.gen.ready, uint32(i))
				}
				for range 2000 {
					s.turn()
				}
				s.gen.done = 0
				b.ReportAllocs()
				b.ResetTimer()
				begin := cpuTime(b)
				for s.gen.done < b.N {
					s.turn()
				}
				b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkGenerator is what of BenchmarkRequest is the generator's: it answers its own frames.
func BenchmarkGenerator(b *testing.B) {
	for _, off := range []stack.FrameFlags{allOffloads, 0} {
		b.Run(fmt.Sprintf("offload=%t", off != 0), func(b *testing.B) {
			now := func() int64 { return int64(time.Hour) }
			g := newGenerator(off, 100, 650, now)
			g.clients = make([]genClient, 64)
			g.ready = append(g.ready, 0)
			g.Exchange()
			b.ResetTimer()
			begin := cpuTime(b)
			for g.done < b.N {
				for range 32 {
					f := g.queue.Alloc()
					f.Len = genHead + 650
					tcp := f.Room()[wire.EthernetLen+wire.IPv4Len:]
					binary.BigEndian.PutUint32(f.Room()[30:34], genBase)
					wire.TCPAt(tcp).Set(80, 1024, 1, 1, wire.TCPLen+stampRoom, wire.ACK, 100, 0)
				}
				g.Exchange()
			}
			b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what the process has used: other work on the machine disturbs it less than it does the time.
func cpuTime(tb testing.TB) int64 {
	var ts unix.Timespec
	must(tb, unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts))
	return ts.Nano()
}

// BenchmarkIdle holds a million idle connections and reports what memory each takes, the tables included, and what it
// costs to make one.
func BenchmarkIdle(b *testing.B) {
	const conns = 1_000_000
	if testing.Short() {
		b.Skip("needs 600 MB")
	}
	for range b.N {
		b.StopTimer()
		s := newGenServer(b, allOffloads, 100, 650, 0, Config{Connections: 1 << 21, Memory: 64 << 20})
		s.gen.clients = make([]genClient, conns)
		for i := range s.gen.clients {
			s.gen.clients[i].got = 0
		}
		before := resident(b)
		b.StartTimer()
		s.connect(b, conns)
		b.StopTimer()
		b.ReportMetric(float64(resident(b)-before)/conns, "bytes/conn")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/conns, "ns/conn")
		u := s.Usage()
		if u.Chunks != 0 || u.Records != 0 || u.Flights != 0 {
			b.Errorf("idle connections hold %+v", u)
		}
		s.TCP.Destroy()
	}
}

// BenchmarkRequestAmongIdle has 1,000 connections work among a million idle ones.
func BenchmarkRequestAmongIdle(b *testing.B) {
	const conns, active = 1_000_000, 1000
	if testing.Short() {
		b.Skip("needs 600 MB")
	}
	s := newGenServer(b, allOffloads, 100, 650, conns, Config{Connections: 1 << 21, Memory: 64 << 20})
	for i := range active {
		s.gen.ready = append(s.gen.ready, uint32(i*(conns/active)))
	}
	for range 2000 {
		s.turn()
	}
	s.gen.done = 0
	b.ResetTimer()
	begin := cpuTime(b)
	for s.gen.done < b.N {
		s.turn()
	}
	b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
}

// resident is the memory that the process has in use.
func resident(tb testing.TB) int {
	runtime.GC()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	must(tb, err)
	var size, rss int
	_, err = fmt.Sscan(string(b), &size, &rss)
	must(tb, err)
	return rss * os.Getpagesize()
}
