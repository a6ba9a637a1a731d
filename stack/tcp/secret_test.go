package tcp

import (
	"encoding/binary"
	"testing"
)

func TestSipHashReferenceVector(t *testing.T) {
	// SipHash-2-4 of the bytes 00 01 … 27 with the key 00 01 … 0f.
	var b [40]byte
	for i := range b {
		b[i] = byte(i)
	}
	w := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	k := [2]uint64{w(0), w(1)}
	if got, want := sipHash(&k, w(0), w(1), w(2), w(3), w(4)), uint64(0x0e3ea96b5304a7d0); got != want {
		t.Errorf("SipHash-2-4 = %#x, want %#x", got, want)
	}
	h := newSip(&k)
	h.add(w(0))
	if got, want := h.sum(1), uint64(0x93f5f5799a932462); got != want {
		t.Errorf("SipHash-2-4 of a word = %#x, want %#x", got, want)
	}
}
