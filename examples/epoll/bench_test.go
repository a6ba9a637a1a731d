package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/fstack-go/fstack/posix"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
	"github.com/fstack-go/fstack/stack/wire"
)

// clients is a device whose wire ends in memory: it plays clients that each ask again when they are answered, and
// whose TCP checksums a device would have found good.
type clients struct {
	queue   stack.Queue
	rx      [32]stack.Frame
	room    [32][2048]byte
	all     []benchClient
	ready   []uint32 // who has something to send
	answers int
	each    bool // a connection for each request
}

type benchClient struct {
	seq, ack uint32
	port     uint16
	state    uint8
	missing  int // bytes of the answer
	echo     uint32
}

const (
	synToSend = iota
	synSent
	established
	finToSend
	ending
)

var (
	benchServer  = [4]byte{10, 0, 0, 1}
	benchClient4 = [4]byte{10, 0, 0, 2}
	benchMACs    = [2][6]byte{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}
	benchAsk     = []byte("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n")
	benchAskOnce = []byte("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\nAccept: */*\r\n\r\n")
	answerSize   = func() int {
		var a answers
		a.refresh(time.Now())
		return len(a.open.all)
	}()
)

// benchPorts is how many ports the clients go through: a power of two.
const benchPorts = 1 << 15

func newClients(n int, each bool) *clients {
	c := &clients{all: make([]benchClient, n), each: each}
	tx := make([]stack.Frame, 256)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, 2048), 0)
	}
	c.queue = stack.MakeQueue(tx)
	for i := range c.all {
		c.all[i].port = 1024 + uint16(i)
		c.ready = append(c.ready, uint32(i))
	}
	return c
}

func (c *clients) Queue() *stack.Queue { return &c.queue }
func (c *clients) Close() error        { return nil }
func (c *clients) Info() stack.DeviceInfo {
	return stack.DeviceInfo{
		Name: "clients", MAC: net.HardwareAddr(benchMACs[0][:]), MTU: 1500, Socket: -1, Queues: 1,
		Offloads: stack.TxTCPCsum | stack.RxL4CsumGood, // as a virtio device has them
	}
}

// Flush takes in what the server has sent.
func (c *clients) Flush() {
	taken := c.queue.Taken()
	for i := range taken {
		b := taken[i].Bytes()
		if len(b) < 54 || binary.BigEndian.Uint16(b[12:]) != wire.TypeIPv4 || b[23] != 6 {
			continue
		}
		h := wire.TCPAt(b[34:])
		n := (h.DstPort() - 1024) & uint16(len(c.all)-1)
		x := &c.all[n]
		payload := wire.IPv4At(b[14:]).TotalLen() - 20 - h.HeaderLen()
		if h.Flags()&wire.SYN != 0 {
			x.ack, x.state = h.Seq()+1, established
			c.ready = append(c.ready, uint32(n))
		}
		if h.HeaderLen() >= 32 {
			for o := b[54 : 34+h.HeaderLen()]; len(o) >= 10; o = o[1:] {
				if o[0] == 8 && o[1] == 10 {
					x.echo = binary.BigEndian.Uint32(o[2:])
					break
				}
			}
		}
		if payload > 0 {
			x.ack = h.Seq() + uint32(payload)
			x.missing -= payload
		}
		switch {
		case c.each && h.Flags()&wire.FIN != 0:
			x.ack++
			x.state = finToSend
		case c.each && x.state == ending && h.Ack() == x.seq: // and begin anew
			c.answers++
			*x = benchClient{port: 1024 + (x.port-1024+uint16(len(c.all)))&(benchPorts-1), seq: x.seq + 1<<20}
		case !c.each && payload > 0 && x.missing <= 0:
			c.answers++
		default:
			continue
		}
		c.ready = append(c.ready, uint32(n))
	}
	c.queue.Sent(len(taken))
}

// Exchange lets those who are ready send.
func (c *clients) Exchange() {
	c.Flush()
	n := 0
	for ; n < len(c.rx) && n < len(c.ready); n++ {
		c.rx[n] = c.next(c.room[n][:], c.ready[n])
	}
	c.ready = c.ready[:copy(c.ready, c.ready[n:])]
	c.queue.Rx = c.rx[:n]
}

// next is a client's next segment: its SYN, or a request.
func (c *clients) next(b []byte, i uint32) stack.Frame {
	x := &c.all[i]
	wire.EthernetAt(b).Set(&benchMACs[0], &benchMACs[1], wire.TypeIPv4)
	seg := b[34:]
	var payload []byte
	options, flags := 12, uint8(wire.ACK|wire.PSH)
	copy(seg[20:], "\x01\x01\x08\x0a")
	binary.BigEndian.PutUint32(seg[24:], x.seq)
	binary.BigEndian.PutUint32(seg[28:], x.echo)
	switch {
	case x.state == synToSend:
		flags = wire.SYN
		copy(seg[32:], "\x02\x04\x05\xb4\x04\x02\x03\x03\x07\x00\x00\x00")
		options = 24
	case x.state == finToSend:
		flags = wire.ACK | wire.FIN
	case c.each:
		payload = benchAskOnce
	default:
		payload = benchAsk
		x.missing += answerSize
	}
	size := 20 + options + copy(seg[20+options:], payload)
	wire.IPv4At(b[14:]).Set(0, size, 0, wire.IPv4DF, 64, wire.ProtoTCP, &benchClient4, &benchServer)
	wire.IPv4At(b[14:]).SetChecksum()
	wire.TCPAt(seg).Set(x.port, 80, x.seq, x.ack, 20+options, flags, 8192, 0)
	x.seq += uint32(len(payload))
	switch x.state {
	case synToSend:
		x.state = synSent
		x.seq++
	case finToSend:
		x.state = ending
		x.seq++
	}
	f := stack.MakeFrame(b[:34+size], 0)
	f.Flags = stack.RxL4CsumGood
	return f
}

// BenchmarkServer is the whole way of a request and its answer but for the device: the loop, TCP, epoll, this server.
// The clients' own part is in it.
func BenchmarkServer(b *testing.B) {
	for _, kind := range []string{"tcp", "gvisor"} {
		for _, n := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%s/connections=%d", kind, n), func(b *testing.B) { benchmarkServer(b, kind == "tcp", n, false) })
		}
	}
}

// BenchmarkConnect is BenchmarkServer with a connection for each request, from SYN to TIME-WAIT, in which the port that
// is used next has been once before.
func BenchmarkConnect(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) { benchmarkServer(b, true, n, true) })
	}
}

func benchmarkServer(b *testing.B, own bool, n int, each bool) {
	now := int64(time.Hour)
	st := stack.New(func() int64 { return now })
	c := newClients(n, each)
	st.AddPort(c)
	ns, err := netstack.New(st, netstack.Config{TCP: !own})
	if err != nil {
		b.Fatal(err)
	}
	defer ns.Destroy()
	var socks stack.Sockets = ns
	if own {
		t, err := tcp.New(st, ns, tcp.Config{Connections: 1 << 16, Memory: 64 << 20})
		if err != nil {
			b.Fatal(err)
		}
		defer t.Destroy()
		st.AddLayer(t)
		socks = t
	}
	st.AddLayer(ns)
	if err := ns.AddPort(0, netstack.PortConfig{Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(benchServer), 24)}}); err != nil {
		b.Fatal(err)
	}
	if err := ns.AddNeighbour(0, netip.AddrFrom4(benchClient4), benchMACs[1]); err != nil {
		b.Fatal(err)
	}
	posix.Use(posix.New(st, socks))
	s, err := listen(80)
	if err != nil {
		b.Fatal(err)
	}
	posix.Default().Serve(s.turn, func(err error) { b.Error(err) })
	turns := 0
	turn := func() {
		now += 2000
		st.Poll(now)
		if turns++; !own {
			ns.Settle()
		}
	}
	warm := 10 * n
	if each {
		warm += benchPorts
	}
	for c.answers < warm {
		if turn(); turns > 1000*n+1000*warm {
			b.Fatalf("%d answers to %d clients after %d turns", c.answers, n, turns)
		}
	}
	c.answers, turns = 0, 0
	b.ReportAllocs()
	for b.Loop() {
		for before := c.answers; c.answers == before; {
			turn()
		}
	}
	per := float64(b.Elapsed().Nanoseconds()) / float64(c.answers)
	b.ReportMetric(per, "ns/request")
	b.ReportMetric(float64(c.answers)/float64(turns), "requests/turn")
}
