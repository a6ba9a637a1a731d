package steer

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack/wire"
)

// kind is what steering sees in a frame.
type kind uint8

const (
	kindOther    kind = iota // stays: malformed, unknown, for another host, or nobody's in particular
	kindAll                  // everybody's
	kindNews                 // everybody's, to be learned from by all but one
	kindFragment             // a piece of a datagram: whose is decided by its addresses
	kindTCP
	kindUDP
	kindError // an ICMP error about a TCP segment or UDP datagram of ours
)

// packet is what steering needs to know of a frame. Its slices lie in the frame.
type packet struct {
	kind  kind
	udp   bool   // an error about UDP
	opens bool   // a TCP segment with SYN and without ACK
	plain bool   // a TCP segment over IP without options or extension headers
	addrs []byte // source and destination address, of 4 or 16 bytes each
	ports []byte // source and destination port, of 2 bytes each, of TCP, UDP and errors
}

// local is the port at this end.
func (p *packet) local() uint16 {
	if p.kind == kindError {
		return binary.BigEndian.Uint16(p.ports[0:2])
	}
	return binary.BigEndian.Uint16(p.ports[2:4])
}

// hash is the hash of the flow as it is received: an error quotes a packet that went the other way.
func (p *packet) hash(t *Toeplitz) uint32 {
	n := len(p.addrs) / 2
	switch p.kind {
	case kindFragment:
		return t.sum(0, p.addrs)
	case kindError:
		return t.sum(0, p.addrs[n:]) ^ t.sum(n, p.addrs[:n]) ^ t.sum(2*n, p.ports[2:4]) ^ t.sum(2*n+2, p.ports[0:2])
	}
	return t.sum(0, p.addrs) ^ t.sum(2*n, p.ports)
}

// ICMP types (RFC 792, RFC 4443, RFC 4861, RFC 2710, RFC 3810).
const (
	icmpEchoReply   = 0
	icmpUnreachable = 3
	icmpEcho        = 8
	icmpExceeded    = 11
	icmpParameter   = 12
	icmpHead        = 8 // bytes before the quoted datagram

	icmp6Unreachable = 1
	icmp6Parameter   = 4
	icmp6Echo        = 128
	icmp6EchoReply   = 129
	icmp6Query       = 130 // of MLD, then report and done
	icmp6Done        = 132
	icmp6RouterAsk   = 133 // NDP: router solicitation …
	icmp6NeighborAsk = 135
	icmp6Redirect    = 137 // … to redirect
	icmp6Report2     = 143 // of MLDv2
)

// IP protocol numbers and IPv6 extension headers (RFC 8200 §4).
const (
	protoIGMP    = 2
	extHopByHop  = 0
	extRouting   = 43
	extFragment  = 44
	extAuth      = 51
	extDest      = 60
	extMost      = 8 // how many headers are walked through
	fragmentHead = 8
)

const arpRequest = 1

// parse looks at a frame that came to a port with that MAC address. Nothing is trusted: what does not hold together is
// kindOther, and left to the stack, which counts why it drops it.
// b is the frame or, if it is long, at least its first 512 bytes; size is all of it.
func parse(b []byte, size int, mac *[6]byte) (p packet) {
	if len(b) < wire.EthernetLen {
		return p
	}
	eth := wire.EthernetAt(b)
	group := eth.Dst()[0]&1 != 0
	if !group && *eth.Dst() != *mac {
		return p
	}
	b, size = b[wire.EthernetLen:], size-wire.EthernetLen
	switch eth.Type() {
	case wire.TypeARP:
		if len(b) < 28 {
			return p
		}
		p.kind = kindAll
		if binary.BigEndian.Uint16(b[6:8]) == arpRequest {
			p.kind = kindNews
		}
	case wire.TypeIPv4:
		p.parseIPv4(b, size, group)
	case wire.TypeIPv6:
		p.parseIPv6(b, size, group)
	}
	return p
}

func (p *packet) parseIPv4(b []byte, size int, group bool) {
	if len(b) < wire.IPv4Len {
		return
	}
	ip := wire.IPv4At(b)
	head, total := ip.HeaderLen(), ip.TotalLen()
	if ip.VersionIHL()>>4 != 4 || head < wire.IPv4Len || total < head || total > size || head > len(b) {
		return
	}
	b = b[:min(total, len(b))]
	p.addrs = b[12:20]
	proto, piece := ip.Proto(), ip.Fragment()&(wire.IPv4MF|wire.IPv4OffsetMask) != 0
	switch {
	case group || ip.Dst()[0]>>4 == 14 || proto == protoIGMP:
		if proto == wire.ProtoICMP && !piece && len(b) > head && b[head] == icmpEcho {
			return // one answer is enough
		}
		p.kind = kindAll
	case piece:
		p.kind = kindFragment
	case proto == wire.ProtoICMP:
		p.parseICMPv4(b[head:])
	default:
		p.parseTransport(proto, b[head:])
		p.plain = head == wire.IPv4Len
	}
}

func (p *packet) parseICMPv4(icmp []byte) {
	if len(icmp) < icmpHead {
		return
	}
	switch icmp[0] {
	case icmpEchoReply:
		p.kind = kindAll // whoever has sent the request
	case icmpUnreachable, icmpExceeded, icmpParameter:
		quote := icmp[icmpHead:]
		if len(quote) < wire.IPv4Len {
			return
		}
		ip := wire.IPv4At(quote)
		if head := ip.HeaderLen(); ip.VersionIHL()>>4 == 4 && head >= wire.IPv4Len && head <= len(quote) && ip.Fragment()&wire.IPv4OffsetMask == 0 {
			p.parseQuote(ip.Proto(), quote[12:20], quote[head:])
		}
	}
}

func (p *packet) parseIPv6(b []byte, size int, group bool) {
	if len(b) < wire.IPv6Len {
		return
	}
	ip := wire.IPv6At(b)
	total := wire.IPv6Len + ip.PayloadLen()
	if ip.Version() != 6 || total > size {
		return
	}
	b = b[:min(total, len(b))]
	p.addrs = b[8:40]
	proto, rest, piece, ok := extensions(ip.Next(), b[wire.IPv6Len:])
	switch {
	case !ok:
	case piece && !group:
		p.kind = kindFragment
	case proto == wire.ProtoICMPv6 && !piece:
		p.parseICMPv6(rest, group)
	case group:
		p.kind = kindAll
	default:
		p.parseTransport(proto, rest)
		p.plain = proto == ip.Next()
	}
}

// extensions walks over the extension headers of an IPv6 packet to the one of the transport, or to what is known of it:
// piece says that it is a fragment. Not ok: the headers do not hold together.
func extensions(next uint8, b []byte) (proto uint8, rest []byte, piece, ok bool) {
	for range extMost {
		switch next {
		case extHopByHop, extRouting, extDest:
			if len(b) < 8 {
				return 0, nil, false, false
			}
			n := 8 + 8*int(b[1]) // RFC 8200 §4.3
			if n > len(b) {
				return 0, nil, false, false
			}
			next, b = b[0], b[n:]
		case extAuth:
			if len(b) < 8 {
				return 0, nil, false, false
			}
			n := 8 + 4*int(b[1]) // RFC 4302 §2.2
			if n > len(b) {
				return 0, nil, false, false
			}
			next, b = b[0], b[n:]
		case extFragment:
			if len(b) < fragmentHead {
				return 0, nil, false, false
			}
			return b[0], b[fragmentHead:], true, true
		default:
			return next, b, false, true
		}
	}
	return 0, nil, false, false
}

func (p *packet) parseICMPv6(icmp []byte, group bool) {
	if len(icmp) < icmpHead {
		return
	}
	switch typ := icmp[0]; {
	case typ == icmp6NeighborAsk:
		p.kind = kindNews
	case typ >= icmp6RouterAsk && typ <= icmp6Redirect, typ >= icmp6Query && typ <= icmp6Done, typ == icmp6Report2, typ == icmp6EchoReply:
		p.kind = kindAll
	case typ == icmp6Echo: // one answer is enough, also to a multicast
	case typ >= icmp6Unreachable && typ <= icmp6Parameter:
		quote := icmp[icmpHead:]
		if len(quote) < wire.IPv6Len || quote[0]>>4 != 6 {
			return
		}
		proto, rest, piece, ok := extensions(wire.IPv6At(quote).Next(), quote[wire.IPv6Len:])
		if ok && (!piece || firstPiece(quote)) {
			p.parseQuote(proto, quote[8:40], rest)
		}
	case group:
		p.kind = kindAll
	}
}

// firstPiece tells whether a packet whose headers hold together up to its fragment header is the datagram's first piece,
// which has the ports.
func firstPiece(b []byte) bool {
	next, b := wire.IPv6At(b).Next(), b[wire.IPv6Len:]
	for next != extFragment {
		n := 8 + 8*int(b[1])
		if next == extAuth {
			n = 8 + 4*int(b[1])
		}
		next, b = b[0], b[n:]
	}
	return binary.BigEndian.Uint16(b[2:4])&^7 == 0
}

// parseQuote looks at the packet of ours that an error is about: its first eight bytes at least are there (RFC 792).
func (p *packet) parseQuote(proto uint8, addrs, transport []byte) {
	if len(transport) < 4 || proto != wire.ProtoTCP && proto != wire.ProtoUDP {
		return
	}
	p.kind, p.udp, p.addrs, p.ports = kindError, proto == wire.ProtoUDP, addrs, transport[:4]
}

func (p *packet) parseTransport(proto uint8, b []byte) {
	switch {
	case proto == wire.ProtoTCP && len(b) >= wire.TCPLen:
		p.kind, p.ports = kindTCP, b[:4]
		p.opens = wire.TCPAt(b).Flags()&(wire.SYN|wire.ACK) == wire.SYN
	case proto == wire.ProtoUDP && len(b) >= 8:
		p.kind, p.ports = kindUDP, b[:4]
	}
}
