package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// tcpSegment is a TCP segment with its checksum.
func tcpSegment(src, dst netip.Addr, data []byte) []byte {
	b := make([]byte, header.TCPMinimumSize, header.TCPMinimumSize+len(data))
	header.TCP(b).Encode(&header.TCPFields{SrcPort: 1000, DstPort: 80, SeqNum: 1, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagAck})
	b = append(b, data...)
	header.TCP(b).SetChecksum(^sum(src, dst, 6, b))
	return b
}

// fragments cuts an IP packet's payload into fragments.
func fragments(src, dst netip.Addr, proto byte, payload []byte, size int) (packets [][]byte) {
	for off := 0; off < len(payload); off += size {
		part := payload[off:min(off+size, len(payload))]
		more := off+len(part) < len(payload)
		if src.Is4() {
			b := ip(src, dst, proto, part)
			h := header.IPv4(b)
			h.SetID(77)
			flags := uint8(0)
			if more {
				flags = header.IPv4FlagMoreFragments
			}
			h.SetFlagsFragmentOffset(flags, uint16(off))
			h.SetChecksum(0)
			h.SetChecksum(^h.CalculateChecksum())
			packets = append(packets, b)
			continue
		}
		field := uint16(off)
		if more {
			field |= 1
		}
		ext := []byte{proto, 0, byte(field >> 8), byte(field), 0, 0, 0, 77}
		packets = append(packets, ip(src, dst, header.IPv6FragmentHeader, append(ext, part...)))
	}
	return packets
}

// TestSegmentsForAnotherTCP sends TCP in all the wrappings that only netstack takes off.
func TestSegmentsForAnotherTCP(t *testing.T) {
	data := random(5, 2000)
	for _, src := range []struct {
		a, b netip.Addr
		kind uint16
	}{{a4, b4, 0x0800}, {a6, b6, 0x86dd}} {
		segment := tcpSegment(src.b, src.a, data)
		wrapped := map[string][][]byte{
			"plain":     {ip(src.b, src.a, 6, segment)},
			"fragments": fragments(src.b, src.a, 6, segment, 800),
		}
		if src.a.Is4() {
			wrapped["options"] = [][]byte{ip(src.b, src.a, 6, segment, 1, 1, 1, 0)}
		} else {
			pad := []byte{6, 0, 1, 4, 0, 0, 0, 0} // next header TCP, 8 bytes, PadN
			wrapped["hop by hop"] = [][]byte{ip(src.b, src.a, 0, append(pad, segment...))}
			wrapped["destination options"] = [][]byte{ip(src.b, src.a, 60, append(pad, segment...))}
		}
		for name, packets := range wrapped {
			t.Run(name+" from "+src.b.String(), func(t *testing.T) {
				s := newSolo(t, newFake(64, 4096, 0), Config{})
				got := 0
				s.SetSegments(func(port int, from, to netip.Addr, b []byte) {
					got++
					if port != 0 || from != src.b || to != src.a || !bytes.Equal(b, segment) {
						t.Errorf("segment of %d bytes from %v to %v on port %d", len(b), from, to, port)
					}
				})
				for i := range packets { // the last fragment first
					s.dev.receive(0, 4096, ethernet([6]byte(mac), src.kind, packets[len(packets)-1-i]))
				}
				frames, _ := s.take()
				if got != 1 {
					t.Errorf("%d segments", got)
				}
				for _, f := range frames {
					if f[12] == 0x08 && f[23] == 1 || f[12] == 0x86 && f[20] == 58 && f[54] < 128 {
						t.Errorf("an ICMP error was sent: %x", f)
					}
				}
			})
		}
	}
}

func TestSegmentsNobodyWants(t *testing.T) {
	s := newSolo(t, newFake(64, 4096, 0), Config{})
	one := ethernet([6]byte(mac), 0x0800, ip(b4, a4, 6, tcpSegment(b4, a4, nil)))
	s.dev.receive(0, 4096, one)
	s.turn()
	if c := s.Counters(); c.DropSegmentsNoTaker != 1 {
		t.Errorf("%+v", c)
	}
	got := 0
	s.SetSegments(func(int, netip.Addr, netip.Addr, []byte) { got++ })
	for range segmentsMax + 10 {
		s.dev.receive(0, 4096, one)
	}
	s.turn()
	if c := s.Counters(); c.DropSegmentsQueueFull != 10 || got != segmentsMax {
		t.Errorf("%d segments taken: %+v", got, c)
	}
	s.dev.receive(0, 4096, one)
	s.turn()
	if got != segmentsMax+1 {
		t.Errorf("%d segments taken after the flood", got)
	}
}
