package memory

import (
	"fmt"
	"testing"

	"github.com/fstack-go/fstack/stack"
)

// send puts a frame of some pieces into an end's queue.
func send(e *End, text string, pieces int, flags stack.FrameFlags) {
	for i := range pieces {
		f := e.Queue().Alloc()
		f.Len = uint16(copy(f.Room(), fmt.Sprint(text, i)))
		if f.Flags = flags; i < pieces-1 {
			f.Flags |= stack.More
		}
	}
}

func TestFramesArriveInOrderAndOnce(t *testing.T) {
	ends := New(1500, true)
	a, b := ends[0], ends[1]
	sent, got := 0, 0
	for round := range 5000 {
		for a.Queue().Free() > 45 && round%3 != 0 {
			send(a, fmt.Sprintf("%d.", sent), 1+sent%45, stack.TxTCPCsum|stack.TxIPCsum)
			sent++
		}
		if round < 4000 && round%2 == 0 { // the peer is slow
			a.Exchange()
			continue
		}
		a.Flush()
		b.Exchange()
		for rx := b.Queue().Rx; len(rx) > 0; got++ {
			for i := range 1 + got%45 {
				want := stack.RxL4CsumGood | stack.RxIPCsumGood
				if i < got%45 {
					want |= stack.More
				}
				if text := string(rx[0].Bytes()); text != fmt.Sprintf("%d.%d", got, i) || rx[0].Flags != want {
					t.Fatalf("frame %d, piece %d: %q, flags %x, want %x", got, i, text, rx[0].Flags, want)
				}
				rx = rx[1:]
			}
		}
	}
	for range 200 {
		a.Exchange()
		b.Exchange()
		for _, f := range b.Queue().Rx {
			if f.Flags&stack.More == 0 {
				got++
			}
		}
	}
	if got != sent || sent < 1000 {
		t.Errorf("%d of %d frames arrived", got, sent)
	}
	if n := len(*a.pool) + len(b.Queue().Rx); n != 2*(most+burst+pieces) {
		t.Errorf("%d frames in the pool, want %d", n, 2*(most+burst+pieces))
	}
}
