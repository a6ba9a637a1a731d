package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// news learns from a frame that another lcore answers: who asks for an address of ours is about to talk to it.
func (l *link) news(frame []stack.Frame) {
	b := frame[0].Bytes()
	if len(frame) > 1 {
		b = gather(frame)
	}
	if len(b) < ethSize {
		return
	}
	switch header.Ethernet(b).Type() {
	case header.ARPProtocolNumber:
		l.arpNews(b[ethSize:])
	case header.IPv6ProtocolNumber:
		l.ndpNews(b[ethSize:])
	}
}

// arpNews takes the sender of an ARP request for an address of ours into the table, as RFC 826 has it ("Packet
// Reception"), and else only a change of what is there.
func (l *link) arpNews(packet []byte) {
	a := header.ARP(packet)
	if !a.IsValid() {
		return
	}
	from := tcpip.AddrFrom4Slice(a.ProtocolAddressSender())
	if l.n.IsLocal(fromAddress(tcpip.AddrFrom4Slice(a.ProtocolAddressTarget()))) && !fromAddress(from).IsUnspecified() {
		l.heard(header.IPv4ProtocolNumber, from, [6]byte(a.HardwareAddressSender()))
		return
	}
	l.learn(packet)
}

// ndpNews takes the source of a neighbour solicitation for an address of ours into the table (RFC 4861 §7.2.3).
func (l *link) ndpNews(b []byte) {
	if len(b) < wire.IPv6Len {
		return
	}
	ip := wire.IPv6At(b)
	n := ip.PayloadLen()
	if ip.Version() != 6 || ip.Next() != wire.ProtoICMPv6 || ip.HopLimit() != header.NDPHopLimit || n > len(b)-wire.IPv6Len {
		return
	}
	icmp := header.ICMPv6(b[wire.IPv6Len : wire.IPv6Len+n])
	if n < header.ICMPv6NeighborSolicitMinimumSize || icmp.Type() != header.ICMPv6NeighborSolicit || icmp.Code() != 0 ||
		!wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoICMPv6, n).Add(icmp).Good() {
		return
	}
	from := tcpip.AddrFrom16(*ip.Src())
	ask := header.NDPNeighborSolicit(icmp.MessageBody())
	if fromAddress(from).IsUnspecified() || !l.n.IsLocal(fromAddress(ask.TargetAddress())) {
		return
	}
	options, err := ask.Options().Iter(true)
	if err != nil {
		return
	}
	for {
		o, done, err := options.Next()
		if done || err != nil {
			return
		}
		if mac, ok := o.(header.NDPSourceLinkLayerAddressOption); ok && len(mac) == 6 {
			l.heard(header.IPv6ProtocolNumber, from, [6]byte([]byte(mac)))
		}
	}
}

// heard has gVisor know a neighbour that has shown itself.
func (l *link) heard(proto tcpip.NetworkProtocolNumber, from tcpip.Address, mac [6]byte) {
	if mac[0]&1 != 0 {
		return
	}
	if g, err := l.n.g.GetNICByID(nicOf(l.port)); err == nil {
		g.HandleNeighborProbe(proto, from, tcpip.LinkAddress(mac[:]))
	}
}
