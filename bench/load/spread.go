package main

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/steer"
	"github.com/fstack-go/fstack/stack/wire"
)

// spread makes one device of several queue pairs, and plays the card in front of a server of as many processes: it puts
// each frame on the queue that place names. It copies frames, so it is slower than a queue pair alone.
//
//	client ─► spread ─┬─► queue 0 ─► worker 0
//	                  └─► queue 1 ─► worker 1
type spread struct {
	stack.Device   // the first one, for what they have in common
	queues         []stack.Device
	queue          stack.Queue
	place          func(frame []byte) int
	tx, rx, unsent []stack.Frame
}

// newSpread joins queue pairs of one port. With rss a connection is on the queue that the table and the key of a card with
// RSS name; else on one that has nothing to do with its worker's.
func newSpread(queues []stack.Device, rss bool) (*spread, error) {
	const slots = 256
	s := &spread{Device: queues[0], queues: queues, place: byPort(len(queues))}
	if rss {
		var err error
		if s.place, err = byRSS(len(queues)); err != nil {
			return nil, err
		}
	}
	room := s.Info().MTU + 18
	for range slots {
		s.tx = append(s.tx, stack.MakeFrame(make([]byte, room), 0))
	}
	s.queue, s.unsent = stack.MakeQueue(s.tx), make([]stack.Frame, 0, slots)
	return s, nil
}

// byPort places a connection by its client's port alone.
func byPort(queues int) func([]byte) int {
	return func(b []byte) int {
		if !isTCP(b) {
			return 0
		}
		return int(binary.BigEndian.Uint16(b[tcpAt:])>>1) % queues
	}
}

// byRSS places a connection as a card does by its default key and a table of 128 entries, each queue in turn.
func byRSS(queues int) (func([]byte) int, error) {
	hash, err := steer.NewToeplitz(steer.MicrosoftKey)
	if err != nil {
		return nil, err
	}
	reta := steer.Even(128, queues)
	end := func(addr, port []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr)), binary.BigEndian.Uint16(port))
	}
	return func(b []byte) int {
		if !isTCP(b) {
			return 0
		}
		return int(reta[hash.Flow(end(b[ipAt+12:], b[tcpAt:]), end(b[ipAt+16:], b[tcpAt+2:]))%128])
	}, nil
}

// isTCP tells apart what the client sends: TCP over IPv4 without options, and ARP.
func isTCP(b []byte) bool {
	return len(b) >= headers && wire.EthernetAt(b).Type() == wire.TypeIPv4
}

// Queue implements stack.Device.
func (s *spread) Queue() *stack.Queue { return &s.queue }

// Exchange implements stack.Device.
func (s *spread) Exchange() {
	s.fill()
	s.rx = s.rx[:0]
	for _, d := range s.queues {
		d.Exchange()
		s.rx = append(s.rx, d.Queue().Rx...)
	}
	s.queue.Rx = s.rx
}

// Flush implements stack.Device.
func (s *spread) Flush() {
	s.fill()
	for _, d := range s.queues {
		d.Flush()
	}
}

// fill copies the frames to the queues that are theirs; those whose queue is full stay, in their order.
func (s *spread) fill() {
	taken := s.queue.Taken()
	s.unsent = s.unsent[:0]
	sent := 0
	for i := range taken {
		f := &taken[i]
		to := s.queues[s.place(f.Bytes())].Queue().Alloc()
		if to == nil {
			s.unsent = append(s.unsent, *f)
			continue
		}
		copy(to.Room(), f.Bytes())
		to.Len, to.Flags, to.L2, to.L3, to.L4, to.MSS = f.Len, f.Flags, f.L2, f.L3, f.L4, f.MSS
		taken[sent] = *f // a slot with free memory
		sent++
	}
	// The memory of the sent ones goes behind that of the kept ones.
	n := copy(taken[len(s.unsent):], taken[:sent])
	copy(taken, s.unsent)
	s.queue.Sent(n)
}

// Close implements stack.Device.
func (s *spread) Close() error {
	var errs []error
	for _, d := range s.queues {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
