package netstack

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// BenchmarkDatagram measures one datagram on its way through: up to a socket and out of it, and down to a frame.
func BenchmarkDatagram(b *testing.B) {
	s := newSolo(b, newFake(64, 1514, 0), Config{})
	h := s.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s.ok(s.Bind(h, netip.AddrPortFrom(a4, 7)))
	s.ok(s.Connect(h, netip.AddrPortFrom(b4, 9)))
	buf := make([]byte, 2000)
	b.Run("received", func(b *testing.B) {
		frame := ethernet([6]byte(mac), 0x0800, ip(b4, a4, 17, datagram(netip.AddrPortFrom(b4, 9), netip.AddrPortFrom(a4, 7), make([]byte, 100))))
		in := []stack.Frame{stack.MakeFrame(frame, 0)}
		in[0].Flags = stack.RxIPCsumGood | stack.RxL4CsumGood
		b.ReportAllocs()
		for range b.N {
			s.Deliver(0, in)
			if _, err := s.Recv(h, buf, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sent", func(b *testing.B) {
		q := s.dev.Queue()
		b.ReportAllocs()
		for range b.N {
			if _, err := s.Send(h, buf[:100], 0); err != nil {
				b.Fatal(err)
			}
			s.Exhale(0)
			q.Sent(len(q.Taken()))
		}
	})
}

// BenchmarkStream sends 64 KiB at a time over a perfect wire, on the simulated clock: what both stacks cost together.
func BenchmarkStream(b *testing.B) {
	w := newNetwork(b, simnet.Config{})
	out, in := w.connect(netip.AddrPortFrom(b4, 80))
	data, buf := make([]byte, 64<<10), make([]byte, 256<<10)
	b.SetBytes(int64(len(data)))
	for range b.N {
		sent, got := 0, 0
		w.sim.Run(1<<40, func() bool {
			if sent < len(data) {
				n, _ := w.a.Send(out, data[sent:], 0)
				sent += n
			}
			n, _ := w.b.Recv(in, buf, 0)
			got += n
			return got == len(data)
		})
	}
}
