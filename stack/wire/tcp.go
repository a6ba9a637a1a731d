package wire

import "encoding/binary"

// TCPLen is the length of a TCP header without options.
const TCPLen = 20

// TCP flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// TCP is the fixed part of a TCP header (RFC 9293 §3.1).
//
//	 0               2               4                               8
//	┌───────────────┬───────────────┬───────────────────────────────┐
//	│ source port   │ destination   │ sequence number               │
//	├───────────────┴───────────────┼───┬───┬───────┬───────────────┤ 8
//	│ acknowledgment number         │off│res│ flags │ window        │
//	├───────────────┬───────────────┼───┴───┴───────┴───────────────┘ 16
//	│ checksum      │ urgent pointer│
//	└───────────────┴───────────────┘ 20
type TCP [TCPLen]byte

// TCPAt views the header at the start of b, which has at least TCPLen bytes.
func TCPAt(b []byte) *TCP { return (*TCP)(b) }

// SrcPort is the source port.
func (h *TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(h[0:2]) }

// DstPort is the destination port.
func (h *TCP) DstPort() uint16 { return binary.BigEndian.Uint16(h[2:4]) }

// Seq is the sequence number.
func (h *TCP) Seq() uint32 { return binary.BigEndian.Uint32(h[4:8]) }

// Ack is the acknowledgment number.
func (h *TCP) Ack() uint32 { return binary.BigEndian.Uint32(h[8:12]) }

// HeaderLen is the length of the header with its options, 0 to 60 bytes.
func (h *TCP) HeaderLen() int { return int(h[12]>>4) * 4 }

// Flags are the eight flags.
func (h *TCP) Flags() uint8 { return h[13] }

// Window is the window, not scaled.
func (h *TCP) Window() uint16 { return binary.BigEndian.Uint16(h[14:16]) }

// Checksum is the field as it stands.
func (h *TCP) Checksum() uint16 { return binary.BigEndian.Uint16(h[16:18]) }

// Urgent is the urgent pointer.
func (h *TCP) Urgent() uint16 { return binary.BigEndian.Uint16(h[18:20]) }

// Set writes the whole header of headerLen bytes (options follow it); the checksum is zero.
func (h *TCP) Set(src, dst uint16, seq, ack uint32, headerLen int, flags uint8, window, urgent uint16) {
	binary.BigEndian.PutUint64(h[0:8], uint64(src)<<48|uint64(dst)<<32|uint64(seq))
	binary.BigEndian.PutUint64(h[8:16], uint64(ack)<<32|uint64(uint32(headerLen)<<26|uint32(flags)<<16|uint32(window)))
	binary.BigEndian.PutUint32(h[16:20], uint32(urgent))
}

// SetChecksum writes the checksum field; sum is that of Fold over all the segment with this field zero and the
// pseudo header.
func (h *TCP) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(h[16:18], ^sum) }

// SetPartialChecksum writes the sum of the pseudo header, not complemented, for a device that does the rest.
func (h *TCP) SetPartialChecksum(sum uint16) { binary.BigEndian.PutUint16(h[16:18], sum) }
