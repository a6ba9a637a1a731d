package wire

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// reference is RFC 1071 §1 word by word.
func reference(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func TestSumRFC1071(t *testing.T) {
	// The example of RFC 1071 §3.
	if got := Sum(0).Add([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}).Fold(); got != 0xddf2 {
		t.Errorf("sum = %#04x, want 0xddf2", got)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
			if n%3 == 0 {
				b[i] = 0xff // carries everywhere
			}
		}
		want := reference(b)
		if got := Sum(0).Add(b).Fold(); got != want {
			t.Fatalf("%d bytes: sum = %#04x, want %#04x", n, got, want)
		}
		for _, cut := range []int{0, 1, n / 2, n/2 + 1, n} {
			if cut > n {
				continue
			}
			if got := Sum(0).Add(b[:cut]).Join(Sum(0).Add(b[cut:]), cut).Fold(); got != want {
				t.Fatalf("%d bytes cut at %d: sum = %#04x, want %#04x", n, cut, got, want)
			}
		}
	}
}

func TestIPv4HeaderRoundTrip(t *testing.T) {
	var h IPv4
	src, dst := [4]byte{10, 0, 0, 1}, [4]byte{192, 168, 255, 254}
	h.Set(0x12, 100, 7, IPv4DF, 64, ProtoTCP, &src, &dst)
	h.SetChecksum()
	if !h.ChecksumGood() || reference(h[:]) != 0xffff {
		t.Errorf("checksum %#04x is not right", h.Checksum())
	}
	if h.VersionIHL() != 0x45 || h.HeaderLen() != 20 || h.TOS() != 0x12 || h.TotalLen() != 120 || h.ID() != 7 ||
		h.Fragment() != IPv4DF || h.TTL() != 64 || h.Proto() != 6 || *h.Src() != src || *h.Dst() != dst {
		t.Errorf("fields differ: %x", h)
	}
	for i := range h {
		h[i] ^= 0x10
		if h.ChecksumGood() {
			t.Errorf("a flipped bit in byte %d is not noticed", i)
		}
		h[i] ^= 0x10
	}
}

func TestTCPChecksumOverBothFamilies(t *testing.T) {
	var h TCP
	h.Set(80, 40000, 0x01020304, 0xfffefdfc, 32, ACK|PSH, 512, 9)
	if h.SrcPort() != 80 || h.DstPort() != 40000 || h.Seq() != 0x01020304 || h.Ack() != 0xfffefdfc ||
		h.HeaderLen() != 32 || h.Flags() != ACK|PSH || h.Window() != 512 || h.Urgent() != 9 {
		t.Errorf("fields differ: %x", h)
	}
	s4, d4 := [4]byte{10, 1, 2, 3}, [4]byte{10, 4, 5, 6}
	pseudo := append(append(append([]byte{}, s4[:]...), d4[:]...), 0, 6, 0, 20)
	h.SetChecksum(PseudoIPv4(&s4, &d4, ProtoTCP, 20).Add(h[:]).Fold())
	if reference(append(pseudo, h[:]...)) != 0xffff || !PseudoIPv4(&s4, &d4, ProtoTCP, 20).Add(h[:]).Good() {
		t.Error("IPv4: wrong checksum")
	}
	s6, d6 := [16]byte{0xfe, 0x80, 15: 1}, [16]byte{0x20, 1, 0xd, 0xb8, 15: 0xff}
	pseudo = append(append(append([]byte{}, s6[:]...), d6[:]...), 0, 0, 0, 20, 0, 0, 0, 6)
	h[16], h[17] = 0, 0
	h.SetChecksum(PseudoIPv6(&s6, &d6, ProtoTCP, 20).Add(h[:]).Fold())
	if reference(append(pseudo, h[:]...)) != 0xffff || !PseudoIPv6(&s6, &d6, ProtoTCP, 20).Add(h[:]).Good() {
		t.Error("IPv6: wrong checksum")
	}
}

func TestIPv4PutIsSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var put, set IPv4
		src, dst := r.Uint32(), r.Uint32()
		tos, n, id, frag, ttl, proto := uint8(r.Uint32()), int(r.Uint32N(65000)), uint16(r.Uint32()), uint16(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32())
		var s, d [4]byte
		binary.BigEndian.PutUint32(s[:], src)
		binary.BigEndian.PutUint32(d[:], dst)
		set.Set(tos, n, id, frag, ttl, proto, &s, &d)
		if put.Put(tos, n, id, frag, ttl, proto, src, dst, false); put != set {
			t.Fatalf("without checksum: %x, want %x", put, set)
		}
		set.SetChecksum()
		if put.Put(tos, n, id, frag, ttl, proto, src, dst, true); put != set {
			t.Fatalf("with checksum: %x, want %x", put, set)
		}
		if got, want := PseudoIPv4Of(src, dst, proto, n).Fold(), PseudoIPv4(&s, &d, proto, n).Fold(); got != want {
			t.Fatalf("pseudo header: %x, want %x", got, want)
		}
	}
}

func TestIPv6AndEthernetRoundTrip(t *testing.T) {
	var h IPv6
	src, dst := [16]byte{1, 15: 2}, [16]byte{3, 15: 4}
	h.Set(0xab, 0x12345, 77, ProtoTCP, 63, &src, &dst)
	if h.Version() != 6 || h.Class() != 0xab || h.FlowLabel() != 0x12345 || h.PayloadLen() != 77 || h.Next() != 6 ||
		h.HopLimit() != 63 || *h.Src() != src || *h.Dst() != dst {
		t.Errorf("fields differ: %x", h)
	}
	var e Ethernet
	a, b := [6]byte{1, 2, 3, 4, 5, 6}, [6]byte{7, 8, 9, 10, 11, 12}
	e.Set(&a, &b, TypeIPv6)
	if *e.Dst() != a || *e.Src() != b || e.Type() != TypeIPv6 || binary.BigEndian.Uint16(e[12:]) != 0x86dd {
		t.Errorf("fields differ: %x", e)
	}
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 64, 700, 1460, 65000} {
		p := make([]byte, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			var s Sum
			for range b.N {
				s = Sum(0).Add(p)
			}
			if s != 0 {
				b.Fatal(s)
			}
		})
	}
}
