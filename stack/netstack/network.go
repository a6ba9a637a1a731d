package netstack

import (
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/fstack-go/fstack/stack"
)

var _ stack.Network = (*Netstack)(nil)

func protoOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// IsLocal implements stack.Network. It takes gVisor's locks: who asks for each packet keeps the answer until Changes
// moves.
func (n *Netstack) IsLocal(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false
	}
	if a.IsLoopback() {
		return true
	}
	g, proto := toAddress(a), protoOf(a)
	return n.g.CheckLocalAddress(0, proto, g) != 0 && !n.g.IsSubnetBroadcast(0, proto, g)
}

// Route implements stack.Network.
func (n *Netstack) Route(local, remote netip.Addr) (stack.Route, error) {
	r, err := n.find(local, remote)
	if err != nil {
		return stack.Route{}, err
	}
	defer r.Release()
	route := stack.Route{
		Port:     int(r.NICID() - nicOf(0)),
		Local:    fromAddress(r.LocalAddress()),
		NextHop:  remote.Unmap(),
		MTU:      int(r.MTU()) + ipHeader(remote),
		Loopback: r.NICID() == loopbackNIC || r.Loop() == gstack.PacketLoop,
	}
	if hop := r.NextHop(); hop.Len() != 0 {
		route.NextHop = fromAddress(hop)
	}
	return route, nil
}

// ipHeader is what gVisor takes off a route's MTU.
func ipHeader(a netip.Addr) int {
	if a.Unmap().Is4() {
		return header.IPv4MinimumSize
	}
	return header.IPv6MinimumSize
}

func (n *Netstack) find(local, remote netip.Addr) (*gstack.Route, error) {
	var nic tcpip.NICID
	if z := remote.Zone(); z != "" {
		if nic = n.nicNamed(z); nic == 0 {
			return nil, syscall.ENODEV
		}
	}
	local, remote = local.Unmap(), remote.Unmap()
	if !remote.IsValid() || local.IsValid() && local.Is4() != remote.Is4() {
		return nil, syscall.EAFNOSUPPORT
	}
	if local.IsValid() && local.IsUnspecified() {
		local = netip.Addr{}
	}
	if local.IsValid() && !n.IsLocal(local) {
		return nil, syscall.EADDRNOTAVAIL
	}
	r, err := n.g.FindRoute(nic, toAddress(local), toAddress(remote), protoOf(remote), false)
	if err != nil {
		return nil, errno(err)
	}
	return r, nil
}

// Resolve implements stack.Network.
func (n *Netstack) Resolve(r *stack.Route) (mac [6]byte, state stack.Resolution) {
	if r.Loopback {
		return mac, stack.Resolved
	}
	return n.neighbours.resolve(nicOf(r.Port), toAddress(r.NextHop), toAddress(r.Local), protoOf(r.NextHop))
}

// Confirm implements stack.Network.
func (n *Netstack) Confirm(r *stack.Route) {
	if !r.Loopback {
		n.neighbours.confirm(nicOf(r.Port), toAddress(r.NextHop), protoOf(r.NextHop))
	}
}

// Changes implements stack.Network.
func (n *Netstack) Changes() uint64 { return n.changes.Load() }

// SetSegments implements stack.Network.
func (n *Netstack) SetSegments(f func(port int, src, dst netip.Addr, segment []byte)) {
	n.segments.mu.Lock()
	defer n.segments.mu.Unlock()
	n.segments.f = f
}
