package main

import (
	"testing"

	"github.com/fstack-go/fstack/stack"
)

// FuzzDeliver gives the client frames that a server, or anybody else on the link, may send.
func FuzzDeliver(f *testing.F) {
	for _, size := range []int{0, 14, 34, 42, 54, 60, 1514} {
		f.Add(make([]byte, size), uint16(0))
	}
	l, e := newEcho(f, "-conns", "4", "-mode", "connect")
	e.r.closes = true
	for range 10 {
		for i := range e.queue.Rx {
			f.Add(append([]byte(nil), e.queue.Rx[i].Bytes()...), uint16(e.queue.Rx[i].Flags))
		}
		l.turn(e.clock)
	}
	f.Fuzz(func(t *testing.T, b []byte, flags uint16) {
		l, e := newEcho(t, "-conns", "4")
		for range 3 {
			l.turn(e.clock)
		}
		frame := stack.MakeFrame(b[:min(len(b), 9000)], 0)
		frame.Flags = stack.FrameFlags(flags) &^ stack.More
		for range 2 {
			l.deliver([]stack.Frame{frame})
			l.turn(e.clock)
		}
		half := frame
		half.Len /= 2
		l.deliver([]stack.Frame{half, frame})
		for range 3 {
			l.turn(e.clock)
		}
		if l.opening < 0 || l.established < 0 || l.opening+l.established > len(l.conns) {
			t.Errorf("%d opening, %d established", l.opening, l.established)
		}
	})
}
