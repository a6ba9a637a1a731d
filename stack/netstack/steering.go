package netstack

import (
	"iter"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Steering is who tells other lcores' stacks which local ports this one has, and knows the ports whose packets come to
// it: stack/steer's Steerer. It is called from any goroutine.
type Steering interface {
	// ConnectPorts and UDPPorts yield the local ports of [low, high] for a socket connected to remote over a port of the
	// stack, from an arbitrary start; OwnUDPPorts those for a UDP socket that anybody may send to.
	ConnectPorts(port int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16]
	UDPPorts(port int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16]
	OwnUDPPorts(low, high uint16, start uint32) iter.Seq[uint16]
	// Listening, Bound, Connecting and Datagrams tell that a local port has a listening TCP socket, a connection from a
	// port chosen by name, one from a port that connect has chosen, a UDP socket, or has none any more.
	Listening(port uint16, on bool)
	Bound(port uint16, on bool)
	Connecting(port uint16, on bool)
	Datagrams(port uint16, on bool)
}

// use is what sockets do with local ports, by port: how many do it.
type use struct {
	mu   sync.Mutex
	tell func(port uint16, on bool)
	n    map[uint16]int
}

func (u *use) add(port uint16, d int) {
	if u.tell == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	had := u.n[port] > 0
	if u.n[port] += d; u.n[port] == 0 {
		delete(u.n, port)
	}
	if has := u.n[port] > 0; has != had {
		u.tell(port, has)
	}
}

// steered is what a socket has told the steering.
type steered struct {
	has  atomic.Bool // anything
	mu   sync.Mutex
	port uint16
	kind [useKinds]bool
}

const (
	useListening = iota
	useBound
	useConnecting
	useDatagrams
	useKinds
)

func (n *Netstack) initUses() {
	if x := n.cfg.Steering; x != nil {
		bound := func(port uint16, on bool) {
			if !on { // that it is so is told when one connects
				x.Bound(port, false)
			}
		}
		for kind, tell := range [useKinds]func(uint16, bool){x.Listening, bound, x.Connecting, x.Datagrams} {
			n.uses[kind] = use{tell: tell, n: map[uint16]int{}}
		}
	}
}

// uses notes what a socket does with its local port, once it has one.
func (s *socket) uses(kind int) {
	if s.n.cfg.Steering == nil {
		return
	}
	s.steered.mu.Lock()
	defer s.steered.mu.Unlock()
	if s.steered.kind[kind] || s.closed.Load() {
		return
	}
	if a, err := s.ep.GetLocalAddress(); err == nil && a.Port != 0 {
		s.steered.port, s.steered.kind[kind] = a.Port, true
		s.steered.has.Store(true)
		s.n.uses[kind].add(a.Port, 1)
	}
}

// unused takes back what uses has noted.
func (s *socket) unused(kinds ...int) {
	s.steered.mu.Lock()
	defer s.steered.mu.Unlock()
	for _, kind := range kinds {
		if s.steered.kind[kind] {
			s.steered.kind[kind] = false
			s.n.uses[kind].add(s.steered.port, -1)
		}
	}
}

// isUDP tells whether the socket's port is one of UDP's.
func (s *socket) isUDP() bool { return s.typ == unix.SOCK_DGRAM && s.proto == unix.IPPROTO_UDP }

// unbound tells whether the socket has no port yet.
func (s *socket) unbound() bool {
	if s.typ == unix.SOCK_STREAM {
		return tcp.EndpointState(s.ep.State()) == tcp.StateInitial
	}
	return transport.DatagramEndpointState(s.ep.State()) == transport.DatagramEndpointStateInitial
}

// choose binds a socket without a port to one that suits its remote, so that what comes from there comes to this lcore.
// With nothing to be chosen, or nothing left, gVisor chooses.
func (s *socket) choose(remote tcpip.FullAddress) {
	x := s.n.cfg.Steering
	if x == nil || !s.isUDP() && s.typ != unix.SOCK_STREAM || !s.unbound() {
		return
	}
	a := fromAddress(remote.Addr).Unmap()
	r, err := s.n.Route(netip.Addr{}, a)
	if err != nil || r.Loopback || a.IsMulticast() {
		s.bindOne(tcpip.FullAddress{}, s.own())
		return
	}
	low, high := s.n.g.PortRange()
	ports := x.UDPPorts
	if s.typ == unix.SOCK_STREAM {
		ports = x.ConnectPorts
	}
	s.bindOne(tcpip.FullAddress{}, ports(r.Port, netip.AddrPortFrom(a, remote.Port), r.Local, low, high, rand.Uint32()))
}

// connectSteered is gVisor's Connect from a port that suits the remote, or with the others told which one it is.
func (s *socket) connectSteered(to tcpip.FullAddress) tcpip.Error {
	chosen := s.unbound()
	if s.typ == unix.SOCK_STREAM && !chosen {
		if a, e := s.ep.GetLocalAddress(); e == nil && a.Port != 0 {
			s.uses(useBound)
			s.n.cfg.Steering.Bound(a.Port, true)
		}
	}
	s.choose(to)
	err := s.ep.Connect(to)
	switch {
	case s.isUDP():
		s.uses(useDatagrams)
	case s.typ == unix.SOCK_STREAM && chosen:
		s.uses(useConnecting)
	}
	return err
}

// own are the ports for a socket whose remote is not known. A connecting stream's comes to its loop in any case.
func (s *socket) own() iter.Seq[uint16] {
	if s.typ == unix.SOCK_STREAM {
		return func(func(uint16) bool) {}
	}
	low, high := s.n.g.PortRange()
	return s.n.cfg.Steering.OwnUDPPorts(low, high, rand.Uint32())
}

// bindOne binds to the first of the ports that is free.
func (s *socket) bindOne(to tcpip.FullAddress, ports iter.Seq[uint16]) tcpip.Error {
	for to.Port = range ports {
		err := s.ep.Bind(to)
		if _, taken := err.(*tcpip.ErrPortInUse); !taken {
			return err
		}
	}
	return &tcpip.ErrNoPortAvailable{}
}

// HasTCP tells whether gVisor's TCP has a connection between local and remote: for the steering, with the stack's lock
// held.
func (n *Netstack) HasTCP(port int, local, remote netip.AddrPort) bool {
	id := gstack.TransportEndpointID{
		LocalAddress: toAddress(local.Addr()), LocalPort: local.Port(), RemoteAddress: toAddress(remote.Addr()), RemotePort: remote.Port(),
	}
	ep := n.g.FindTransportEndpoint(protoOf(local.Addr()), tcp.ProtocolNumber, id, nicOf(port))
	if ep == nil {
		return false
	}
	e, ok := ep.(tcpip.Endpoint)
	return ok && tcp.EndpointState(e.State()) != tcp.StateListen
}

// fromWire marks packets that a port has received, in a field that gVisor uses for sent ones only.
const fromWire = 1

// datagrams is gVisor's UDP, which asks the steering before it answers that nobody has a port: a datagram that was
// reassembled here may be another lcore's.
type datagrams struct {
	gstack.TransportProtocol
	n *Netstack
}

func (n *Netstack) newDatagrams(g *gstack.Stack) gstack.TransportProtocol {
	return &datagrams{udp.NewProtocol(g), n}
}

// HandleUnknownDestinationPacket implements gstack.TransportProtocol. What was received is delivered by the loop, with
// the stack's lock held.
func (p *datagrams) HandleUnknownDestinationPacket(id gstack.TransportEndpointID, pkt *gstack.PacketBuffer) gstack.UnknownDestinationPacketDisposition {
	res := p.TransportProtocol.HandleUnknownDestinationPacket(id, pkt)
	if res != gstack.UnknownDestinationPacketUnhandled || pkt.Hash != fromWire || !p.n.st.Steered() {
		return res
	}
	v := gstack.PayloadSince(pkt.TransportHeader())
	defer v.Release()
	if p.n.st.StrayDatagram(int(pkt.NICID)-int(nicOf(0)), uint8(header.UDPProtocolNumber), fromAddress(id.RemoteAddress), fromAddress(id.LocalAddress), v.AsSlice()) {
		return gstack.UnknownDestinationPacketHandled
	}
	return res
}
