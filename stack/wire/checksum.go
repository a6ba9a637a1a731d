package wire

import (
	"encoding/binary"
	"math/bits"
	"runtime"
)

// Sum is a ones' complement sum on its way (RFC 1071): 64 bits wide and in the machine's byte order, since the
// order of the bytes does not matter to it until the end. The zero value is the sum of nothing.
type Sum uint64

// Add adds the bytes of b, which lies at an even offset of what is summed. An odd last byte is padded with zero.
func (s Sum) Add(b []byte) Sum {
	acc, c := uint64(s), uint64(0)
	for len(b) >= 64 {
		// The carry runs through the whole chain: eight loads with eight additions.
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[0:8]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[8:16]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[16:24]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[24:32]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[32:40]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[40:48]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[48:56]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[56:64]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b[0:8]), c)
		b = b[8:]
	}
	if len(b) > 0 {
		var last uint64
		if len(b) >= 4 {
			last = uint64(binary.NativeEndian.Uint32(b[0:4]))
			b = b[4:]
		}
		var tail [8]byte // in memory order whatever the machine's
		copy(tail[:], b)
		var c2 uint64
		acc, c = bits.Add64(acc, last, c)
		acc, c2 = bits.Add64(acc, binary.NativeEndian.Uint64(tail[:]), 0)
		c += c2
	}
	acc, c = bits.Add64(acc, c, 0)
	return Sum(acc + c)
}

// Join adds the sum of a part that begins at offset of what is summed, even or odd.
func (s Sum) Join(part Sum, offset int) Sum {
	p := uint64(part)
	if offset&1 != 0 {
		p = bits.RotateLeft64(p, 8) // RFC 1071 §2(B): all bytes change places
	}
	acc, c := bits.Add64(uint64(s), p, 0)
	return Sum(acc + c)
}

// AddUint32 adds a 32-bit field given in host order that lies at an even offset.
func (s Sum) AddUint32(v uint32) Sum {
	acc, c := bits.Add64(uint64(s), uint64(network32(v)), 0)
	return Sum(acc + c)
}

// Fold is the 16-bit sum in host order, not complemented. That of a packet with a right checksum is 0xffff.
func (s Sum) Fold() uint16 {
	v := fold(uint64(s), 0)
	if bigEndian {
		return v
	}
	return bits.ReverseBytes16(v)
}

// network32 is the number that v is, read as it lies in a packet. (A store to memory and a load would do the same, and
// take longer than all the rest.)
func network32(v uint32) uint32 {
	if bigEndian {
		return v
	}
	return bits.ReverseBytes32(v)
}

// bigEndian is a constant, so that nothing is left of the question.
const bigEndian = runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" || runtime.GOARCH == "mips" || runtime.GOARCH == "mips64"

// Good tells whether the sum is that of a packet with a right checksum.
func (s Sum) Good() bool { return fold(uint64(s), 0) == 0xffff }

func fold(s, c uint64) uint16 {
	s, c = bits.Add64(s, c, 0)
	s += c
	x, d := bits.Add32(uint32(s>>32), uint32(s), 0)
	x += d
	y := x>>16 + x&0xffff
	return uint16(y + y>>16)
}

// PseudoIPv4 is the sum of TCP's or UDP's pseudo header over IPv4 (RFC 9293 §3.1); length is that of transport
// header and payload, or 0 for a device that adds it itself.
func PseudoIPv4(src, dst *[4]byte, proto uint8, length int) Sum {
	acc := uint64(binary.NativeEndian.Uint32(src[:])) + uint64(binary.NativeEndian.Uint32(dst[:]))
	return Sum(acc).AddUint32(uint32(proto)<<16 | uint32(length))
}

// PseudoIPv4Of is PseudoIPv4 with the addresses as numbers.
func PseudoIPv4Of(src, dst uint32, proto uint8, length int) Sum {
	return Sum(uint64(network32(src)) + uint64(network32(dst)) + uint64(network32(uint32(proto)<<16|uint32(length))))
}

// PseudoIPv6 is PseudoIPv4 over IPv6 (RFC 8200 §8.1).
func PseudoIPv6(src, dst *[16]byte, proto uint8, length int) Sum {
	acc, c := bits.Add64(binary.NativeEndian.Uint64(src[0:8]), binary.NativeEndian.Uint64(src[8:16]), 0)
	acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(dst[0:8]), c)
	acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(dst[8:16]), c)
	acc, c = bits.Add64(acc, c, 0)
	return Sum(acc + c).AddUint32(uint32(length)).AddUint32(uint32(proto))
}

// Sub takes a length back out that a Pseudo function has put in.
func (s Sum) Sub(length int) Sum { return s.AddUint32(^uint32(length)) }
