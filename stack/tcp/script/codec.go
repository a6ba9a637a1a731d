package script

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// encode is the IP packet of k with the addresses given; payload is the segment's data.
func (k *Packet) encode(src, dst netip.AddrPort, payload []byte) ([]byte, error) {
	var body []byte
	proto := uint8(6)
	if k.ICMP != nil {
		proto = 1
		if src.Addr().Is6() {
			proto = 58
		}
		var err error
		if body, err = k.ICMP.encode(src, dst); err != nil {
			return nil, err
		}
	} else {
		options := encodeOptions(k.Options)
		body = make([]byte, 20, 20+len(options)+len(payload))
		binary.BigEndian.PutUint16(body[0:], src.Port())
		binary.BigEndian.PutUint16(body[2:], dst.Port())
		binary.BigEndian.PutUint32(body[4:], k.Seq)
		if k.Flags&flagACK != 0 {
			binary.BigEndian.PutUint32(body[8:], k.Ack)
		}
		binary.BigEndian.PutUint16(body[12:], uint16((20+len(options))/4)<<12|k.Flags)
		binary.BigEndian.PutUint16(body[14:], uint16(k.Window))
		binary.BigEndian.PutUint16(body[18:], k.Urgent)
		body = append(append(body, options...), payload...)
	}
	packet := append(ipHeader(k.IP, len(body), proto, src.Addr(), dst.Addr()), body...)
	field := 16 // of TCP's checksum
	switch proto {
	case 1:
		field = 2
		binary.BigEndian.PutUint16(packet[20+field:], ^sum(0, body))
		return packet, nil
	case 58:
		field = 2
	}
	head := len(packet) - len(body)
	binary.BigEndian.PutUint16(packet[head+field:], ^sum(pseudo(src.Addr(), dst.Addr(), proto, len(body)), body))
	return packet, nil
}

// encode is the ICMP message from src about a segment that dst sent to src.
func (m *ICMP) encode(src, dst netip.AddrPort) ([]byte, error) {
	typ, code, err := m.numbers(src.Addr().Is6())
	if err != nil {
		return nil, err
	}
	b := make([]byte, 8)
	b[0], b[1] = typ, code
	if m.MTU >= 0 {
		binary.BigEndian.PutUint32(b[4:], uint32(m.MTU)) // RFC 1191 §4, RFC 4443 §3.2
	}
	// What fits of the segment: for IPv4 its header and eight bytes (RFC 792).
	quoted := make([]byte, 8)
	binary.BigEndian.PutUint16(quoted[0:], dst.Port())
	binary.BigEndian.PutUint16(quoted[2:], src.Port())
	binary.BigEndian.PutUint32(quoted[4:], m.Seq)
	b = append(b, ipHeader(IPInfo{}, 20+m.Len, 6, dst.Addr(), src.Addr())...)
	return append(b, quoted...), nil
}

// ipHeader is an IPv4 or IPv6 header before n bytes.
func ipHeader(info IPInfo, n int, proto uint8, src, dst netip.Addr) []byte {
	ttl := info.TTL
	if ttl == 0 {
		ttl = 255
	}
	if src.Is4() {
		b := []byte{0x45, info.TOS, 0, 0, 0, 0, 0, 0, ttl, proto, 0, 0}
		binary.BigEndian.PutUint16(b[2:], uint16(20+n))
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(b[10:], ^sum(0, b))
		return b
	}
	b := make([]byte, 8, 40)
	binary.BigEndian.PutUint32(b, 6<<28|uint32(info.TOS)<<20|info.FlowLabel)
	binary.BigEndian.PutUint16(b[4:], uint16(n))
	b[6], b[7] = proto, ttl
	return append(append(b, src.AsSlice()...), dst.AsSlice()...)
}

// sum is the ones' complement sum (RFC 1071), word by word: this package checks the stack's own.
func sum(s uint32, b []byte) uint16 {
	for i, c := range b {
		s += uint32(c) << (8 * (1 - i&1))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func pseudo(src, dst netip.Addr, proto uint8, n int) uint32 {
	return uint32(sum(0, src.AsSlice())) + uint32(sum(0, dst.AsSlice())) + uint32(proto) + uint32(n)
}

// decode reads an IP packet that the stack has sent; nil: neither TCP nor ICMP. What is wrong with it is kept in
// problem.
func decode(b []byte, at int64) *Packet {
	k := &Packet{Out: true, at: at}
	var body []byte
	var proto uint8
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if head < 20 || total < head || total > len(b) {
			k.problem = fmt.Sprintf("IPv4 header length %d and total length %d in a packet of %d bytes", head, total, len(b))
			return k
		}
		if sum(0, b[:head]) != 0xffff {
			k.problem = "IPv4 header checksum is wrong"
		}
		k.src, k.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		k.IP = IPInfo{Check: TOSAll, TOS: b[1], TTL: b[8]}
		proto, body = b[9], b[head:total]
	case len(b) >= 40 && b[0]>>4 == 6:
		n := int(binary.BigEndian.Uint16(b[4:]))
		if 40+n > len(b) {
			k.problem = fmt.Sprintf("IPv6 payload length %d in a packet of %d bytes", n, len(b))
			return k
		}
		k.src, k.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		first := binary.BigEndian.Uint32(b)
		k.IP = IPInfo{Check: TOSAll, TOS: uint8(first >> 20), TTL: b[7], FlowLabel: first & 0xfffff}
		proto, body = b[6], b[40:40+n]
	default:
		return nil
	}
	switch {
	case proto == 6:
		k.decodeTCP(body)
	case proto == 1 && len(body) >= 8:
		k.ICMP = &ICMP{Type: fmt.Sprint("type_", body[0]), Code: fmt.Sprint("code_", body[1]), MTU: -1}
	case proto == 58 && len(body) >= 8:
		k.ICMP = &ICMP{Type: fmt.Sprint("type_", body[0]), Code: fmt.Sprint("code_", body[1]), MTU: -1}
	default:
		return nil
	}
	return k
}

func (k *Packet) decodeTCP(b []byte) {
	if len(b) < 20 || int(b[12]>>4)*4 < 20 || int(b[12]>>4)*4 > len(b) {
		k.problem = fmt.Sprintf("TCP header does not fit in %d bytes", len(b))
		return
	}
	head := int(b[12]>>4) * 4
	k.SrcPort, k.DstPort = binary.BigEndian.Uint16(b[0:]), binary.BigEndian.Uint16(b[2:])
	k.Seq, k.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	k.Flags = binary.BigEndian.Uint16(b[12:]) & 0x1ff
	k.Window, k.Urgent = int(binary.BigEndian.Uint16(b[14:])), binary.BigEndian.Uint16(b[18:])
	k.Options = decodeOptions(b[20:head])
	k.payload = b[head:]
	k.Len = len(k.payload)
	switch {
	case sum(pseudo(k.src, k.dst, 6, len(b)), b) != 0xffff:
		k.problem = "TCP checksum is wrong"
	case b[12]&0xe != 0:
		k.problem = "reserved bits of the TCP header are set"
	case k.Flags&flagACK == 0 && k.Ack != 0:
		k.problem = fmt.Sprintf("acknowledgment number %d without the ACK flag", k.Ack)
	}
}
