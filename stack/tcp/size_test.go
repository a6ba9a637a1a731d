package tcp

import (
	"testing"
	"unsafe"
)

func TestIdleConnectionIsSmall(t *testing.T) {
	// 512 bytes with its part of the tables, its extra (24, of few connections) and a descriptor of at most 32 bytes.
	if pcbSize > 448 {
		t.Errorf("a PCB has %d bytes", pcbSize)
	}
	var p pcb
	if off := unsafe.Offsetof(p.rec); off != 64 {
		t.Errorf("recovery begins at %d, want the second cache line", off)
	}
	t.Log(pcbSize, unsafe.Offsetof(p.sndWnd), unsafe.Offsetof(p.tsOffset), unsafe.Offsetof(p.gen), unsafe.Offsetof(p.iss), unsafe.Offsetof(p.acked))
}
