package netstack

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ethernet puts an Ethernet header before a packet.
func ethernet(dst [6]byte, kind uint16, packet []byte) []byte {
	b := append([]byte(nil), dst[:]...)
	b = append(b, peerMAC[:]...)
	b = append(b, byte(kind>>8), byte(kind))
	return append(b, packet...)
}

// ip puts an IPv4 or IPv6 header before a payload; options are IPv4's.
func ip(src, dst netip.Addr, proto byte, payload []byte, options ...byte) []byte {
	if src.Is4() {
		n := header.IPv4MinimumSize + len(options)
		b := make([]byte, n, n+len(payload))
		h := header.IPv4(b)
		h.Encode(&header.IPv4Fields{TotalLength: uint16(n + len(payload)), TTL: 64, Protocol: proto,
			SrcAddr: toAddress(src), DstAddr: toAddress(dst)})
		h.SetHeaderLength(uint8(n))
		copy(b[header.IPv4MinimumSize:], options)
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
		return append(b, payload...)
	}
	b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(payload))
	header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(len(payload)), TransportProtocol: tcpip.TransportProtocolNumber(proto),
		HopLimit: 255, SrcAddr: toAddress(src), DstAddr: toAddress(dst)})
	return append(b, payload...)
}

// sum is the sum of a transport's bytes and the pseudo header: 0xffff if the checksum in it is right.
func sum(src, dst netip.Addr, proto byte, b []byte) uint16 {
	return checksum.Checksum(b, header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(proto), toAddress(src), toAddress(dst), uint16(len(b))))
}

// datagram is a UDP datagram with its checksum.
func datagram(src, dst netip.AddrPort, data []byte) []byte {
	b := make([]byte, header.UDPMinimumSize, header.UDPMinimumSize+len(data))
	header.UDP(b).Encode(&header.UDPFields{SrcPort: src.Port(), DstPort: dst.Port(), Length: uint16(len(b) + len(data))})
	b = append(b, data...)
	header.UDP(b).SetChecksum(^sum(src.Addr(), dst.Addr(), 17, b))
	return b
}

// echo is an ICMP echo request with its checksum.
func echo(src, dst netip.Addr, data []byte) (proto byte, b []byte) {
	if src.Is4() {
		b = append(make([]byte, header.ICMPv4MinimumSize), data...)
		header.ICMPv4(b).SetType(header.ICMPv4Echo)
		header.ICMPv4(b).SetChecksum(^checksum.Checksum(b, 0))
		return 1, b
	}
	b = append(make([]byte, header.ICMPv6EchoMinimumSize), data...)
	header.ICMPv6(b).SetType(header.ICMPv6EchoRequest)
	header.ICMPv6(b).SetChecksum(^sum(src, dst, 58, b))
	return 58, b
}
