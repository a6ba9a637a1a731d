package wire

import (
	"encoding/binary"
	"math/bits"
)

// IP protocol numbers.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)

// IPv4Len is the length of an IPv4 header without options.
const IPv4Len = 20

// Bits of the field that IPv4.Fragment returns.
const (
	IPv4DF         = 0x4000
	IPv4MF         = 0x2000
	IPv4OffsetMask = 0x1fff
)

// IPv4 is the fixed part of an IPv4 header (RFC 791 §3.1).
//
//	 0       1       2               4               6               8
//	┌───┬───┬───────┬───────────────┬───────────────┬───────────────┐
//	│ver│ihl│ tos   │ total length  │ identification│flags, offset  │
//	├───┴───┼───────┼───────────────┼───────────────┴───────────────┤ 8
//	│ ttl   │ proto │ checksum      │ source                        │
//	├───────┴───────┴───────────────┼───────────────────────────────┘ 16
//	│ destination                   │
//	└───────────────────────────────┘ 20
type IPv4 [IPv4Len]byte

// IPv4At views the header at the start of b, which has at least IPv4Len bytes.
func IPv4At(b []byte) *IPv4 { return (*IPv4)(b) }

// VersionIHL is the first byte: 0x45 for a header without options.
func (h *IPv4) VersionIHL() uint8 { return h[0] }

// HeaderLen is the length of the header with its options.
func (h *IPv4) HeaderLen() int { return int(h[0]&15) * 4 }

// TOS is the type of service: DSCP and ECN.
func (h *IPv4) TOS() uint8 { return h[1] }

// TotalLen is the length of header and payload.
func (h *IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(h[2:4])) }

// ID is the identification.
func (h *IPv4) ID() uint16 { return binary.BigEndian.Uint16(h[4:6]) }

// Fragment is the field of flags and fragment offset.
func (h *IPv4) Fragment() uint16 { return binary.BigEndian.Uint16(h[6:8]) }

// TTL is the time to live.
func (h *IPv4) TTL() uint8 { return h[8] }

// Proto is the protocol of the payload.
func (h *IPv4) Proto() uint8 { return h[9] }

// Checksum is the field as it stands.
func (h *IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(h[10:12]) }

// Src is the source address.
func (h *IPv4) Src() *[4]byte { return (*[4]byte)(h[12:16]) }

// Dst is the destination address.
func (h *IPv4) Dst() *[4]byte { return (*[4]byte)(h[16:20]) }

// ChecksumGood tells whether the checksum of a header without options is right.
func (h *IPv4) ChecksumGood() bool { return h.sum() == 0xffff }

// SetChecksum computes and writes the checksum of a header without options.
func (h *IPv4) SetChecksum() {
	h[10], h[11] = 0, 0
	binary.NativeEndian.PutUint16(h[10:12], ^h.sum())
}

// sum is the ones' complement sum of the ten words, in native byte order.
func (h *IPv4) sum() uint16 {
	s, c := bits.Add64(binary.NativeEndian.Uint64(h[0:8]), binary.NativeEndian.Uint64(h[8:16]), 0)
	s, c = bits.Add64(s, uint64(binary.NativeEndian.Uint32(h[16:20])), c)
	return fold(s, c)
}

// Set writes a header without options whose packet has payload bytes after it; the checksum is zero.
func (h *IPv4) Set(tos uint8, payload int, id, fragment uint16, ttl, proto uint8, src, dst *[4]byte) {
	binary.BigEndian.PutUint32(h[0:4], 0x45<<24|uint32(tos)<<16|uint32(IPv4Len+payload))
	binary.BigEndian.PutUint32(h[4:8], uint32(id)<<16|uint32(fragment))
	binary.BigEndian.PutUint32(h[8:12], uint32(ttl)<<24|uint32(proto)<<16)
	*h.Src() = *src
	*h.Dst() = *dst
}

// Put is Set with the addresses as numbers, and with the checksum if sum is true. It writes whole words: the header is
// not read back, which would have to wait for narrower ones.
func (h *IPv4) Put(tos uint8, payload int, id, fragment uint16, ttl, proto uint8, src, dst uint32, sum bool) {
	a := uint64(0x45<<24|uint32(tos)<<16|uint32(IPv4Len+payload))<<32 | uint64(id)<<16 | uint64(fragment)
	b := uint32(ttl)<<24 | uint32(proto)<<16
	if sum {
		b |= uint32(^fold(a>>32+a&0xffffffff+uint64(b)+uint64(src)+uint64(dst), 0))
	}
	binary.BigEndian.PutUint64(h[0:8], a)
	binary.BigEndian.PutUint64(h[8:16], uint64(b)<<32|uint64(src))
	binary.BigEndian.PutUint32(h[16:20], dst)
}
