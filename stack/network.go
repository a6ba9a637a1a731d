package stack

import "net/netip"

// Network is what a transport of our own (stack/tcp) asks of the network layer (stack/netstack). All but Changes
// and IsLocal is called with the stack's lock held.
type Network interface {
	// IsLocal tells whether packets to a are for this host: an address of a port, or loopback.
	IsLocal(a netip.Addr) bool
	// Route finds the way to remote; local may be the zero Addr to have a source address chosen. Errors:
	// syscall.ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL (local is not ours).
	Route(local, remote netip.Addr) (Route, error)
	// Resolve gives the link address of a route's next hop, or false after it has started to ask for it; then
	// Changes moves when the answer or the failure is there.
	Resolve(r *Route) (mac [6]byte, state Resolution)
	// Confirm tells that the next hop was reached (RFC 4861 §7.3.1: forward progress of TCP).
	Confirm(r *Route)
	// Changes counts all changes of addresses, routes and neighbours: whoever cached a Route or a link address
	// asks again when it has moved. An atomic load: it may be asked for every packet.
	Changes() uint64
	// SetSegments has TCP segments that only netstack could unwrap (IP options, fragments, extension headers)
	// handed to f by the loop, with the stack's lock held; segment is TCP header and payload and valid only during
	// the call, its checksum not yet verified.
	SetSegments(f func(port int, src, dst netip.Addr, segment []byte))
}

// Resolution is what is known of a neighbour.
type Resolution uint8

// The states of a resolution.
const (
	Resolved   Resolution = iota
	Resolving             // ask again when Changes has moved
	Unresolved            // the neighbour did not answer: EHOSTUNREACH
)

// Route is the way to a remote address.
type Route struct {
	Port     int        // of the stack
	Local    netip.Addr // source address
	NextHop  netip.Addr // the remote itself or a gateway
	MTU      int        // bytes of IP packet, of the route or the port
	Loopback bool       // the remote is this host
}
