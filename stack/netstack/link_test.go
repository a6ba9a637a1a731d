package netstack

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/fstack-go/fstack/stack"
)

func TestDropsAreCountedByReason(t *testing.T) {
	to := [6]byte(mac)
	_, ping := echo(b4, a4, []byte("ping"))
	packet := ip(b4, a4, 1, ping)
	for _, c := range []struct {
		name    string
		flags   stack.FrameFlags
		frame   []byte
		counter func(*Counters) *uint64
	}{
		{"IP checksum", stack.RxIPCsumBad, ethernet(to, 0x0800, packet), func(c *Counters) *uint64 { return &c.DropRxBadIPChecksum }},
		{"L4 checksum", stack.RxL4CsumBad, ethernet(to, 0x0800, packet), func(c *Counters) *uint64 { return &c.DropRxBadL4Checksum }},
		{"empty", 0, nil, func(c *Counters) *uint64 { return &c.DropRxRunt }},
		{"header only", 0, ethernet(to, 0x0800, nil), func(c *Counters) *uint64 { return &c.DropRxRunt }},
		{"other host", 0, ethernet([6]byte{2, 0, 0, 0, 0, 7}, 0x0800, packet), func(c *Counters) *uint64 { return &c.DropRxOtherHost }},
		{"VLAN", 0, ethernet(to, 0x8100, packet), func(c *Counters) *uint64 { return &c.DropRxVLAN }},
		{"QinQ", 0, ethernet(to, 0x88a8, packet), func(c *Counters) *uint64 { return &c.DropRxVLAN }},
		{"EtherType", 0, ethernet(to, 0x88cc, packet), func(c *Counters) *uint64 { return &c.DropRxUnknownEtherType }},
		{"IEEE 802.3 length", 0, ethernet(to, 46, packet), func(c *Counters) *uint64 { return &c.DropRxUnknownEtherType }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSolo(t, newFake(64, 1514, 0), Config{})
			s.take()
			want := s.Counters()
			*c.counter(&want)++
			s.dev.receive(c.flags, 4096, c.frame)
			frames, _ := s.take()
			if got := s.Counters(); got != want {
				t.Errorf("counters\n%+v, want\n%+v", got, want)
			}
			if len(frames) != 0 {
				t.Errorf("%d frames were sent", len(frames))
			}
			if c := s.st.Counters(); c.DropNoLayerTookFrame != 0 {
				t.Error("the frame was left to other layers")
			}
		})
	}
}

func TestFramesOfOtherPortsAreLeft(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{})
	other := newFake(1, 64, 0)
	port := s.st.AddPort(other)
	other.receive(0, 4096, ethernet([6]byte(mac), 0x0800, []byte("packet")))
	s.turn()
	if c := s.st.Counters(); c.DropNoLayerTookFrame != 1 {
		t.Errorf("frame of port %d, which is not netstack's: %+v", port, c)
	}
}

func TestFrameInPieces(t *testing.T) {
	for _, src := range []struct {
		a, b netip.Addr
		kind uint16
	}{{a4, b4, 0x0800}, {a6, b6, 0x86dd}} {
		for _, piece := range []int{1, 13, 14, 33, 100, 4096} {
			s := newSolo(t, newFake(64, 1514, 0), Config{})
			s.take()
			proto, ping := echo(src.b, src.a, random(1, 1000))
			s.dev.receive(0, piece, ethernet([6]byte(mac), src.kind, ip(src.b, src.a, proto, ping)))
			frames, _ := s.take()
			if len(frames) != 1 || !bytes.HasSuffix(frames[0], ping[8:]) {
				t.Errorf("pieces of %d bytes from %v: %d frames answered", piece, src.b, len(frames))
			}
		}
	}
}

// TestChecksumVerdicts checks that a good verdict of the device is trusted, and that without one a wrong checksum is found.
func TestChecksumVerdicts(t *testing.T) {
	for _, src := range []struct {
		a, b netip.Addr
		kind uint16
	}{{a4, b4, 0x0800}, {a6, b6, 0x86dd}} {
		for _, c := range []struct {
			name   string
			flags  stack.FrameFlags
			breaks func(frame []byte, l4 int)
			taken  bool
		}{
			{"right, no verdict", 0, func([]byte, int) {}, true},
			{"wrong L4, no verdict", 0, func(f []byte, l4 int) { f[l4+6]++ }, false},
			{"wrong L4, good IP", stack.RxIPCsumGood, func(f []byte, l4 int) { f[l4+6]++ }, false},
			{"wrong L4, both good", stack.RxIPCsumGood | stack.RxL4CsumGood, func(f []byte, l4 int) { f[l4+6]++ }, true},
			{"wrong L4, L4 good", stack.RxL4CsumGood, func(f []byte, l4 int) { f[l4+6]++ }, true},
			{"wrong IP, L4 good", stack.RxL4CsumGood, func(f []byte, l4 int) {
				if f[14]>>4 == 4 {
					f[24]++
				} else {
					f[14] = 0x50
				}
			}, false},
		} {
			s := newSolo(t, newFake(64, 1514, 0), Config{})
			h := s.open(family(src.a), unix.SOCK_DGRAM, 0)
			s.ok(s.Bind(h, netip.AddrPortFrom(src.a, 7)))
			f := ethernet([6]byte(mac), src.kind, ip(src.b, src.a, 17, datagram(netip.AddrPortFrom(src.b, 9), netip.AddrPortFrom(src.a, 7), []byte("data"))))
			c.breaks(f, 14+ipHeader(src.a))
			s.dev.receive(c.flags, 4096, f)
			s.turn()
			_, err := s.Recv(h, make([]byte, 10), 0)
			if (err == nil) != c.taken || err != nil && err != syscall.EAGAIN {
				t.Errorf("%s from %v: %v, want taken: %v", c.name, src.b, err, c.taken)
			}
		}
	}
}

// TestBackpressure fills the device's queue, then netstack's own.
func TestBackpressure(t *testing.T) {
	dev := newFake(4, 1514, 0)
	dev.stuck = true
	s := newSolo(t, dev, Config{TxQueue: 10})
	full := s.Counters().DropTxQueueFull // by what an interface sends when it comes up
	h := s.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	waiting := int(s.links[0].waiting.Load())
	for i := range 30 {
		if _, err := s.SendTo(h, []byte{byte(i)}, netip.AddrPortFrom(b4, 9), 0); err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
	}
	if got := s.Counters().DropTxQueueFull - full; got != uint64(30-(10-waiting)) {
		t.Errorf("%d datagrams dropped of 30 with room for %d", got, 10-waiting)
	}
	if s.st.Next() > 0 {
		t.Error("the loop may sleep while packets wait")
	}
	dev.stuck = false
	s.turn()
	next := byte(0)
	for _, f := range dev.sent {
		if f[12] == 8 && f[23] == 17 {
			if f[len(f)-1] != next {
				t.Errorf("datagram %d where %d was next", f[len(f)-1], next)
			}
			next++
		}
	}
	if int(next) != 10-waiting {
		t.Errorf("%d datagrams left, of %d that had room", next, 10-waiting)
	}
	if s.Pending() {
		t.Error("packets still wait")
	}
}

// TestSendBufferLimitsWhatWaits checks that a datagram socket is told to wait for the device, and told when to go on.
func TestSendBufferLimitsWhatWaits(t *testing.T) {
	dev := newFake(4, 1514, 0)
	dev.stuck = true
	s := newSolo(t, dev, Config{})
	news := &recorder{}
	h := s.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s.Watch(h, s.st.AddSink(news), 77)
	s.ok(s.SetOption(h, unix.SOL_SOCKET, unix.SO_SNDBUF, cint(8000)))
	n := 0
	for ; n < 1000; n++ {
		if _, err := s.SendTo(h, make([]byte, 1000), netip.AddrPortFrom(b4, 9), 0); err == syscall.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n < 4 || n > 20 {
		t.Errorf("%d datagrams of 1000 bytes fit into 2·8000 bytes of send buffer", n)
	}
	if ev := s.Events(h); ev&stack.EventOut != 0 {
		t.Errorf("events %#x of a socket with a full buffer", ev)
	}
	s.turn()
	news.take()
	dev.stuck = false
	s.turn()
	if got := news.take(); got[77]&stack.EventOut == 0 {
		t.Errorf("news %v, want EventOut for tag 77", got)
	}
	if ev := s.Events(h); ev&stack.EventOut == 0 {
		t.Errorf("events %#x after the packets left", ev)
	}
}

// TestPacketTooBigForDevice has a device whose whole queue is smaller than a packet.
func TestPacketTooBigForDevice(t *testing.T) {
	dev := newFake(4, 100, 0)
	s := newSolo(t, dev, Config{})
	h := s.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	for _, size := range []int{1000, 100} {
		_, err := s.SendTo(h, make([]byte, size), netip.AddrPortFrom(b4, 9), 0)
		s.ok(err)
	}
	frames, _ := s.take()
	if got := s.Counters().DropTxTooBig; got != 1 {
		t.Errorf("%d packets dropped as too big, want 1", got)
	}
	if len(frames) == 0 || len(frames[len(frames)-1]) != 14+20+8+100 {
		t.Errorf("the packet behind it was not sent: %d frames", len(frames))
	}
}

// joinSegments checks that frames are the TCP segments of one stream of data, whole and with right headers, and returns
// the data. With flags, the device was to fill in the checksum.
func joinSegments(t *testing.T, frames [][]byte, flags []stack.FrameFlags, offloads stack.FrameFlags) (data []byte) {
	t.Helper()
	seq := uint32(0)
	for i, f := range frames {
		var l3 int
		var src, dst netip.Addr
		var payload []byte
		switch {
		case f[12] == 8 && f[13] == 0 && f[23] == 6:
			h := header.IPv4(f[14:])
			l3 = int(h.HeaderLength())
			src, dst = fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress())
			if int(h.TotalLength()) != len(f)-14 || !h.IsChecksumValid() {
				t.Errorf("frame %d: IPv4 length %d of %d, checksum valid: %v", i, h.TotalLength(), len(f)-14, h.IsChecksumValid())
			}
			payload = f[14+l3:]
		case f[12] == 0x86 && f[13] == 0xdd && f[20] == 6:
			h := header.IPv6(f[14:])
			l3 = header.IPv6MinimumSize
			src, dst = fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress())
			if int(h.PayloadLength()) != len(f)-14-l3 {
				t.Errorf("frame %d: IPv6 payload length %d of %d", i, h.PayloadLength(), len(f)-14-l3)
			}
			payload = f[14+l3:]
		default:
			continue
		}
		tcp := header.TCP(payload)
		body := payload[tcp.DataOffset():]
		if offloads&stack.TxTCPCsum != 0 {
			if flags[i]&stack.TxTCPCsum == 0 || (flags[i]&stack.TxIPv6 != 0) != src.Is6() {
				t.Errorf("frame %d: flags %#x", i, flags[i])
			}
			// What the device would do: sum all of it, the field holding the pseudo header's sum, and complement.
			tcp.SetChecksum(^checksum.Checksum(payload, 0))
		}
		if got := sum(src, dst, 6, payload); got != 0xffff {
			t.Errorf("frame %d: TCP checksum wrong", i)
		}
		if len(body) == 0 {
			continue
		}
		if seq != 0 && tcp.SequenceNumber() != seq {
			t.Errorf("frame %d: sequence number %d, want %d", i, tcp.SequenceNumber(), seq)
		}
		seq = tcp.SequenceNumber() + uint32(len(body))
		data = append(data, body...)
	}
	return data
}
