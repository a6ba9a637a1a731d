package steer

import (
	"fmt"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
)

// Port is what a Steerer knows of a port of its stack.
type Port struct {
	Hander stack.Hander
	MAC    [6]byte
	// Key is the RSS key; nil: MicrosoftKey.
	Key []byte
	// Hardware says that the device hashes TCP and UDP over IPv4 and IPv6 with Key and that its redirection table is the
	// map's. Otherwise frames may arrive at any slot, and the map alone says whose they are.
	Hardware bool
}

// Steerer decides, in one slot, whose a received frame is. It implements stack.Steering.
type Steerer struct {
	m      *Map
	me     int
	minder bool // has no stack: nothing stays
	ports  []port

	counters Counters
	head     [headMost]byte // the start of a frame whose first piece is short
	datagram []byte         // one that lies in no frame

	// HasTCP is set for a stack whose last layer has the TCP: it tells whether a segment to local belongs to one of its
	// connections. A layer before the last looks its connections up itself and asks Stray about what it does not find.
	HasTCP func(port int, local, remote netip.AddrPort) bool
}

type port struct {
	Port
	hash *Toeplitz
}

// headMost is how much of a frame is looked at when its first piece has less.
const headMost = 512

var _ stack.Steering = (*Steerer)(nil)

// NewSteerer returns the steering of a slot, whose ports are no other's yet: it forgets those that the map has of it. In
// the supervisor's slot nothing stays: what a worker would keep goes to the first serving one.
func NewSteerer(m *Map, slot int, ports []Port) (*Steerer, error) {
	if slot < 0 || slot >= m.Slots() {
		return nil, fmt.Errorf("steering: slot %d, want 0 to %d", slot, m.Slots()-1)
	}
	if len(ports) == 0 {
		return nil, fmt.Errorf("steering: slot %d has no ports", slot)
	}
	x := &Steerer{m: m, me: slot, minder: slot == m.Supervisor()}
	for i, p := range ports {
		if p.Hander == nil {
			return nil, fmt.Errorf("steering: port %d cannot hand frames over", i)
		}
		key := p.Key
		if key == nil {
			key = MicrosoftKey
		}
		hash, err := NewToeplitz(key)
		if err != nil {
			return nil, fmt.Errorf("steering: port %d: %w", i, err)
		}
		x.ports = append(x.ports, port{p, hash})
	}
	m.clearPorts(slot)
	return x, nil
}

// Counters returns a copy of the counters. It is for the loop, or with the stack's lock held.
func (x *Steerer) Counters() Counters { return x.counters }
