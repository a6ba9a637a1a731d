package steer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// tuple is the longest input: two IPv6 addresses and two ports.
const tuple = 16 + 16 + 2 + 2

// Toeplitz is the hash with a key, as a table by position and value of each input byte: 36 look-ups for the
// longest tuple.
type Toeplitz struct {
	table [tuple][256]uint32
}

// NewToeplitz prepares a key of at least 40 bytes, the input's length and the 32 bits of the window beyond it.
func NewToeplitz(key []byte) (*Toeplitz, error) {
	if len(key) < tuple+4 {
		return nil, fmt.Errorf("RSS key: %d bytes, want at least %d", len(key), tuple+4)
	}
	t := new(Toeplitz)
	for pos := range t.table {
		// The 32-bit windows of the key that start at the 8 bits of this byte.
		window := uint64(binary.BigEndian.Uint32(key[pos:]))<<8 | uint64(key[pos+4])
		for v := range 256 {
			var h uint32
			for bit := range 8 {
				if v&(0x80>>bit) != 0 {
					h ^= uint32(window >> (8 - bit))
				}
			}
			t.table[pos][v] = h
		}
	}
	return t, nil
}

// MicrosoftKey is the key of the published test vectors, and the default of many cards.
var MicrosoftKey = []byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}

// SymmetricKey gives both directions of a flow the same hash: it repeats every 16 bits, the distance by which
// source and destination change places (Woo and Park, "Scalable TCP Session Monitoring with Symmetric RSS", 2012).
// It has less entropy than MicrosoftKey.
var SymmetricKey = func() []byte {
	key := make([]byte, 40)
	for i := range key {
		key[i] = [2]byte{0x6d, 0x5a}[i%2]
	}
	return key
}()

// sum hashes b at the position pos of the input.
func (t *Toeplitz) sum(pos int, b []byte) (h uint32) {
	for i, v := range b {
		h ^= t.table[pos+i][v]
	}
	return h
}

// Addrs hashes a source and a destination of one family: what cards do with fragments and with protocols that
// they do not know.
func (t *Toeplitz) Addrs(src, dst netip.Addr) uint32 {
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		return t.sum(0, s[:]) ^ t.sum(4, d[:])
	}
	s, d := src.As16(), dst.As16()
	return t.sum(0, s[:]) ^ t.sum(16, d[:])
}

// Flow hashes a TCP or UDP packet from src to dst.
func (t *Toeplitz) Flow(src, dst netip.AddrPort) uint32 {
	pos := portsAt(src.Addr())
	return t.Addrs(src.Addr(), dst.Addr()) ^ t.port(pos, src.Port()) ^ t.port(pos+2, dst.Port())
}

func portsAt(a netip.Addr) int {
	if a.Is4() {
		return 8
	}
	return 32
}

func (t *Toeplitz) port(pos int, p uint16) uint32 {
	return t.table[pos][p>>8] ^ t.table[pos+1][p&0xff]
}
