package steer

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// mesh notes what is handed over.
type mesh struct {
	to       []int
	flags    []stack.FrameFlags
	injected [][]byte
	quiet    bool
	full     bool
}

func (m *mesh) Hand(frame []stack.Frame, to int, flags stack.FrameFlags) bool {
	if m.quiet {
		return true
	}
	m.to, m.flags = append(m.to, to), append(m.flags, flags)
	return !m.full
}

func (m *mesh) Inject(b []byte, to int, flags stack.FrameFlags) bool {
	m.to, m.flags, m.injected = append(m.to, to), append(m.flags, flags), append(m.injected, bytes.Clone(b))
	return !m.full
}

var (
	testMAC  = [6]byte{2, 0, 0, 0, 0, 1}
	peerMAC  = [6]byte{2, 0, 0, 0, 0, 2}
	groupMAC = [6]byte{1, 0, 0x5e, 0, 0, 1}
	our4     = netip.MustParseAddrPort("10.0.0.1:80")
	peer4    = netip.MustParseAddrPort("10.0.0.2:4711")
	our6     = netip.MustParseAddrPort("[fd00::1]:80")
	peer6    = netip.MustParseAddrPort("[fd00::2]:4711")
)

func eth(dst [6]byte, typ uint16, body ...[]byte) []byte {
	b := make([]byte, wire.EthernetLen)
	wire.EthernetAt(b).Set(&dst, &peerMAC, typ)
	return append(b, bytes.Join(body, nil)...)
}

// ip4 is an IPv4 header with options, whose length is a multiple of four, and what follows it.
func ip4(src, dst netip.AddrPort, proto uint8, fragment uint16, options []byte, body ...[]byte) []byte {
	payload := bytes.Join(body, nil)
	s, d := src.Addr().As4(), dst.Addr().As4()
	h := make([]byte, wire.IPv4Len)
	wire.IPv4At(h).Set(0, len(options)+len(payload), 7, fragment, 64, proto, &s, &d)
	h[0] += uint8(len(options) / 4)
	return append(append(h, options...), payload...)
}

func ip6(src, dst netip.AddrPort, next uint8, body ...[]byte) []byte {
	payload := bytes.Join(body, nil)
	s, d := src.Addr().As16(), dst.Addr().As16()
	h := make([]byte, wire.IPv6Len)
	wire.IPv6At(h).Set(0, 0, len(payload), next, 64, &s, &d)
	return append(h, payload...)
}

func segment(src, dst netip.AddrPort, flags uint8) []byte {
	b := make([]byte, wire.TCPLen)
	wire.TCPAt(b).Set(src.Port(), dst.Port(), 1, 2, wire.TCPLen, flags, 100, 0)
	return b
}

func datagram(src, dst netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint16(nil, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	return append(b, 0, 12, 0, 0, 'd', 'a', 't', 'a')
}

func tcp4(flags uint8) []byte {
	return eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 6, 0, nil, segment(peer4, our4, flags)))
}

func error4(typ uint8, quote []byte) []byte {
	return eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 1, 0, nil, []byte{typ, 1, 0, 0, 0, 0, 0, 0}, quote))
}

func error6(typ uint8, quote []byte) []byte {
	return eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 58, []byte{typ, 1, 0, 0, 0, 0, 0, 0}, quote))
}

// frames are one of each, and what they are.
func frames() map[string]struct {
	b    []byte
	want kind
} {
	type f = struct {
		b    []byte
		want kind
	}
	syn4, syn6 := segment(peer4, our4, wire.SYN), segment(peer6, our6, wire.SYN)
	sent4 := ip4(our4, peer4, 6, wire.IPv4DF, nil, segment(our4, peer4, wire.ACK))
	sent6 := ip6(our6, peer6, 6, segment(our6, peer6, wire.ACK))
	pad := []byte{6, 0, 1, 4, 0, 0, 0, 0} // an extension header of 8 bytes before TCP
	auth := []byte{6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}
	frag := func(next uint8, off uint16) []byte { return []byte{next, 0, byte(off >> 8), byte(off), 0, 0, 0, 9} }
	icmp6 := func(typ uint8) []byte {
		return eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 58, []byte{typ, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)))
	}
	arp := func(op byte) []byte {
		return eth([6]byte{255, 255, 255, 255, 255, 255}, wire.TypeARP, []byte{0, 1, 8, 0, 6, 4, 0, op}, make([]byte, 20))
	}
	return map[string]f{
		"nothing":                      {nil, kindOther},
		"half an Ethernet header":      {make([]byte, 13), kindOther},
		"only an Ethernet header":      {eth(testMAC, wire.TypeIPv4), kindOther},
		"for another host":             {eth(peerMAC, wire.TypeIPv4, ip4(peer4, our4, 6, 0, nil, syn4)), kindOther},
		"VLAN":                         {eth(testMAC, wire.TypeVLAN, []byte{0, 1, 8, 0}, ip4(peer4, our4, 6, 0, nil, syn4)), kindOther},
		"unknown EtherType":            {eth(testMAC, 0x88cc, make([]byte, 60)), kindOther},
		"ARP request":                  {arp(1), kindNews},
		"ARP reply":                    {arp(2), kindAll},
		"short ARP":                    {eth(testMAC, wire.TypeARP, make([]byte, 27)), kindOther},
		"TCP over IPv4":                {tcp4(wire.SYN), kindTCP},
		"TCP over IPv4 with padding":   {append(tcp4(wire.SYN), 0, 0, 0, 0, 0, 0), kindTCP},
		"TCP over IPv4 with options":   {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 6, 0, []byte{1, 1, 1, 0}, syn4)), kindTCP},
		"TCP over IPv6":                {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 6, syn6)), kindTCP},
		"TCP after an option":          {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 0, pad, syn6)), kindTCP},
		"TCP after authentication":     {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 51, auth, syn6)), kindTCP},
		"short TCP":                    {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 6, 0, nil, syn4[:19])), kindOther},
		"UDP over IPv4":                {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 17, 0, nil, datagram(peer4, our4))), kindUDP},
		"UDP over IPv6":                {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 17, datagram(peer6, our6))), kindUDP},
		"short UDP":                    {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 17, make([]byte, 7))), kindOther},
		"unknown protocol":             {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 132, 0, nil, make([]byte, 20))), kindOther},
		"multicast over IPv4":          {eth(groupMAC, wire.TypeIPv4, ip4(peer4, netip.MustParseAddrPort("224.0.0.1:53"), 17, 0, nil, datagram(peer4, our4))), kindAll},
		"broadcast over IPv4":          {eth([6]byte{255, 255, 255, 255, 255, 255}, wire.TypeIPv4, ip4(peer4, netip.MustParseAddrPort("10.0.0.255:53"), 17, 0, nil, datagram(peer4, our4))), kindAll},
		"piece of a multicast":         {eth(groupMAC, wire.TypeIPv4, ip4(peer4, netip.MustParseAddrPort("224.0.0.1:53"), 17, 5, nil, datagram(peer4, our4))), kindAll},
		"ping to a multicast":          {eth(groupMAC, wire.TypeIPv4, ip4(peer4, netip.MustParseAddrPort("224.0.0.1:53"), 1, 0, nil, []byte{8, 0, 0, 0, 0, 0, 0, 0})), kindOther},
		"IGMP":                         {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 2, 0, []byte{148, 4, 0, 0}, make([]byte, 8))), kindAll},
		"multicast over IPv6":          {eth([6]byte{0x33, 0x33}, wire.TypeIPv6, ip6(peer6, our6, 17, datagram(peer6, our6))), kindAll},
		"first fragment over IPv4":     {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 6, wire.IPv4MF, nil, syn4)), kindFragment},
		"last fragment over IPv4":      {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 17, 3, nil, make([]byte, 3))), kindFragment},
		"fragment over IPv6":           {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 44, frag(6, 1), syn6)), kindFragment},
		"fragment after an option":     {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 60, []byte{44, 0, 1, 4, 0, 0, 0, 0}, frag(17, 64), syn6)), kindFragment},
		"short fragment header":        {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 44, frag(6, 1)[:7])), kindOther},
		"ping over IPv4":               {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 1, 0, nil, []byte{8, 0, 0, 0, 0, 0, 0, 0})), kindOther},
		"ping's answer over IPv4":      {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 1, 0, nil, []byte{0, 0, 0, 0, 0, 0, 0, 0})), kindAll},
		"ping over IPv6":               {icmp6(128), kindOther},
		"ping's answer over IPv6":      {icmp6(129), kindAll},
		"router advertisement":         {icmp6(134), kindAll},
		"neighbour solicitation":       {icmp6(135), kindNews},
		"neighbour advertisement":      {icmp6(136), kindAll},
		"MLD query":                    {icmp6(130), kindAll},
		"MLDv2 report":                 {icmp6(143), kindAll},
		"unknown ICMPv6":               {icmp6(200), kindOther},
		"too big over IPv4":            {error4(3, sent4), kindError},
		"time exceeded, eight bytes":   {error4(11, sent4[:28]), kindError},
		"error, the ports only":        {error4(3, sent4[:24]), kindError},
		"error, no ports":              {error4(3, sent4[:23]), kindOther},
		"error, quote with options":    {error4(12, ip4(our4, peer4, 17, 0, []byte{1, 1, 1, 1, 1, 1, 1, 0}, datagram(our4, peer4))), kindError},
		"error, short quote's options": {error4(3, append([]byte{0x4f}, sent4[1:]...)), kindOther},
		"error, quoted first fragment": {error4(3, ip4(our4, peer4, 17, wire.IPv4MF, nil, datagram(our4, peer4))), kindError},
		"error, quoted last fragment":  {error4(3, ip4(our4, peer4, 17, 7, nil, datagram(our4, peer4))), kindOther},
		"error about a ping":           {error4(3, ip4(our4, peer4, 1, 0, nil, make([]byte, 8))), kindOther},
		"error about IPv6 over IPv4":   {error4(3, sent6), kindOther},
		"redirect":                     {error4(5, sent4), kindOther},
		"too big over IPv6":            {error6(2, sent6), kindError},
		"error over IPv6, short":       {error6(1, sent6[:43]), kindOther},
		"error, quote with extensions": {error6(1, ip6(our6, peer6, 60, pad, segment(our6, peer6, 0))), kindError},
		"error, IPv6's first fragment": {error6(3, ip6(our6, peer6, 60, []byte{44, 0, 1, 4, 0, 0, 0, 0}, frag(6, 1), segment(our6, peer6, 0))), kindError},
		"error, IPv6's later fragment": {error6(3, ip6(our6, peer6, 44, frag(6, 9), segment(our6, peer6, 0))), kindOther},
		"error, extensions cut short":  {error6(4, ip6(our6, peer6, 60, []byte{6, 9, 1, 4, 0, 0, 0, 0})), kindOther},
		"IPv4, total length too long":  {eth(testMAC, wire.TypeIPv4, ip4(peer4, our4, 6, 0, nil, syn4)[:39]), kindOther},
		"IPv4, header length 4":        {eth(testMAC, wire.TypeIPv4, append([]byte{0x41}, ip4(peer4, our4, 6, 0, nil, syn4)[1:]...)), kindOther},
		"IPv4, version 5":              {eth(testMAC, wire.TypeIPv4, append([]byte{0x55}, ip4(peer4, our4, 6, 0, nil, syn4)[1:]...)), kindOther},
		"IPv6, payload too long":       {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 6, syn6)[:59]), kindOther},
		"IPv6, version 4":              {eth(testMAC, wire.TypeIPv6, append([]byte{0x45}, ip6(peer6, our6, 6, syn6)[1:]...)), kindOther},
		"IPv6, endless options":        {eth(testMAC, wire.TypeIPv6, ip6(peer6, our6, 60, bytes.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 20))), kindOther},
	}
}

func TestParse(t *testing.T) {
	toeplitz, _ := NewToeplitz(MicrosoftKey)
	flow := func(a, b netip.AddrPort) uint32 { return toeplitz.Flow(a, b) }
	for name, f := range frames() {
		p := parse(f.b, len(f.b), &testMAC)
		if p.kind != f.want {
			t.Errorf("%s: kind %d, want %d", name, p.kind, f.want)
			continue
		}
		switch p.kind {
		case kindTCP, kindUDP, kindError:
			want := flow(peer4, our4)
			if wire.EthernetAt(f.b).Type() == wire.TypeIPv6 {
				want = flow(peer6, our6)
			}
			if got := p.hash(toeplitz); got != want || p.local() != 80 {
				t.Errorf("%s: hash %#x, want %#x; local port %d", name, got, want, p.local())
			}
			if p.kind == kindTCP && !p.opens {
				t.Errorf("%s: opens nothing", name)
			}
		case kindFragment:
			want := toeplitz.Addrs(peer4.Addr(), our4.Addr())
			if wire.EthernetAt(f.b).Type() == wire.TypeIPv6 {
				want = toeplitz.Addrs(peer6.Addr(), our6.Addr())
			}
			if got := p.hash(toeplitz); got != want {
				t.Errorf("%s: hash %#x, want %#x", name, got, want)
			}
		}
	}
	for flags, opens := range map[uint8]bool{wire.SYN | wire.ACK: false, wire.ACK: false, wire.RST: false, wire.SYN | wire.ECE | wire.CWR: true, wire.SYN | wire.FIN: true} {
		if b := tcp4(flags); parse(b, len(b), &testMAC).opens != opens {
			t.Errorf("flags %#x: opens is not %t", flags, opens)
		}
	}
}

// slots is a map of two generations of four workers, all of the first serving, and the steering of one slot.
func slots(t testing.TB, me int, hardware bool) (*Map, *Steerer, *mesh) {
	t.Helper()
	m := newMap(t, 4, 128)
	m.Join(0, 1, 2, 3)
	h := &mesh{}
	x, err := NewSteerer(m, me, []Port{{Hander: h, MAC: testMAC, Hardware: hardware}})
	if err != nil {
		t.Fatal(err)
	}
	return m, x, h
}

// one is a frame in one piece.
func one(b []byte, flags stack.FrameFlags) []stack.Frame {
	f := stack.MakeFrame(b, 0)
	f.Flags = flags
	return []stack.Frame{f}
}

// flowWith is the source of a flow to our4 in such a bucket of 128.
func flowWith(bucket func(b uint32) bool) (src netip.AddrPort) {
	hash, _ := NewToeplitz(MicrosoftKey)
	for p := uint16(1024); ; p++ {
		src = netip.AddrPortFrom(peer4.Addr(), p)
		if bucket(hash.Flow(src, our4) % 128) {
			return src
		}
	}
}

// owned is the source of a flow to our4 whose owner is that slot.
func owned(m *Map, slot int) netip.AddrPort {
	return flowWith(func(b uint32) bool { return m.Owner(int(b)) == slot })
}

func TestWhoseATCPSegmentIs(t *testing.T) {
	const (
		syn = wire.SYN
		ack = wire.ACK
	)
	type event func(m *Map)
	listen := func(slots ...int) event {
		return func(m *Map) {
			for _, s := range slots {
				m.SetPort(s, TCPListening, 80, true)
			}
		}
	}
	foreign := func(slots ...int) event {
		return func(m *Map) {
			for _, s := range slots {
				m.SetPort(s, TCPForeign, 80, true)
			}
		}
	}
	moved := func(m *Map) { m.Leave(3, Dead); m.Join(3) } // slots 0, 1 or 2 have had 3's buckets
	upgrade := func(m *Map) { m.Join(4, 5, 6, 7) }
	none := -1
	for _, c := range []struct {
		name     string
		me       int
		hardware bool
		owner    int // of the flow, at first
		flags    uint8
		handed   bool
		events   []event
		want     int // none: stays
	}{
		{"a SYN that is mine", 0, false, 0, syn, false, nil, none},
		{"a SYN of another's, nobody listens", 0, false, 2, syn, false, nil, 2},
		{"a SYN of another's, all listen", 0, false, 2, syn, false, []event{listen(0, 1, 2, 3)}, 2},
		{"a SYN of another's, only I listen", 0, false, 2, syn, false, []event{listen(0)}, none},
		{"a SYN of another's, a third listens", 0, false, 2, syn, false, []event{listen(3)}, 3},
		{"a SYN of another's, a third and I listen", 2, false, 3, syn, false, []event{listen(0, 2)}, none},
		{"a SYN of mine, others listen", 0, false, 0, syn, false, []event{listen(2, 3)}, 2},
		{"a SYN by RSS, whoever the map says", 0, true, 2, syn, false, nil, none},
		{"a SYN by RSS, I listen", 0, true, 2, syn, false, []event{listen(0, 2)}, none},
		{"a SYN by RSS, another listens", 0, true, 0, syn, false, []event{listen(1)}, 1},
		{"a SYN by RSS, I drain", 0, true, 0, syn, false, []event{upgrade}, 4},
		{"a SYN of the old generation's listener", 4, true, 0, syn, false, []event{upgrade, listen(1)}, 1},
		{"a SYN, both generations listen", 4, true, 0, syn, false, []event{upgrade, listen(1, 5)}, 5},
		{"a SYN that was handed over", 0, false, 2, syn, true, []event{listen(3)}, none},
		{"a segment of mine", 0, false, 0, ack, false, nil, none},
		{"a segment of another's", 0, false, 2, ack, false, []event{listen(0)}, 2},
		{"a segment by RSS", 0, true, 2, ack, false, nil, none},
		{"a segment that was handed over", 0, false, 2, ack, true, nil, none},
		{"a segment of a bucket that was given back", 3, true, 3, ack, false, []event{moved}, 0},
		{"a segment that the former owner has not", 0, true, 3, ack, true, []event{moved}, none},
		{"a SYN of a bucket that was given back", 3, true, 3, syn, false, []event{moved}, none},
		{"a segment at a former owner, not handed", 0, true, 3, ack, false, []event{moved}, 3},
		{"a SYN-ACK to a bound port", 3, true, 3, syn | ack, false, []event{foreign(1)}, 1},
		{"a segment for two others", 3, true, 3, ack, false, []event{foreign(1, 2)}, 1},
		{"a segment that the first of two has not", 1, true, 3, ack, true, []event{foreign(1, 2)}, 2},
		{"a segment that the last of two has not", 2, true, 3, ack, true, []event{foreign(1, 2)}, none},
		{"a segment at me, who have some", 1, true, 3, ack, false, []event{foreign(1)}, none},
		{"a segment of the draining generation", 4, true, 0, ack, false, []event{upgrade}, 0},
		{"a segment of who drained before", 4, true, 3, ack, false, []event{moved, upgrade}, 7},
		{"a segment along the chain", 7, true, 3, ack, false, []event{moved, upgrade}, 3},
		{"a segment further along the chain", 3, true, 3, ack, true, []event{moved, upgrade}, 0},
		{"a segment at the chain's end", 0, true, 3, ack, true, []event{moved, upgrade}, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, x, h := slots(t, c.me, c.hardware)
			src := owned(m, c.owner)
			for _, e := range c.events {
				e(m)
			}
			if c.owner == 3 { // its buckets went to 0, 1 and 2 in turns: one that went to 0
				src = flowWith(func(b uint32) bool { return b%4 == 3 && m.chain(b).find(1) < 0 && m.chain(b).find(2) < 0 })
			}
			flags := stack.FrameFlags(0)
			if c.handed {
				flags = stack.RxHanded
			}
			b := eth(testMAC, wire.TypeIPv4, ip4(src, our4, 6, 0, nil, segment(src, our4, c.flags)))
			stays := !x.Stray(0, one(b, flags))
			want := []int{c.want}
			if c.want == none {
				want = nil
			}
			if stays != (c.want == none) || !slices.Equal(h.to, want) {
				t.Errorf("stays: %t, handed to %v, want %v", stays, h.to, want)
			}
		})
	}
}

func TestWhoseADatagramIs(t *testing.T) {
	upgrade := func(m *Map) { m.Join(4, 5, 6, 7) }
	for _, c := range []struct {
		name     string
		me       int
		hardware bool
		owner    int
		bound    []int
		handed   bool
		event    func(*Map)
		want     int // -1: stays
	}{
		{"mine", 0, false, 0, []int{0, 1, 2, 3}, false, nil, -1},
		{"nobody's, my flow", 0, false, 0, nil, false, nil, -1},
		{"nobody's, another's flow", 0, false, 2, nil, false, nil, 2},
		{"all have the port", 0, false, 2, []int{0, 1, 2, 3}, false, nil, 2},
		{"I have the port, another the flow", 2, false, 3, []int{0, 2}, false, nil, -1},
		{"a third has the port", 0, false, 2, []int{3}, false, nil, 3},
		{"two others have the port", 0, false, 0, []int{1, 3}, false, nil, 1},
		{"by RSS, all have the port", 0, true, 2, []int{0, 1, 2, 3}, false, nil, -1},
		{"by RSS, another has the port", 0, true, 0, []int{1}, false, nil, 1},
		{"by RSS, nobody has", 0, true, 2, nil, false, nil, -1},
		{"handed over", 0, false, 2, []int{2}, true, nil, -1},
		{"both generations have the port", 4, true, 0, []int{0, 4}, false, upgrade, -1},
		{"the old generation has the port", 4, true, 0, []int{0}, false, upgrade, 0},
		{"I drain, both have the port", 0, true, 0, []int{0, 4}, false, upgrade, 4},
		{"another of either generation has the port", 4, true, 0, []int{0, 6}, false, upgrade, 6},
	} {
		m, x, h := slots(t, c.me, c.hardware)
		src := owned(m, c.owner)
		for _, s := range c.bound {
			m.SetPort(s, UDPBound, 80, true)
		}
		if c.event != nil {
			c.event(m)
		}
		flags := stack.FrameFlags(0)
		if c.handed {
			flags = stack.RxHanded
		}
		b := eth(testMAC, wire.TypeIPv4, ip4(src, our4, 17, 0, nil, datagram(src, our4)))
		stays := !x.Steer(0, one(b, flags))
		want := []int{c.want}
		if c.want < 0 {
			want = nil
		}
		if stays != (c.want < 0) || !slices.Equal(h.to, want) {
			t.Errorf("%s: stays %t, handed to %v, want %v", c.name, stays, h.to, want)
		}
	}
}

// TestTheRoundEnds walks strays of all flows through all slots, in maps that any changes have made, and follows them
// until somebody keeps them.
func TestTheRoundEnds(t *testing.T) {
	m := newMap(t, 4, 128)
	h := &mesh{}
	var xs []*Steerer
	for s := range m.Slots() - 1 {
		x, err := NewSteerer(m, s, []Port{{Hander: h, MAC: testMAC, Hardware: s%2 == 0}})
		if err != nil {
			t.Fatal(err)
		}
		xs = append(xs, x)
	}
	seed := uint32(1)
	random := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	longest := 0
	for range 300 {
		switch s := random(8); random(3) {
		case 0:
			m.Join(s)
		case 1:
			m.Leave(s, Dead)
		case 2:
			m.SetPort(s, TCPForeign, 80, random(2) == 0)
			m.SetPort(s, TCPListening, 80, random(2) == 0)
		}
		for range 20 {
			src := netip.AddrPortFrom(peer4.Addr(), uint16(random(65536)))
			b := eth(testMAC, wire.TypeIPv4, ip4(src, our4, 6, 0, nil, segment(src, our4, []uint8{wire.ACK, wire.SYN}[random(2)])))
			at, flags, steps, seen := random(8), stack.FrameFlags(0), 0, map[int]int{}
			for {
				seen[at]++
				h.to = h.to[:0]
				if !xs[at].Stray(0, one(b, flags)) {
					break
				}
				at, flags = h.to[0], stack.RxHanded
				if steps++; steps > 2*8 || seen[at] > 2 {
					t.Fatalf("a segment goes round and round: %v", seen)
				}
			}
			longest = max(longest, steps)
		}
	}
	if longest < 3 {
		t.Errorf("the longest way had %d steps: nothing was tested", longest)
	}
}

func TestCopiesAndErrors(t *testing.T) {
	all := frames()
	for _, c := range []struct {
		name  string
		me    int
		event func(m *Map)
		want  []int
		flags stack.FrameFlags // of the copies
		stays bool
	}{
		{"ARP request", 1, nil, []int{0, 2, 3}, stack.RxNews, true},
		{"ARP reply", 1, nil, []int{0, 2, 3}, 0, true},
		{"neighbour solicitation", 0, nil, []int{1, 2, 3}, stack.RxNews, true},
		{"neighbour advertisement", 0, func(m *Map) { m.Leave(2, Dead) }, []int{1, 3}, 0, true},
		{"router advertisement", 5, func(m *Map) { m.Join(5, 6) }, []int{0, 1, 2, 3, 6}, 0, true},
		{"IGMP", 0, func(m *Map) { m.SetState(1, Starting); m.SetState(3, Dead) }, []int{1, 2}, 0, true},
		{"ping over IPv4", 0, nil, nil, 0, true},
		{"VLAN", 0, nil, nil, 0, true},
		// The supervisor keeps nothing.
		{"ARP request", 8, nil, []int{0, 1, 2, 3}, stack.RxNews, false},
		{"ARP reply", 8, func(m *Map) { m.Leave(0, Dead) }, []int{1, 2, 3}, 0, false},
		{"ping over IPv4", 8, func(m *Map) { m.Join(4) }, []int{1}, 0, false},
		{"ping over IPv6", 8, func(m *Map) { m.Leave(0, Dead); m.Leave(1, Dead); m.Leave(2, Dead); m.Leave(3, Dead) }, nil, 0, false},
	} {
		m, x, h := slots(t, c.me, true)
		if c.event != nil {
			c.event(m)
		}
		stays := !x.Steer(0, one(all[c.name].b, 0))
		if stays != c.stays || !slices.Equal(h.to, c.want) {
			t.Errorf("%s at %d: stays %t, copies to %v, want %v", c.name, c.me, stays, h.to, c.want)
		}
		for i, f := range h.flags {
			if want := c.flags; f != want && !(c.me == m.Supervisor() && i == 0 && f == 0) {
				t.Errorf("%s at %d: flags %#x to %d, want %#x", c.name, c.me, f, h.to[i], want)
			}
		}
		if c.me == m.Supervisor() && len(h.flags) > 0 && h.flags[0] != 0 {
			t.Errorf("%s: nobody answers", c.name)
		}
		if x.Steer(0, one(all[c.name].b, stack.RxHanded)) && c.me != m.Supervisor() {
			t.Errorf("%s at %d: steered though it was handed over", c.name, c.me)
		}
	}

	// An error goes to all who may have sent what it quotes.
	for me := range 4 {
		m, x, h := slots(t, me, true)
		hash, _ := NewToeplitz(MicrosoftKey)
		bucket := hash.Flow(peer4, our4) % 128
		owner := m.Owner(int(bucket))
		other := (owner + 1) % 4
		m.SetPort(other, TCPForeign, 80, true)
		stays := !x.Steer(0, one(all["too big over IPv4"].b, 0))
		want := slices.DeleteFunc([]int{min(owner, other), max(owner, other)}, func(s int) bool { return s == me })
		if stays != (me == owner || me == other) || !slices.Equal(h.to, want) {
			t.Errorf("error at %d for %d and %d: stays %t, handed to %v", me, owner, other, stays, h.to)
		}
	}
}

func TestFramesInPieces(t *testing.T) {
	for name, f := range frames() {
		if len(f.b) < 2 {
			continue
		}
		m, x, whole := slots(t, 0, false)
		m.SetPort(2, UDPBound, 80, true)
		want := x.Steer(0, one(f.b, 0))
		for cut := 1; cut < len(f.b); cut += 3 {
			m, x, h := slots(t, 0, false)
			m.SetPort(2, UDPBound, 80, true)
			pieces := []stack.Frame{stack.MakeFrame(f.b[:cut], 0), stack.MakeFrame(f.b[cut:], 0)}
			pieces[0].Flags = stack.More
			if got := x.Steer(0, pieces); got != want || !slices.Equal(h.to, whole.to) {
				t.Errorf("%s, cut after %d bytes: %t, to %v; whole: %t, to %v", name, cut, got, h.to, want, whole.to)
			}
		}
	}
	// A long frame whose headers lie in its first piece.
	src := peer4
	b := eth(testMAC, wire.TypeIPv4, ip4(src, our4, 17, 0, nil, datagram(src, our4), make([]byte, 8000)))
	m, x, h := slots(t, 0, false)
	m.SetPort(0, UDPBound, 1, true)
	for s := range 4 {
		m.SetPort(s, UDPBound, 80, s == 3)
	}
	pieces := []stack.Frame{stack.MakeFrame(b[:2048], 0), stack.MakeFrame(b[2048:], 0)}
	pieces[0].Flags = stack.More
	if !x.Steer(0, pieces) || !slices.Equal(h.to, []int{3}) {
		t.Errorf("a long frame went to %v", h.to)
	}
}

func TestStrayDatagram(t *testing.T) {
	m, x, h := slots(t, 0, true)
	src := owned(m, 2)
	payload := datagram(src, our4)
	if !x.StrayDatagram(0, wire.ProtoUDP, src.Addr(), our4.Addr(), payload) || !slices.Equal(h.to, []int{2}) {
		t.Fatalf("handed to %v", h.to)
	}
	b := h.injected[0]
	if p := parse(b, len(b), &testMAC); p.kind != kindUDP || !wire.IPv4At(b[14:]).ChecksumGood() || !bytes.Equal(b[34:], payload) {
		t.Errorf("injected %x", b)
	}
	if mine := owned(m, 0); x.StrayDatagram(0, wire.ProtoUDP, mine.Addr(), our4.Addr(), datagram(mine, our4)) {
		t.Error("what is mine was handed over")
	}
	if x.StrayDatagram(0, 99, src.Addr(), our4.Addr(), payload) || x.StrayDatagram(7, wire.ProtoUDP, src.Addr(), our4.Addr(), payload) ||
		x.StrayDatagram(-1, wire.ProtoUDP, src.Addr(), our4.Addr(), payload) || x.StrayDatagram(0, wire.ProtoUDP, peer6.Addr(), our4.Addr(), payload) {
		t.Error("nonsense was handed over")
	}
	if !x.StrayDatagram(0, wire.ProtoUDP, src.Addr(), our4.Addr(), make([]byte, 65516)) || x.Counters().DropTooLong != 1 {
		t.Error("too long a datagram was not dropped")
	}
	h.full = true
	if !x.StrayDatagram(0, wire.ProtoUDP, src.Addr(), our4.Addr(), payload) || x.Counters().DropHand != 1 {
		t.Error("a full ring was not counted")
	}
	long := make([]byte, 65535)
	copy(long, datagram(peer6, our6))
	h.full, h.injected = false, nil
	for !x.StrayDatagram(0, wire.ProtoUDP, peer6.Addr(), our6.Addr(), long) {
		binary.BigEndian.PutUint16(long, binary.BigEndian.Uint16(long)+1) // until it is another's
	}
	if n := len(h.injected[0]); n != 14+40+65535 {
		t.Errorf("the longest datagram over IPv6 became a frame of %d bytes", n)
	}
}

func TestPortsForConnections(t *testing.T) {
	m, x, _ := slots(t, 1, true)
	hash, _ := NewToeplitz(MicrosoftKey)
	count := func(x *Steerer) (n int) {
		for p := range x.ConnectPorts(0, peer4, our4.Addr(), 10000, 65535, 12345) {
			n++
			if c := m.chain(hash.Flow(peer4, netip.AddrPortFrom(our4.Addr(), p))); c.find(x.me) < 0 {
				t.Fatalf("port %d does not come back: chain %#x", p, c)
			}
		}
		return n
	}
	all := count(x)
	if all < 55536/4-2000 || all > 55536/4+2000 {
		t.Errorf("%d ports of 55536 for one of four", all)
	}
	// After a death and a return, those from which the stand-in connects are taken.
	m.Leave(1, Dead)
	stand, _ := NewSteerer(m, 0, []Port{{Hander: &mesh{}, MAC: testMAC}})
	m.Join(1)
	n := 0
	for p := range x.ConnectPorts(0, peer4, our4.Addr(), 10000, 65535, 0) {
		if c := m.chain(hash.Flow(peer4, netip.AddrPortFrom(our4.Addr(), p))); c.at(1) == 0 && n < 100 {
			stand.Connecting(p, true)
			n++
		}
	}
	if got := count(x); n != 100 || got != all-100 {
		t.Errorf("%d ports, want the %d from before less %d", got, all, n)
	}
	// The one that is taken is noted, until nothing is left on it.
	for p := range x.TCPPorts(0, peer4, our4.Addr(), 10000, 65535, 0) {
		if m.Port(1, TCPConnecting, p) {
			t.Errorf("port %d is noted before it is taken", p)
		}
		if n--; n > 0 {
			continue
		}
		defer func() {
			if x.Bound(p, false); m.Port(1, TCPConnecting, p) {
				t.Errorf("port %d is still noted", p)
			}
		}()
		break
	}
	noted := 0
	for p := range 65536 {
		if m.Port(1, TCPConnecting, uint16(p)) {
			noted++
		}
	}
	if noted != 1 {
		t.Errorf("%d ports are noted", noted)
	}
	// A draining worker connects from what still comes to it.
	m.Join(5)
	if got := count(x); got < all-500 {
		t.Errorf("%d ports for a draining worker, %d before", got, all)
	}

	for s := range 4 {
		seen := 0
		y, _ := NewSteerer(m, s, []Port{{Hander: &mesh{}, MAC: testMAC}})
		m.SetPort((s+1)%4, UDPBound, 20000+uint16((9+s-20000%9)%9), true)
		for p := range y.OwnUDPPorts(20000, 20999, 77) {
			if seen++; int(p)%m.Slots() != s || p < 20000 || p > 20999 || y.usedElsewhere(p) {
				t.Errorf("slot %d: port %d", s, p)
			}
		}
		if want := 1000/9 - 1; seen < want-1 || seen > want+1 {
			t.Errorf("slot %d: %d ports, want %d", s, seen, want)
		}
	}
	for range x.OwnUDPPorts(7, 7, 0) {
		t.Error("a port that is another's")
	}
}

func TestANewSteererHasNoPorts(t *testing.T) {
	m := newMap(t, 2, 128)
	m.SetPort(1, UDPBound, 53, true)
	m.SetPort(0, UDPBound, 53, true)
	if _, err := NewSteerer(m, 1, []Port{{Hander: &mesh{}}}); err != nil || m.Port(1, UDPBound, 53) || !m.Port(0, UDPBound, 53) {
		t.Errorf("%v; a process that has just started has ports, or another one has lost some", err)
	}
}

func TestBadSteerers(t *testing.T) {
	m := newMap(t, 2, 128)
	good := []Port{{Hander: &mesh{}}}
	for what, f := range map[string]func() (*Steerer, error){
		"slot 5":  func() (*Steerer, error) { return NewSteerer(m, 5, good) },
		"slot -1": func() (*Steerer, error) { return NewSteerer(m, -1, good) },
		"no port": func() (*Steerer, error) { return NewSteerer(m, 0, nil) },
		"no mesh": func() (*Steerer, error) { return NewSteerer(m, 0, []Port{{}}) },
		"key":     func() (*Steerer, error) { return NewSteerer(m, 0, []Port{{Hander: &mesh{}, Key: make([]byte, 20)}}) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	_, x, h := slots(t, 0, false)
	h.quiet = true
	for name, f := range frames() {
		if f.b == nil {
			continue
		}
		frame := one(f.b, 0)
		if n := testing.AllocsPerRun(10, func() { x.Steer(0, frame); x.Stray(0, frame) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestChoosingAllocatesNothing(t *testing.T) {
	if Raced {
		t.Skip("the race detector has pools forget")
	}
	_, x, _ := slots(t, 0, true)
	got := uint16(0)
	yield := func(p uint16) bool { got = p; return false }
	if n := testing.AllocsPerRun(1000, func() { x.TCPPorts(0, peer4, our4.Addr(), 10000, 65535, 7)(yield) }); n != 0 || got == 0 {
		t.Errorf("%v allocations, port %d", n, got)
	}
}

func BenchmarkDecision(b *testing.B) {
	all := frames()
	for _, c := range []struct {
		name, frame string
		hardware    bool
		formers     bool
		ask         func(*Steerer, int, []stack.Frame) bool
	}{
		{"a SYN by RSS", "TCP over IPv4", true, false, (*Steerer).Stray},
		{"a SYN by RSS after a death", "TCP over IPv4", true, true, (*Steerer).Stray},
		{"a SYN by software", "TCP over IPv4", false, false, (*Steerer).Stray},
		{"a SYN by software, IPv6", "TCP over IPv6", false, false, (*Steerer).Stray},
		{"a datagram by RSS", "UDP over IPv4", true, false, (*Steerer).Steer},
		{"a datagram by software", "UDP over IPv4", false, false, (*Steerer).Steer},
		{"an ICMP error", "too big over IPv4", true, false, (*Steerer).Steer},
		{"a fragment", "first fragment over IPv4", true, false, (*Steerer).Steer},
		{"ARP to three others", "ARP request", true, false, (*Steerer).Steer},
	} {
		b.Run(c.name, func(b *testing.B) {
			m, x, h := slots(b, 0, c.hardware)
			h.quiet = true
			for s := range 4 {
				m.SetPort(s, TCPListening, 80, true)
				m.SetPort(s, UDPBound, 80, true)
			}
			if c.formers {
				m.Leave(2, Dead)
				m.Join(2)
			}
			frame := one(all[c.frame].b, 0)
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				c.ask(x, 0, frame)
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") // on a machine that others use, too
		})
	}
}

// processorTime is what the process has used so far, in nanoseconds.
func processorTime(tb testing.TB) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// FuzzSteer has any bytes in any pieces steered, in a map after some changes.
func FuzzSteer(f *testing.F) {
	for _, v := range frames() {
		f.Add(v.b, uint16(0), uint8(0))
		f.Add(v.b, uint16(20), uint8(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16, how uint8) {
		if len(b) == 0 || len(b) > 9000 {
			return
		}
		m, x, h := slots(t, int(how)%9, how&16 != 0)
		if how&32 != 0 {
			m.Leave(3, Dead)
			m.Join(3, 5)
		}
		m.SetPort(2, TCPForeign, 80, true)
		m.SetPort(1, UDPBound, 80, true)
		var frame []stack.Frame
		was := bytes.Clone(b)
		if cut := int(cut) % len(b); cut > 0 {
			frame = []stack.Frame{stack.MakeFrame(b[:cut], 0), stack.MakeFrame(b[cut:], 0)}
			frame[0].Flags = stack.More
		} else {
			frame = one(b, 0)
		}
		if how&64 != 0 {
			frame[0].Flags |= stack.RxHanded
		}
		for _, ask := range []func(int, []stack.Frame) bool{x.Steer, x.Stray} {
			h.to = h.to[:0]
			gone := ask(0, frame)
			if gone && len(h.to) == 0 && x.Counters().DropNobody == 0 {
				t.Fatal("a frame is gone, but nobody has it")
			}
			if !gone && x.minder {
				t.Fatal("a frame stays at the supervisor")
			}
			for _, to := range h.to {
				if to == x.me || to < 0 || to >= m.Supervisor() {
					t.Fatalf("slot %d hands a frame to %d", x.me, to)
				}
			}
			if seen := slices.Compact(slices.Sorted(slices.Values(h.to))); len(seen) != len(h.to) {
				t.Fatalf("a frame goes to %v", h.to)
			}
		}
		for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
			x.StrayDatagram(0, proto, peer4.Addr(), our4.Addr(), b)
			x.StrayDatagram(0, proto, peer6.Addr(), our6.Addr(), b)
		}
		if !bytes.Equal(b, was) {
			t.Fatal("the frame was changed")
		}
	})
}
