package netstack

import (
	"fmt"
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Loopback is the port number of the loopback interface in routes, addresses and neighbours.
const Loopback = -1

// Route is a line of the routing table. The longest prefix wins.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // the zero Addr: Dst is on the link
	Port    int        // of the stack, or Loopback
}

func portOf(nic tcpip.NICID) int { return int(nic - nicOf(0)) }

// has returns ENODEV if netstack has no such port.
func (n *Netstack) has(port int) error {
	if port == Loopback || port >= 0 && port < len(n.links) && n.links[port] != nil {
		return nil
	}
	return syscall.ENODEV
}

// AddAddr adds an address to a port, and the route to its net. It may be called at run time, from any goroutine.
func (n *Netstack) AddAddr(port int, p netip.Prefix) error {
	if err := n.has(port); err != nil || !p.IsValid() {
		return fmt.Errorf("netstack: add address %v to port %d: %w", p, port, firstOf(err, syscall.EINVAL))
	}
	nic := nicOf(port)
	if err := n.g.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          protoOf(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: toAddress(p.Addr()), PrefixLen: p.Bits()},
	}, gstack.AddressProperties{}); err != nil {
		return fmt.Errorf("netstack: add address %v to port %d: %w", p, port, errno(err))
	}
	n.g.AddRoute(tcpip.Route{Destination: subnet(p), NIC: nic})
	n.changes.Add(1)
	return nil
}

// RemoveAddr removes an address from a port, and the route to its net. Connections from that address end with their
// next send. It may be called at run time, from any goroutine.
func (n *Netstack) RemoveAddr(port int, p netip.Prefix) error {
	if err := n.has(port); err != nil || !p.IsValid() {
		return fmt.Errorf("netstack: remove address %v from port %d: %w", p, port, firstOf(err, syscall.EINVAL))
	}
	nic, net := nicOf(port), subnet(p)
	if err := n.g.RemoveAddress(nic, toAddress(p.Addr())); err != nil {
		return fmt.Errorf("netstack: remove address %v from port %d: %w", p, port, errno(err))
	}
	for _, left := range n.Addrs(port) {
		if left.Masked() == p.Masked() {
			n.changes.Add(1)
			return nil // another address keeps the route
		}
	}
	n.g.RemoveRoutes(func(r tcpip.Route) bool { return r.NIC == nic && r.Gateway.Len() == 0 && r.Destination == net })
	n.changes.Add(1)
	return nil
}

// Addrs are a port's addresses with their prefix lengths, IPv6 link-local ones among them.
func (n *Netstack) Addrs(port int) (addrs []netip.Prefix) {
	for _, a := range n.g.AllAddresses()[nicOf(port)] {
		addrs = append(addrs, netip.PrefixFrom(fromAddress(a.AddressWithPrefix.Address), a.AddressWithPrefix.PrefixLen))
	}
	return addrs
}

// AddRoute adds a route; one with the same destination and port is replaced.
func (n *Netstack) AddRoute(r Route) error {
	err := n.has(r.Port)
	if err != nil || !r.Dst.IsValid() || r.Gateway.IsValid() && r.Gateway.Is4() != r.Dst.Addr().Is4() {
		return fmt.Errorf("netstack: add route to %v through %v on port %d: %w", r.Dst, r.Gateway, r.Port, firstOf(err, syscall.EINVAL))
	}
	g := tcpip.Route{Destination: subnet(r.Dst), Gateway: toAddress(r.Gateway), NIC: nicOf(r.Port)}
	n.g.RemoveRoutes(func(old tcpip.Route) bool { return old.Destination == g.Destination && old.NIC == g.NIC })
	n.g.AddRoute(g)
	n.changes.Add(1)
	return nil
}

// RemoveRoute removes a route, or returns ESRCH if there is none such.
func (n *Netstack) RemoveRoute(r Route) error {
	g := tcpip.Route{Destination: subnet(r.Dst), Gateway: toAddress(r.Gateway), NIC: nicOf(r.Port)}
	if n.g.RemoveRoutes(func(old tcpip.Route) bool {
		return old.Destination == g.Destination && old.NIC == g.NIC && old.Gateway == g.Gateway
	}) == 0 {
		return fmt.Errorf("netstack: remove route to %v through %v on port %d: %w", r.Dst, r.Gateway, r.Port, syscall.ESRCH)
	}
	n.changes.Add(1)
	return nil
}

// Routes is the routing table, in the order in which it is searched.
func (n *Netstack) Routes() (routes []Route) {
	for _, r := range n.g.GetRouteTable() {
		routes = append(routes, Route{
			Dst:     netip.PrefixFrom(fromAddress(r.Destination.ID()), r.Destination.Prefix()),
			Gateway: fromAddress(r.Gateway),
			Port:    portOf(r.NIC),
		})
	}
	return routes
}

func firstOf(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
