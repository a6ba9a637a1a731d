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
//
// The hash is linear over GF(2): hash(port) = hash(0) ^ L·port. For each entry of the RETA that names the queue, the
// ports are one solution of L·port = entry ^ hash(0), on the bits that index the RETA, and all sums of it with L's
// kernel (Toeplitz hash functions, Krawczyk 1994).
func (r *RSS) Ports(queue int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16] {
	mine := func(entry uint32) bool { return int(r.reta[entry]) == queue }
	return ports(r.hash, uint32(len(r.reta)), mine, nil, remote, local, low, high, start)
}

// ports is Ports for a table of that many entries of which some are mine, less the ports that are taken.
func ports(hash *Toeplitz, entries uint32, mine func(entry uint32) bool, taken func(entry uint32, port uint16) bool,
	remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32,
) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		mask := entries - 1
		pos := portsAt(local) + 2 // the reply's destination
		base := hash.Flow(remote, netip.AddrPortFrom(local, 0)) & mask
		var columns [16]uint32
		for bit := range columns {
			columns[bit] = hash.port(pos, 1<<bit) & mask
		}
		s := eliminate(columns)
		kernel := uint32(1) << s.nullity
		for i := range entries {
			entry := (start + i) & mask
			if !mine(entry) {
				continue
			}
			p, ok := s.solve(entry ^ base)
			if !ok {
				continue
			}
			for k := range kernel {
				port := p ^ s.combine((k+start/entries)&(kernel-1))
				if port < low || port > high || taken != nil && taken(entry, port) {
					continue
				}
				if !yield(port) {
					return
				}
			}
		}
	}
}
