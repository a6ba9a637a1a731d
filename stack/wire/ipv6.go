package wire

import "encoding/binary"

// IPv6Len is the length of the fixed IPv6 header.
const IPv6Len = 40

// IPv6 is the fixed IPv6 header (RFC 8200 §3).
//
//	 0                               4               6       7       8
//	┌───┬───────┬───────────────────┬───────────────┬───────┬───────┐
//	│ 6 │class  │ flow label        │ payload length│next   │hop lim│
//	├───┴───────┴───────────────────┴───────────────┴───────┴───────┤ 8
//	│ source                                                        │
//	├───────────────────────────────────────────────────────────────┤ 24
//	│ destination                                                   │
//	└───────────────────────────────────────────────────────────────┘ 40
type IPv6 [IPv6Len]byte

// IPv6At views the header at the start of b, which has at least IPv6Len bytes.
func IPv6At(b []byte) *IPv6 { return (*IPv6)(b) }

// Version is 6.
func (h *IPv6) Version() uint8 { return h[0] >> 4 }

// Class is the traffic class: DSCP and ECN.
func (h *IPv6) Class() uint8 { return h[0]<<4 | h[1]>>4 }

// FlowLabel is the flow label, 20 bits.
func (h *IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(h[0:4]) & 0xfffff }

// PayloadLen is the length of what follows this header.
func (h *IPv6) PayloadLen() int { return int(binary.BigEndian.Uint16(h[4:6])) }

// Next is the type of the header that follows.
func (h *IPv6) Next() uint8 { return h[6] }

// HopLimit is the hop limit.
func (h *IPv6) HopLimit() uint8 { return h[7] }

// Src is the source address.
func (h *IPv6) Src() *[16]byte { return (*[16]byte)(h[8:24]) }

// Dst is the destination address.
func (h *IPv6) Dst() *[16]byte { return (*[16]byte)(h[24:40]) }

// Set writes the whole header.
func (h *IPv6) Set(class uint8, flow uint32, payload int, next, hopLimit uint8, src, dst *[16]byte) {
	binary.BigEndian.PutUint32(h[0:4], 6<<28|uint32(class)<<20|flow&0xfffff)
	binary.BigEndian.PutUint32(h[4:8], uint32(payload)<<16|uint32(next)<<8|uint32(hopLimit))
	*h.Src() = *src
	*h.Dst() = *dst
}
