package main

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/fstack-go/fstack/bench/memory"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// segmentFrom writes a TCP segment of port from into a frame of q.
func segmentFrom(t *testing.T, q *stack.Queue, from uint16, text string) {
	t.Helper()
	f := q.Alloc()
	if f == nil {
		t.Fatal("no frame")
	}
	b := f.Room()[:headers+len(text)]
	clear(b)
	wire.EthernetAt(b).Set(&[6]byte{2}, &[6]byte{4}, wire.TypeIPv4)
	copy(b[ipAt+12:], []byte{66, 9, 149, 187, 161, 142, 100, 80}) // of the published vectors of RSS
	binary.BigEndian.PutUint16(b[tcpAt:], from)
	binary.BigEndian.PutUint16(b[tcpAt+2:], 1766)
	copy(b[headers:], text)
	f.Len = uint16(len(b))
}

func twoQueues(t *testing.T, rss bool) (s *spread, far [2]*memory.End) {
	t.Helper()
	var near [2]stack.Device
	for i := range near {
		ends := memory.New(1500, false)
		near[i], far[i] = ends[0], ends[1]
	}
	s, err := newSpread(near[:], rss)
	if err != nil {
		t.Fatal(err)
	}
	return s, far
}

// TestSpreadKeepsOrder sends more than the queues take at once: what does not go stays, nothing overtakes within a
// connection, and no slot's memory is in two places.
func TestSpreadKeepsOrder(t *testing.T) {
	s, far := twoQueues(t, false)
	next, got := [8]int{}, [8]int{}
	for round := range 2000 {
		for i := 0; s.Queue().Free() > 0 && i < 100; i++ {
			c := (round*7 + i*i) % len(next)
			segmentFrom(t, s.Queue(), uint16(2*c), fmt.Sprintf("%d:%d", c, next[c]))
			next[c]++
		}
		s.Exchange()
		for i, end := range far {
			if round%3 == i || round > 1900 { // slow, each at its times
				for range 5 {
					end.Exchange()
					for _, f := range end.Queue().Rx {
						var c, n int
						if _, err := fmt.Sscanf(string(f.Bytes()[headers:]), "%d:%d", &c, &n); err != nil {
							t.Fatal(err)
						}
						if n != got[c] || c%2 != i {
							t.Fatalf("queue %d: segment %d of connection %d, want %d on queue %d", i, n, c, got[c], c%2)
						}
						got[c]++
					}
				}
			}
		}
	}
	for range 200 {
		s.Exchange()
		for _, end := range far {
			end.Exchange()
			for _, f := range end.Queue().Rx {
				var c, n int
				fmt.Sscanf(string(f.Bytes()[headers:]), "%d:%d", &c, &n)
				got[c]++
			}
		}
	}
	if got != next || next[0] < 1000 {
		t.Errorf("%v arrived of %v", got, next)
	}
}

// TestSpreadByRSS has the first of the published vectors: its hash is 0x51ccc178, an even number.
func TestSpreadByRSS(t *testing.T) {
	s, far := twoQueues(t, true)
	segmentFrom(t, s.Queue(), 2794, "")
	s.Exchange()
	far[0].Exchange()
	far[1].Exchange()
	if a, b := len(far[0].Queue().Rx), len(far[1].Queue().Rx); a != 1 || b != 0 {
		t.Errorf("%d frames on queue 0 and %d on queue 1, want 1 and 0", a, b)
	}
	// ARP goes to the first.
	f := s.Queue().Alloc()
	b := f.Room()[:60]
	clear(b)
	wire.EthernetAt(b).Set(&[6]byte{2}, &[6]byte{4}, wire.TypeARP)
	f.Len = 60
	s.Exchange()
	far[0].Exchange()
	if n := len(far[0].Queue().Rx); n != 1 {
		t.Errorf("%d frames of ARP on queue 0, want 1", n)
	}
	// What comes by either queue is received.
	for i, end := range far {
		segmentFrom(t, end.Queue(), uint16(i), "x")
		end.Flush()
	}
	if s.Exchange(); len(s.Queue().Rx) != 2 {
		t.Errorf("%d frames received, want 2", len(s.Queue().Rx))
	}
}
