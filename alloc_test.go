package fstack

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

func BenchmarkEcho(b *testing.B) {
	w := fakeWorld(b)
	c, s := w.pipe(b)
	go func() {
		p := make([]byte, 1000)
		for {
			n, err := s.Read(p)
			if err != nil {
				return
			}
			s.Write(p[:n])
		}
	}()
	p := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(p)
		c.Read(p)
	}
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
