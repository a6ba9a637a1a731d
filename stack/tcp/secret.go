package tcp

import (
	"encoding/binary"
	"math/bits"
)

// secret keys what must not be guessed from outside. Each use has a key of its own, derived from one secret.
type secret struct {
	connection, port, cookie [2]uint64
}

func (s *secret) init(seed *[32]byte) {
	k := [2]uint64{binary.LittleEndian.Uint64(seed[0:8]), binary.LittleEndian.Uint64(seed[8:16])}
	l := [2]uint64{binary.LittleEndian.Uint64(seed[16:24]), binary.LittleEndian.Uint64(seed[24:32])}
	for i, key := range []*[2]uint64{&s.connection, &s.port, &s.cookie} {
		key[0] = sipHash(&k, l[0], l[1], uint64(2*i), 0, 0)
		key[1] = sipHash(&k, l[0], l[1], uint64(2*i+1), 0, 0)
	}
}

// sip hashes a 4-tuple and one more word. Over IPv4 there is less to hash; no message of one kind is one of the other,
// since the length is part of it.
func (k *key) sip(secret *[2]uint64, more uint64) uint64 {
	last := uint64(k.ports) | uint64(k.scope)<<32
	h := newSip(secret)
	if isMapped(k.rhi, k.rlo) && isMapped(k.lhi, k.llo) {
		h.add(k.rlo<<32 | k.llo&0xffffffff)
		h.add(last)
		h.add(more)
		return h.sum(3)
	}
	h.add(k.rhi ^ more)
	h.add(k.rlo)
	h.add(k.lhi)
	h.add(k.llo)
	h.add(last)
	return h.sum(5)
}

// sipHash is SipHash-2-4 over five words (40 bytes): a keyed function that an attacker who sees its values cannot
// predict (Aumasson and Bernstein 2012).
func sipHash(k *[2]uint64, m0, m1, m2, m3, m4 uint64) uint64 {
	h := newSip(k)
	for _, m := range [5]uint64{m0, m1, m2, m3, m4} {
		h.add(m)
	}
	return h.sum(5)
}

// sip is SipHash-2-4 on its way, over whole words.
type sip struct{ v0, v1, v2, v3 uint64 }

func newSip(k *[2]uint64) sip {
	return sip{k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573}
}

func (h *sip) add(m uint64) {
	v0, v1, v2, v3 := sipRound(h.v0, h.v1, h.v2, h.v3^m)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	*h = sip{v0 ^ m, v1, v2, v3}
}

// sum ends a message of that many words.
func (h *sip) sum(words uint64) uint64 {
	h.add(words * 8 << 56)
	v0, v1, v2, v3 := h.v0, h.v1, h.v2^0xff, h.v3
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
