package steer

import (
	"net/netip"

	"github.com/fstack-go/fstack/stack/wire"
)

const (
	ipMost = 65535 // bytes of an IPv4 packet, and of what follows an IPv6 header
	hops   = 64    // of a packet that arrives here and goes nowhere else
)

// StrayDatagram implements stack.Steering. The datagram is handed over under new headers, from no link address: who
// answers it asks for the neighbour.
func (x *Steerer) StrayDatagram(n int, proto uint8, src, dst netip.Addr, transport []byte) bool {
	x.counters.Asked++
	if n < 0 || n >= len(x.ports) || src.Is4() != dst.Is4() {
		x.counters.Here++
		return false
	}
	at := &x.ports[n]
	b, size := x.write(at, proto, src, dst, transport)
	if b == nil {
		x.counters.DropTooLong++
		return true
	}
	p := parse(b, size, &at.MAC)
	to := x.me
	switch p.kind {
	case kindTCP:
		to, _ = x.tcp(at, &p, fromHere)
	case kindUDP:
		to, _ = x.udp(at, &p, fromHere)
	}
	if to == x.me || to < 0 {
		x.counters.Here++
		return false
	}
	if at.Hander.Inject(b, to, 0) {
		x.counters.Datagrams++
	} else {
		x.counters.DropHand++
	}
	return true
}

// write makes a frame to this host of a datagram.
func (x *Steerer) write(at *port, proto uint8, src, dst netip.Addr, transport []byte) ([]byte, int) {
	head := wire.EthernetLen + wire.IPv6Len
	if dst.Is4() {
		head = wire.EthernetLen + wire.IPv4Len
		if len(transport) > ipMost-wire.IPv4Len {
			return nil, 0
		}
	}
	if len(transport) > ipMost {
		return nil, 0
	}
	if x.datagram == nil {
		x.datagram = make([]byte, wire.EthernetLen+wire.IPv6Len+ipMost)
	}
	b := x.datagram[:head+len(transport)]
	eth, ip := wire.EthernetAt(b), b[wire.EthernetLen:]
	if dst.Is4() {
		s, d := src.As4(), dst.As4()
		eth.Set(&at.MAC, &[6]byte{}, wire.TypeIPv4)
		h := wire.IPv4At(ip)
		h.Set(0, len(transport), 0, 0, hops, proto, &s, &d)
		h.SetChecksum()
	} else {
		s, d := src.As16(), dst.As16()
		eth.Set(&at.MAC, &[6]byte{}, wire.TypeIPv6)
		wire.IPv6At(ip).Set(0, 0, len(transport), proto, hops, &s, &d)
	}
	copy(b[head:], transport)
	return b, len(b)
}
