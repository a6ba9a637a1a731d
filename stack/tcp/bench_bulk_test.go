package tcp

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// BenchmarkConnection is a whole connection at a server: SYN, request, answer, and the peer's close.
func BenchmarkConnection(b *testing.B) {
	s := newGenServer(b, allOffloads, 100, 650, 0, Config{Connections: 1 << 16, Memory: 64 << 20})
	s.close = true
	const batch = 32
	s.gen.clients = make([]genClient, 1<<15)
	s.gen.discard = false
	b.ReportAllocs()
	b.ResetTimer()
	begin := cpuTime(b)
	round := func(first, n int, flags uint8, payload []byte, advance uint32) {
		s.st.Lock()
		for i := first; i < first+n; i++ {
			c := &s.gen.clients[i%len(s.gen.clients)]
			f := s.gen.frame(s.gen.bufs[i%len(s.gen.bufs)], uint32(i%len(s.gen.clients)), c, flags, payload)
			c.seq += advance
			s.Deliver(0, []stack.Frame{f})
		}
		s.st.Unlock()
		s.turn()
		s.turn()
		s.gen.ready = s.gen.ready[:0]
	}
	for at := 0; at < b.N; at += batch {
		for i := at; i < at+batch; i++ {
			s.gen.clients[i%len(s.gen.clients)] = genClient{seq: uint32(at)}
		}
		round(at, batch, wire.SYN, nil, 1)
		round(at, batch, wire.ACK, nil, 0)
		round(at, batch, wire.ACK|wire.PSH, s.gen.request, uint32(len(s.gen.request)))
		round(at, batch, wire.ACK|wire.FIN, nil, 1)
		for i := at; i < at+batch; i++ {
			s.gen.clients[i%len(s.gen.clients)].ack++ // of the server's FIN
		}
		round(at, batch, wire.ACK, nil, 0)
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
	if u := s.Usage(); u.PCBs > 1+batch {
		b.Errorf("connections stay: %+v", u)
	}
}

// bulkDevice plays the peer of one stream: it acknowledges all that comes, or sends as fast as it may.
type bulkDevice struct {
	*generator
	send  bool
	acked uint32
	right uint32 // edge of the host's window
	scale uint8
	got   uint64
	ackTo uint32
}

func (d *bulkDevice) Flush() {
	taken := d.queue.Taken()
	for i := 0; i < len(taken); i++ {
		b := taken[i].Bytes()
		tcp := b[wire.EthernetLen+wire.IPv4Len:]
		h := wire.TCPAt(tcp)
		n := len(tcp) - h.HeaderLen()
		for taken[i].Flags&stack.More != 0 {
			i++
			n += int(taken[i].Len)
		}
		c := &d.clients[0]
		c.tsEcr = binary.BigEndian.Uint32(tcp[24:28])
		d.got += uint64(n)
		c.ack = h.Seq() + uint32(n)
		d.acked = h.Ack()
		d.right = h.Ack() + uint32(h.Window())<<d.scale
		if n > 0 {
			d.ackTo++
		}
	}
	d.queue.Sent(len(taken))
}

func (d *bulkDevice) Exchange() {
	d.Flush()
	n := 0
	c := &d.clients[0]
	if d.send {
		for ; n < len(d.rx) && int32(d.right-c.seq) >= 1448; n++ {
			d.rx[n] = d.frame(d.bufs[n], 0, c, wire.ACK, d.request)
			c.seq += uint32(len(d.request))
			d.got += uint64(len(d.request))
		}
	} else if d.ackTo > 0 {
		d.rx[0] = d.frame(d.bufs[0], 0, c, wire.ACK, nil)
		n, d.ackTo = 1, 0
	}
	d.queue.Rx = d.rx[:n]
}

// BenchmarkBulk is one stream in one direction, with the application's part: it writes or reads 64 KiB at a time.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name    string
		send    bool
		offload stack.FrameFlags
	}{
		{"send/tso", false, allOffloads | stack.TxTSO}, {"send/offload", false, allOffloads}, {"send/software", false, 0},
		{"receive/offload", true, allOffloads}, {"receive/software", true, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			now := int64(time.Hour)
			d := &bulkDevice{generator: newGenerator(c.offload, 1448, 1, func() int64 { return now }), send: c.send, scale: 7}
			st := stack.New(func() int64 { return now })
			st.AddPort(d)
			h := &host{st: st, ip4: benchHost, net: &staticNet{local: nil, mtu: 1500}}
			h.net.local = append(h.net.local, benchHost)
			var err error
			h.TCP, err = New(st, h.net, Config{Connections: 100, Memory: 64 << 20})
			must(b, err)
			defer h.Destroy()
			st.AddLayer(h.TCP)
			l := h.listen(b, ap(benchHost, 80))
			d.clients = make([]genClient, 1)
			var conn stack.Handle
			for _, flags := range []uint8{wire.SYN, wire.ACK} {
				f := d.frame(d.bufs[0], 0, &d.clients[0], flags, nil)
				if flags == wire.SYN {
					d.clients[0].seq++
				}
				st.Lock()
				h.Deliver(0, []stack.Frame{f})
				st.Unlock()
				d.send = false
				st.Poll(now)
				st.Poll(now)
				d.clients[0].ack = h.pcbs.at(h.pcbs.fresh-1).iss + 1
			}
			conn, _, err = h.Accept(l)
			must(b, err)
			d.send = c.send
			d.right = d.clients[0].seq + 65535
			buf := make([]byte, 64<<10)
			st.Serve = func() bool {
				for {
					var n int
					if c.send {
						n, _ = h.Recv(conn, buf, 0)
					} else {
						n, _ = h.Send(conn, buf, 0)
					}
					if n <= 0 {
						return true
					}
				}
			}
			const unit = 64 << 10
			for range 3000 {
				now += 20_000
				st.Poll(now)
			}
			d.got = 0
			b.SetBytes(unit)
			b.ReportAllocs()
			b.ResetTimer()
			begin := cpuTime(b)
			for d.got < uint64(b.N)*unit {
				now += 20_000
				st.Poll(now)
			}
			spent := cpuTime(b) - begin
			b.ReportMetric(float64(d.got)*8/float64(spent), "Gbit/cpu-s")
		})
	}
}

// BenchmarkFlood is a SYN that is answered with a cookie.
func BenchmarkFlood(b *testing.B) {
	s := newGenServer(b, allOffloads, 100, 650, 0, Config{Connections: 1 << 16, Memory: 64 << 20})
	must(b, s.SetSysctl("net.inet.tcp.syncookies_only", "1"))
	s.gen.clients = make([]genClient, 1<<16)
	s.gen.discard = true
	b.ReportAllocs()
	b.ResetTimer()
	begin := cpuTime(b)
	for at := 0; at < b.N; at += 32 {
		s.st.Lock()
		for i := at; i < at+32; i++ {
			f := s.gen.frame(s.gen.bufs[0], uint32(i&0xffff), &s.gen.clients[i&0xffff], wire.SYN, nil)
			s.Deliver(0, []stack.Frame{f})
		}
		s.st.Unlock()
		s.turn()
	}
	b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
}
