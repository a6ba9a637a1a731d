package stream

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestSameInAnyPieces(t *testing.T) {
	whole, err := io.ReadAll(New(7, 10_001))
	if err != nil || len(whole) != 10_001 {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	for _, size := range []int{1, 3, 8, 11, 4096} {
		var pieces bytes.Buffer
		if _, err := io.CopyBuffer(struct{ io.Writer }{&pieces}, struct{ io.Reader }{New(7, 10_001)}, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(pieces.Bytes(), whole) {
			t.Errorf("read in pieces of %d the bytes differ", size)
		}
	}
	if other, _ := io.ReadAll(New(9, 10_001)); bytes.Equal(other, whole) {
		t.Error("another seed makes the same bytes")
	}
	if err := iotest.TestReader(New(7, 10_001), whole); err != nil {
		t.Error(err)
	}
}
