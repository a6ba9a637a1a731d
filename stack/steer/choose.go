package steer

import (
	"iter"
	"net/netip"
)

// TCPPorts yields the local ports of [low, high] for which a connection's packets from remote to local, over that port
// of the stack, come back to this slot: for stack/tcp's Config.Ports. A draining slot gets those that come to it because
// it had the flow before. Others who have or have had a flow may still have connections of the same addresses and ports:
// the ports from which they connect are left out, and the one that is taken, the last, is noted for them. The sequence
// may be gone through once.
func (x *Steerer) TCPPorts(n int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16] {
	return x.walk(n, remote, local, low, high, start, true)
}

// ConnectPorts is TCPPorts for who notes by himself, with Connecting, which one he took.
func (x *Steerer) ConnectPorts(n int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16] {
	return x.walk(n, remote, local, low, high, start, false)
}

func (x *Steerer) walk(n int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32, note bool) iter.Seq[uint16] {
	hash := x.ports[0].hash
	if n > 0 && n < len(x.ports) {
		hash = x.ports[n].hash
	}
	w := takeWalk()
	w.x, w.hash, w.entries, w.note = x, hash, uint32(x.m.Buckets()), note
	w.remote, w.local, w.low, w.high, w.start = remote, local, low, high, start
	return w.once
}

// UDPPorts is ConnectPorts for a UDP socket that is connected, without the ports that other slots have UDP sockets on: a
// datagram from elsewhere is told by its port alone.
func (x *Steerer) UDPPorts(n int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16] {
	return x.free(x.ConnectPorts(n, remote, local, low, high, start))
}

// OwnUDPPorts yields the local ports of [low, high] that no other slot would choose for a UDP socket whose remote is not
// known: this slot's share of all.
func (x *Steerer) OwnUDPPorts(low, high uint16, start uint32) iter.Seq[uint16] {
	return x.free(func(yield func(uint16) bool) {
		slots := uint32(x.m.Slots())
		first := uint32(low) + (uint32(x.me)+slots-uint32(low)%slots)%slots
		if first > uint32(high) {
			return
		}
		n := (uint32(high)-first)/slots + 1
		for i := range n {
			if !yield(uint16(first + (start+i)%n*slots)) {
				return
			}
		}
	})
}

// free leaves out the ports on which another slot has a UDP socket.
func (x *Steerer) free(all iter.Seq[uint16]) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for p := range all {
			if !x.usedElsewhere(p) && !yield(p) {
				return
			}
		}
	}
}

func (x *Steerer) usedElsewhere(p uint16) bool {
	for s := range x.m.Supervisor() {
		if s != x.me && x.m.Port(s, UDPBound, p) {
			return true
		}
	}
	return false
}

// Listening says that this slot's TCP has a listener on a port, or none any more: for stack/tcp's Config.
func (x *Steerer) Listening(port uint16, on bool) { x.m.SetPort(x.me, TCPListening, port, on) }

// Bound says that this slot's TCP connects from a port that was chosen by name, whose packets may come back elsewhere,
// or that it has nothing on a port any more: for stack/tcp's Config.
func (x *Steerer) Bound(port uint16, on bool) {
	x.m.SetPort(x.me, TCPForeign, port, on)
	if !on {
		x.m.SetPort(x.me, TCPConnecting, port, false)
	}
}

// Connecting says that this slot's TCP has chosen a port to connect from, or has nothing on it any more. What comes back
// comes elsewhere while this slot has no flows of its own.
func (x *Steerer) Connecting(port uint16, on bool) {
	x.m.SetPort(x.me, TCPConnecting, port, on)
	if !on || x.m.State(x.me) != Serving {
		x.m.SetPort(x.me, TCPForeign, port, on)
	}
}

// Datagrams says that this slot has UDP sockets on a port, or none any more.
func (x *Steerer) Datagrams(port uint16, on bool) { x.m.SetPort(x.me, UDPBound, port, on) }
