package lab

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

var (
	ownMAC  = [6]byte{2, 0, 0, 0, 0, 1}
	peerMAC = [6]byte{2, 0, 0, 0, 0, 2}
)

const (
	slots = 512 // frames that can wait to be sent
	burst = 64  // frames received by one exchange
)

// port is the stack's device. Its other end is the lab, which answers for all link addresses and keeps the IP
// packets.
type port struct {
	local netip.Addr
	mtu   int
	now   func() int64
	queue stack.Queue
	in    [][]byte // frames to receive
	out   []sentPacket
}

type sentPacket struct {
	packet []byte
	at     int64
}

var _ stack.Device = (*port)(nil)

func newPort(cfg Config, now func() int64) *port {
	tx := make([]stack.Frame, slots)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, cfg.MTU+wire.EthernetLen), 0)
	}
	return &port{local: cfg.Local.Addr(), mtu: cfg.MTU, now: now, queue: stack.MakeQueue(tx)}
}

// Queue implements stack.Device.
func (p *port) Queue() *stack.Queue { return &p.queue }

// Exchange implements stack.Device.
func (p *port) Exchange() {
	p.Flush()
	n := min(len(p.in), burst)
	rx := make([]stack.Frame, n)
	for i, b := range p.in[:n] {
		rx[i] = stack.MakeFrame(b, 0)
	}
	p.in = p.in[n:]
	p.queue.Rx = rx
}

// Flush implements stack.Device.
func (p *port) Flush() {
	taken := p.queue.Taken()
	var frame []byte
	for i := range taken {
		frame = append(frame, taken[i].Bytes()...)
		if taken[i].Flags&stack.More == 0 {
			p.take(frame)
			frame = nil
		}
	}
	p.queue.Sent(len(taken))
}

// Info implements stack.Device.
func (p *port) Info() stack.DeviceInfo {
	return stack.DeviceInfo{
		Name: "lab0", Driver: "lab", MAC: net.HardwareAddr(ownMAC[:]), MTU: p.mtu, Socket: -1, Queues: 1,
	}
}

// Close implements stack.Device.
func (p *port) Close() error { return nil }

func (p *port) quiet() bool { return len(p.in) == 0 && len(p.queue.Taken()) == 0 }

func (p *port) inject(packet []byte) {
	typ := uint16(wire.TypeIPv4)
	if len(packet) > 0 && packet[0]>>4 == 6 {
		typ = wire.TypeIPv6
	}
	p.receive(typ, packet)
}

func (p *port) receive(typ uint16, payload []byte) {
	f := make([]byte, wire.EthernetLen, wire.EthernetLen+len(payload))
	wire.EthernetAt(f).Set(&ownMAC, &peerMAC, typ)
	p.in = append(p.in, append(f, payload...))
}

func (p *port) sent() ([]byte, int64, bool) {
	if len(p.out) == 0 {
		return nil, 0, false
	}
	s := p.out[0]
	p.out = p.out[1:]
	return s.packet, s.at, true
}

// take answers what is for the link and keeps IP packets.
func (p *port) take(frame []byte) {
	if len(frame) < wire.EthernetLen {
		return
	}
	packet := frame[wire.EthernetLen:]
	switch typ := wire.EthernetAt(frame).Type(); {
	case typ == wire.TypeARP:
		p.answerARP(packet)
	case typ == wire.TypeIPv6 && isLinkICMPv6(packet):
		p.answerSolicitation(packet)
	case typ == wire.TypeIPv4 || typ == wire.TypeIPv6:
		p.out = append(p.out, sentPacket{packet, p.now()})
	}
}

// answerARP replies to a request (RFC 826) for any address but the stack's own.
func (p *port) answerARP(b []byte) {
	if len(b) < 28 || binary.BigEndian.Uint16(b[6:]) != 1 {
		return
	}
	if sender, target := b[8:18], b[24:28]; netip.AddrFrom4([4]byte(target)) != p.local {
		r := append([]byte{0, 1, 8, 0, 6, 4, 0, 2}, peerMAC[:]...)
		r = append(append(r, target...), sender...)
		p.receive(wire.TypeARP, r)
	}
}

// isLinkICMPv6 tells neighbour discovery and group reports from the packets that scripts are about.
func isLinkICMPv6(b []byte) bool {
	if len(b) < wire.IPv6Len+8 {
		return false
	}
	h, body := wire.IPv6At(b), b[wire.IPv6Len:]
	next := h.Next()
	if next == 0 && len(body) > 8 { // hop-by-hop options: a router alert before a group report (RFC 3810 §5)
		next, body = body[0], body[8:]
	}
	return next == wire.ProtoICMPv6 && (body[0] >= 130 && body[0] <= 137 || body[0] == 143)
}

// answerSolicitation replies to a neighbour solicitation (RFC 4861 §4.3) for any address but the stack's own.
func (p *port) answerSolicitation(b []byte) {
	h, body := wire.IPv6At(b), b[wire.IPv6Len:]
	if h.Next() != wire.ProtoICMPv6 || body[0] != 135 || len(body) < 24 {
		return
	}
	target, src := [16]byte(body[8:24]), *h.Src()
	if netip.AddrFrom16(target) == p.local || netip.AddrFrom16(src).IsUnspecified() {
		return // duplicate address detection: nobody else has it
	}
	r := make([]byte, wire.IPv6Len, 96)
	wire.IPv6At(r).Set(0, 0, 32, wire.ProtoICMPv6, 255, &target, &src)
	r = append(r, 136, 0, 0, 0, 0x60, 0, 0, 0) // solicited, override
	r = append(r, target[:]...)
	r = append(append(r, 2, 1), peerMAC[:]...)
	a := r[wire.IPv6Len:]
	sum := wire.PseudoIPv6(&target, &src, wire.ProtoICMPv6, len(a)).Add(a).Fold()
	binary.BigEndian.PutUint16(a[2:], ^sum)
	p.receive(wire.TypeIPv6, r)
}
