package fstack

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// TestAllocations holds the budget of a request on an established connection.
func TestAllocations(t *testing.T) {
	w := fakeWorld(t)
	a, b := w.pipe(t)
	p := make([]byte, 1000)
	u, v := udpPair(t, w, "udp", b4)
	to := netip.MustParseAddrPort(v.LocalAddr().String())
	echoed := make(chan error, 1)
	go func() {
		p := make([]byte, 1000)
		for {
			n, err := b.Read(p)
			if err == nil {
				_, err = b.Write(p[:n])
			}
			if err != nil {
				echoed <- err
				return
			}
		}
	}()
	for _, c := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Write and Read that wait for an echo", 0, func() {
			a.Write(p[:100])
			a.Read(p)
		}},
		{"with deadlines set for each", 0, func() {
			a.SetReadDeadline(time.Now().Add(time.Second))
			a.SetWriteDeadline(time.Now().Add(time.Second))
			a.Write(p[:100])
			a.Read(p)
		}},
		// One is the fake's: it keeps datagrams on the heap.
		{"UDP Write and ReadFromUDPAddrPort", 1, func() {
			u.Write(p[:100])
			v.ReadFromUDPAddrPort(p)
		}},
		{"UDP WriteToUDPAddrPort and ReadMsgUDPAddrPort", 1, func() {
			v.WriteToUDPAddrPort(p[:100], to)
			v.ReadMsgUDPAddrPort(p, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 100 {
				c.f()
			}
			if n := testing.AllocsPerRun(200, c.f); n > c.want {
				t.Errorf("%v allocations, want %v", n, c.want)
			}
		})
	}
	a.Close()
	<-echoed

	t.Run("Accept and Close", func(t *testing.T) {
		l := w.listen(t, "tcp", b4)
		to := netip.MustParseAddrPort(l.Addr().String())
		h := w.a.tcp.(*fakeHost)
		const runs = 200
		for range runs + 1 {
			s, err := h.Open(unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			h.Connect(s, to)
			defer h.Close(s)
		}
		n := testing.AllocsPerRun(runs, func() {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		})
		if n > 2 { // the connection, and one in the fake's Close
			t.Errorf("%v allocations, want 2", n)
		}
	})
}

// BenchmarkEcho is a question and its answer, both ends of it, over each table; with 64, as many connections ask at once.
func BenchmarkEcho(b *testing.B) {
	for _, t := range []struct {
		name  string
		world func(b *testing.B) world
	}{
		{"fake", func(b *testing.B) world { return fakeWorld(b) }},
		{"netstack", func(b *testing.B) world { return simWorld(b, false, simnet.Config{}, stack.IdlePoll) }},
		{"tcp", func(b *testing.B) world { return simWorld(b, true, simnet.Config{}, stack.IdlePoll) }},
	} {
		for _, conns := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", t.name, conns), func(b *testing.B) { benchmarkEcho(b, t.world(b), conns) })
		}
	}
}

func benchmarkEcho(b *testing.B, w world, conns int) {
	var asks []*TCPConn
	var servers, clients sync.WaitGroup
	for range conns {
		c, s := w.pipe(b)
		asks = append(asks, c)
		servers.Go(func() {
			p := make([]byte, 1000)
			for {
				n, err := s.Read(p)
				if err != nil {
					return
				}
				s.Write(p[:n])
			}
		})
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	for _, c := range asks {
		clients.Go(func() {
			p := make([]byte, 1000)
			for left.Add(-1) >= 0 {
				c.Write(p[:100])
				if _, err := c.Read(p); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	for _, c := range asks {
		c.Close()
	}
	servers.Wait()
}

// BenchmarkReadWrite is a Write and a Read that do not wait.
func BenchmarkReadWrite(b *testing.B) {
	w := fakeWorld(b)
	c, s := w.pipe(b)
	p := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(p)
		s.Read(p)
	}
}

func BenchmarkConnect(b *testing.B) {
	w := fakeWorld(b)
	l := w.listen(b, "tcp", b4)
	address := l.Addr().String()
	b.ReportAllocs()
	for b.Loop() {
		c, err := w.a.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
		c.Close()
	}
}
