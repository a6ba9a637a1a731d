package netstack

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/waiter"
)

// segmentsMax is how many unwrapped segments may wait for the next turn: a reassembled datagram yields one, so this
// is reached only by a flood of IP options.
const segmentsMax = 1024

// segments holds the TCP segments that gVisor has unwrapped for another layer's TCP until the loop hands them over:
// gVisor may call from a goroutine that does not hold the stack's lock.
type segments struct {
	waiting atomic.Bool
	mu      sync.Mutex
	f       func(port int, src, dst netip.Addr, segment []byte)
	queue   []*gstack.PacketBuffer
	spare   []*gstack.PacketBuffer
	full    uint64
	noTaker uint64
}

func (s *segments) push(p *gstack.PacketBuffer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.f == nil:
		s.noTaker++
	case len(s.queue) == segmentsMax:
		s.full++
	default:
		s.queue = append(s.queue, p.IncRef())
		s.waiting.Store(true)
	}
}

// drain hands the segments over, without the lock, so that the taker may send at once.
func (s *segments) drain() {
	if !s.waiting.Load() {
		return
	}
	s.mu.Lock()
	queue, f := s.queue, s.f
	s.queue, s.spare = s.spare[:0], nil
	s.waiting.Store(false)
	s.mu.Unlock()
	for i, p := range queue {
		ip := p.Network()
		v := gstack.PayloadSince(p.TransportHeader())
		f(int(p.NICID)-int(nicOf(0)), fromAddress(ip.SourceAddress()), fromAddress(ip.DestinationAddress()), v.AsSlice())
		v.Release()
		p.DecRef()
		queue[i] = nil
	}
	s.mu.Lock()
	s.spare = queue
	s.mu.Unlock()
}

// segmentsProtocol stands in gVisor's table of transport protocols where its TCP would.
type segmentsProtocol struct {
	n *Netstack
	g *gstack.Stack
}

var _ gstack.TransportProtocol = (*segmentsProtocol)(nil)

func (n *Netstack) newSegmentsProtocol(g *gstack.Stack) gstack.TransportProtocol {
	return &segmentsProtocol{n, g}
}

func (p *segmentsProtocol) Number() tcpip.TransportProtocolNumber { return header.TCPProtocolNumber }

func (p *segmentsProtocol) NewEndpoint(tcpip.NetworkProtocolNumber, *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return nil, &tcpip.ErrUnknownProtocol{}
}

func (p *segmentsProtocol) NewRawEndpoint(net tcpip.NetworkProtocolNumber, q *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return raw.NewEndpoint(p.g, net, header.TCPProtocolNumber, q)
}

func (p *segmentsProtocol) MinimumPacketSize() int { return header.TCPMinimumSize }

func (p *segmentsProtocol) ParsePorts(b []byte) (src, dst uint16, err tcpip.Error) {
	h := header.TCP(b)
	return h.SourcePort(), h.DestinationPort(), nil
}

func (p *segmentsProtocol) Parse(pkt *gstack.PacketBuffer) bool { return parse.TCP(pkt) }

// HandleUnknownDestinationPacket takes every segment, since gVisor has no endpoint for any.
func (p *segmentsProtocol) HandleUnknownDestinationPacket(_ gstack.TransportEndpointID, pkt *gstack.PacketBuffer) gstack.UnknownDestinationPacketDisposition {
	p.n.segments.push(pkt)
	p.n.st.Kick()
	return gstack.UnknownDestinationPacketHandled
}

func (p *segmentsProtocol) SetOption(tcpip.SettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

func (p *segmentsProtocol) Option(tcpip.GettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

func (p *segmentsProtocol) Close()   {}
func (p *segmentsProtocol) Wait()    {}
func (p *segmentsProtocol) Pause()   {}
func (p *segmentsProtocol) Resume()  {}
func (p *segmentsProtocol) Restore() {}
