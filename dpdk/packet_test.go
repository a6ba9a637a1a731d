package dpdk

import (
	"encoding/binary"
	"fmt"

	"github.com/fstack-go/fstack/stack"
)

// packet says what frame a test sends.
type packet struct {
	v6, tcp bool
	vlan    bool
	payload int
	flags   byte // of TCP
	offload bool // leave the checksums to the device
	mss     uint16
}

func (p packet) String() string {
	s := fmt.Sprintf("IPv%d %s %d bytes", map[bool]int{false: 4, true: 6}[p.v6], map[bool]string{false: "UDP", true: "TCP"}[p.tcp], p.payload)
	if p.vlan {
		s += " VLAN"
	}
	if p.offload {
		s += " offload"
	}
	if p.mss != 0 {
		s += fmt.Sprintf(" TSO %d", p.mss)
	}
	return s
}

var (
	macUs     = []byte{2, 0, 0, 0, 0, 1}
	macKernel = []byte{2, 0, 0, 0, 0, 2}
)

// build returns the frame and the header lengths.
func (p packet) build() (b []byte, l2, l3, l4 int) {
	b = append(append(b, macKernel...), macUs...)
	if p.vlan {
		b = append(b, 0x81, 0, 0, 7)
	}
	l4 = 8
	proto := byte(17)
	if p.tcp {
		l4, proto = 20, 6
	}
	if p.v6 {
		b = append(b, 0x86, 0xdd)
		l2 = len(b)
		b = append(b, 0x60, 0, 0, 0, 0, 0, proto, 64)
		binary.BigEndian.PutUint16(b[l2+4:], uint16(l4+p.payload))
		for _, host := range []byte{1, 2} {
			b = append(b, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host)
		}
		l3 = 40
	} else {
		b = append(b, 8, 0)
		l2 = len(b)
		b = append(b, 0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, proto, 0, 0, 192, 168, 77, 1, 192, 168, 77, 2)
		binary.BigEndian.PutUint16(b[l2+2:], uint16(20+l4+p.payload))
		l3 = 20
	}
	l4at := l2 + l3
	if p.tcp {
		b = append(b, 0x30, 0x39, 0xd4, 0x31, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x50, p.flags, 0x20, 0, 0, 0, 0, 0)
	} else {
		b = append(b, 0x30, 0x39, 0xd4, 0x31, 0, 0, 0, 0)
		binary.BigEndian.PutUint16(b[l4at+4:], uint16(8+p.payload))
	}
	for i := range p.payload {
		b = append(b, byte(i*7+i>>8))
	}
	sum := pseudo(b[l2:], proto, uint32(len(b)-l4at))
	if p.mss != 0 {
		sum = pseudo(b[l2:], proto, 0)
	}
	at := l4at + 6
	if p.tcp {
		at = l4at + 16
	}
	if p.offload {
		binary.BigEndian.PutUint16(b[at:], fold(sum))
	} else {
		binary.BigEndian.PutUint16(b[at:], ^fold(add(sum, b[l4at:])))
		if !p.v6 {
			binary.BigEndian.PutUint16(b[l2+10:], ^fold(add(0, b[l2:l2+20])))
		}
	}
	return b, l2, l3, l4
}

// request sets what a frame asks of the device; what it does not offer for the IPv4 header is filled in.
func (p packet) request(f *stack.Frame, b []byte, offers stack.FrameFlags, l2, l3, l4 int) {
	if !p.offload {
		return
	}
	f.L2, f.L3 = uint8(l2), uint8(l3)
	f.Flags |= stack.TxUDPCsum
	if p.tcp {
		f.Flags = f.Flags&^stack.TxUDPCsum | stack.TxTCPCsum
	}
	if p.v6 {
		f.Flags |= stack.TxIPv6
	} else if offers&stack.TxIPCsum != 0 {
		f.Flags |= stack.TxIPCsum
	} else {
		binary.BigEndian.PutUint16(b[l2+10:], ^fold(add(0, b[l2:l2+20])))
	}
	if p.mss != 0 {
		f.Flags |= stack.TxTSO
		f.L4, f.MSS = uint8(l4), p.mss
	}
}

// verify checks lengths and checksums of a frame and returns its TCP sequence number, flags and payload.
func verify(b []byte) (seq uint32, flags byte, payload []byte, err error) {
	l2 := 14
	if b[12] == 0x81 {
		l2 = 18
	}
	l3 := b[l2:]
	var proto byte
	var l4 []byte
	if l3[0]>>4 == 4 {
		total := int(binary.BigEndian.Uint16(l3[2:]))
		if total > len(l3) {
			return 0, 0, nil, fmt.Errorf("IPv4 length %d in %d bytes", total, len(l3))
		}
		l3 = l3[:total]
		if s := fold(add(0, l3[:20])); s != 0xffff {
			return 0, 0, nil, fmt.Errorf("IPv4 header checksum is wrong by %#x", s)
		}
		proto, l4 = l3[9], l3[20:]
	} else {
		length := int(binary.BigEndian.Uint16(l3[4:]))
		if 40+length > len(l3) {
			return 0, 0, nil, fmt.Errorf("IPv6 length %d in %d bytes", length, len(l3)-40)
		}
		l3 = l3[:40+length]
		proto, l4 = l3[6], l3[40:]
	}
	if s := fold(add(pseudo(l3, proto, uint32(len(l4))), l4)); s != 0xffff {
		return 0, 0, nil, fmt.Errorf("transport checksum is wrong by %#x", s)
	}
	if proto == 6 {
		return binary.BigEndian.Uint32(l4[4:]), l4[13], l4[20:], nil
	}
	return 0, 0, l4[8:], nil
}

func pseudo(l3 []byte, proto byte, length uint32) uint32 {
	sum := uint32(proto) + length>>16 + length&0xffff
	if l3[0]>>4 == 4 {
		return add(sum, l3[12:20])
	}
	return add(sum, l3[8:40])
}

func add(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
