package wire

import "encoding/binary"

// EtherType values.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeVLAN = 0x8100
	TypeIPv6 = 0x86dd
)

// EthernetLen is the length of an Ethernet header without VLAN tag.
const EthernetLen = 14

// Ethernet is an untagged Ethernet header.
//
//	 0                   6                   12      14
//	┌───────────────────┬───────────────────┬───────┐
//	│ destination       │ source            │ type  │
//	└───────────────────┴───────────────────┴───────┘
type Ethernet [EthernetLen]byte

// EthernetAt views the header at the start of b, which has at least EthernetLen bytes.
func EthernetAt(b []byte) *Ethernet { return (*Ethernet)(b) }

// Dst is the destination address.
func (h *Ethernet) Dst() *[6]byte { return (*[6]byte)(h[0:6]) }

// Src is the source address.
func (h *Ethernet) Src() *[6]byte { return (*[6]byte)(h[6:12]) }

// Type is the EtherType.
func (h *Ethernet) Type() uint16 { return binary.BigEndian.Uint16(h[12:14]) }

// Set writes the whole header.
func (h *Ethernet) Set(dst, src *[6]byte, typ uint16) {
	*h.Dst() = *dst
	*h.Src() = *src
	binary.BigEndian.PutUint16(h[12:14], typ)
}
