package steer

import (
	"fmt"
	"iter"
	"net/netip"
)

// RSS is a device's way from a packet to a queue.
type RSS struct {
	hash *Toeplitz
	reta []uint16
	mask uint32
}

// New returns the steering of a device with that key and redirection table: reta[hash mod its size] is the queue.
func New(key []byte, reta []uint16) (*RSS, error) {
	h, err := NewToeplitz(key)
	if err != nil {
		return nil, err
	}
	n := len(reta)
	if n == 0 || n > 1<<15 || n&(n-1) != 0 {
		return nil, fmt.Errorf("redirection table: %d entries, want a power of two up to 32768", n)
	}
	return &RSS{hash: h, reta: append([]uint16(nil), reta...), mask: uint32(n - 1)}, nil
}

// Even is a redirection table of that size over queues, each in turn.
func Even(size, queues int) []uint16 {
	reta := make([]uint16, size)
	for i := range reta {
		reta[i] = uint16(i % queues)
	}
	return reta
}

// Queue is the queue of a packet with that hash.
func (r *RSS) Queue(hash uint32) int { return int(r.reta[hash&r.mask]) }

// Flow is the queue that receives a TCP or UDP packet from src to dst.
func (r *RSS) Flow(src, dst netip.AddrPort) int { return r.Queue(r.hash.Flow(src, dst)) }

// Addrs is the queue that receives a fragment, or another protocol's packet, from src to dst.
func (r *RSS) Addrs(src, dst netip.Addr) int { return r.Queue(r.hash.Addrs(src, dst)) }

// Ports yields, without trying each, the local ports of [low, high] for which packets from remote to local come to
// that queue; start says where in the round to begin, so that callers differ.
func (r *RSS) Ports(queue int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16] {
	w := walk{rss: r, queue: queue, hash: r.hash, entries: uint32(len(r.reta)), remote: remote, local: local, low: low, high: high, start: start}
	return w.each
}
