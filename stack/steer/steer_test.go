package steer

import (
	"net/netip"
	"testing"
)

// The verification suite of Microsoft's "Verifying the RSS Hash Calculation".
var vectors = []struct {
	src, dst    string
	addrs, flow uint32
}{
	{"66.9.149.187:2794", "161.142.100.80:1766", 0x323e8fc2, 0x51ccc178},
	{"199.92.111.2:14230", "65.69.140.83:4739", 0xd718262a, 0xc626b0ea},
	{"24.19.198.95:12898", "12.22.207.184:38024", 0xd2d0a5de, 0x5c2b394a},
	{"38.27.205.30:48228", "209.142.163.6:2217", 0x82989176, 0xafc7327f},
	{"153.39.163.191:44251", "202.188.127.2:1303", 0x5d1809c5, 0x10e828a2},
	{"[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x2cc18cd5, 0x40207d3d},
	{"[3ffe:501:8::260:97ff:fe40:efab]:14230", "[ff02::1]:4739", 0x0f0c461c, 0xdde51bbf},
	{"[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251", "[fe80::200:f8ff:fe21:67cf]:38024", 0x4b61e985, 0x02d1feef},
}

func TestPublishedVectors(t *testing.T) {
	h, err := NewToeplitz(MicrosoftKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		src, dst := netip.MustParseAddrPort(v.src), netip.MustParseAddrPort(v.dst)
		if got := h.Addrs(src.Addr(), dst.Addr()); got != v.addrs {
			t.Errorf("addresses %s > %s: %#08x, want %#08x", src, dst, got, v.addrs)
		}
		if got := h.Flow(src, dst); got != v.flow {
			t.Errorf("flow %s > %s: %#08x, want %#08x", src, dst, got, v.flow)
		}
	}
}

func TestSymmetricKeyIsSymmetric(t *testing.T) {
	h, _ := NewToeplitz(SymmetricKey)
	for _, v := range vectors {
		src, dst := netip.MustParseAddrPort(v.src), netip.MustParseAddrPort(v.dst)
		if a, b := h.Flow(src, dst), h.Flow(dst, src); a != b {
			t.Errorf("%s, %s: %#x one way, %#x the other", src, dst, a, b)
		}
	}
}

func TestPortsAreAllThatComeBack(t *testing.T) {
	for _, key := range [][]byte{MicrosoftKey, SymmetricKey} {
		for _, v := range []int{0, 7} { // one of each family
			v := vectors[v]
			for _, size := range []int{1, 128} {
				r, err := New(key, Even(size, min(3, size)))
				if err != nil {
					t.Fatal(err)
				}
				remote, local := netip.MustParseAddrPort(v.src), netip.MustParseAddrPort(v.dst).Addr()
				for queue := range 3 {
					want := 0
					for p := 10000; p <= 65535; p++ {
						if r.Flow(remote, netip.AddrPortFrom(local, uint16(p))) == queue {
							want++
						}
					}
					seen := make(map[uint16]bool)
					for p := range r.Ports(queue, remote, local, 10000, 65535, 0xdecafbad) {
						if got := r.Flow(remote, netip.AddrPortFrom(local, p)); got != queue || seen[p] {
							t.Fatalf("port %d for queue %d: comes back to %d, seen before %t", p, queue, got, seen[p])
						}
						seen[p] = true
					}
					if len(seen) != want {
						t.Errorf("RETA of %d, queue %d: %d ports, want %d", size, queue, len(seen), want)
					}
				}
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	if _, err := New(make([]byte, 39), Even(128, 2)); err == nil {
		t.Error("a key of 39 bytes was taken")
	}
	for _, n := range []int{0, 3, 1 << 16} {
		if _, err := New(MicrosoftKey, make([]uint16, n)); err == nil {
			t.Errorf("a redirection table of %d entries was taken", n)
		}
	}
}

func BenchmarkFlow(b *testing.B) {
	h, _ := NewToeplitz(MicrosoftKey)
	src, dst := netip.MustParseAddrPort(vectors[0].src), netip.MustParseAddrPort(vectors[0].dst)
	for b.Loop() {
		h.Flow(src, dst)
	}
}

func BenchmarkFirstPort(b *testing.B) {
	r, _ := New(MicrosoftKey, Even(128, 4))
	src, dst := netip.MustParseAddrPort(vectors[0].src), netip.MustParseAddrPort(vectors[0].dst)
	b.ReportAllocs()
	for b.Loop() {
		for range r.Ports(2, src, dst.Addr(), 10000, 65535, 1) {
			break
		}
	}
}
