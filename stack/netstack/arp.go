package netstack

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Neighbour is a line of the neighbour tables: of ARP for IPv4, of NDP for IPv6.
type Neighbour struct {
	Port  int
	Addr  netip.Addr
	MAC   [6]byte // zero if it is not known
	State string  // as in RFC 4861 §7.3.2, "Static" or "Unreachable"
}

// learn takes over the new link address of a known neighbour from any ARP packet of its, a gratuitous one among them,
// as RFC 826 has it ("Packet Reception"); gVisor does so only for a request that is for us. An address that has moved
// to another host is then reached at once.
func (l *link) learn(packet []byte) {
	a := header.ARP(packet)
	if !a.IsValid() || [6]byte(a.HardwareAddressSender())[0]&1 != 0 {
		return
	}
	nic, from, mac := nicOf(l.port), tcpip.AddrFrom4Slice(a.ProtocolAddressSender()), [6]byte(a.HardwareAddressSender())
	x := &l.n.neighbours
	x.mu.Lock()
	known, ok := x.seen[neighbourKey{nic, from}]
	x.mu.Unlock()
	if ok && known.mac != mac {
		l.heard(header.IPv4ProtocolNumber, from, mac)
	}
}

// Neighbours are all known neighbours of all ports, by port and address.
func (n *Netstack) Neighbours() (all []Neighbour) {
	x := &n.neighbours
	x.mu.Lock()
	for k, v := range x.seen {
		all = append(all, Neighbour{portOf(k.nic), fromAddress(k.addr), v.mac, v.state.String()})
	}
	x.mu.Unlock()
	slices.SortFunc(all, func(a, b Neighbour) int { return cmp.Or(a.Port-b.Port, a.Addr.Compare(b.Addr)) })
	return all
}

// AddNeighbour sets a neighbour's link address for good.
func (n *Netstack) AddNeighbour(port int, a netip.Addr, mac [6]byte) error {
	if err := n.has(port); err != nil {
		return fmt.Errorf("netstack: add neighbour %v on port %d: %w", a, port, err)
	}
	if err := n.g.AddStaticNeighbor(nicOf(port), protoOf(a), toAddress(a), tcpip.LinkAddress(mac[:])); err != nil {
		return fmt.Errorf("netstack: add neighbour %v on port %d: %w", a, port, errno(err))
	}
	return nil
}

// RemoveNeighbour forgets a neighbour, or returns ENOENT if it is not known.
func (n *Netstack) RemoveNeighbour(port int, a netip.Addr) error {
	if err := n.has(port); err != nil {
		return fmt.Errorf("netstack: remove neighbour %v from port %d: %w", a, port, err)
	}
	switch err := n.g.RemoveNeighbor(nicOf(port), protoOf(a), toAddress(a)); err.(type) {
	case nil:
		return nil
	case *tcpip.ErrBadAddress:
		return fmt.Errorf("netstack: remove neighbour %v from port %d: %w", a, port, syscall.ENOENT)
	default:
		return fmt.Errorf("netstack: remove neighbour %v from port %d: %w", a, port, errno(err))
	}
}
