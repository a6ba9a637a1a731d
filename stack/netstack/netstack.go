package netstack

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/fstack-go/fstack/stack"
)

// Config says what a Netstack has.
type Config struct {
	// TCP has gVisor's TCP take SOCK_STREAM sockets. Without it, TCP belongs to another layer, and segments that
	// only this one could unwrap go to the function of SetSegments.
	TCP bool
	// TxQueue is how many packets each port holds back while its device has no room; 0: 4096.
	TxQueue int
	// Steering, if set, knows the local ports whose packets come to this stack and tells others which ones it has.
	Steering Steering
}

const defaultTxQueue = 4096

// Netstack is a stack.Layer, a stack.Sockets and a stack.Network over one gVisor stack.
type Netstack struct {
	st       *stack.Stack
	g        *gstack.Stack
	cfg      Config
	links    []*link // by port; nil: not ours
	counters Counters
	changes  atomic.Uint64
	sockets  table
	uses     [useKinds]use
	segments segments
	closed   sync.Once

	neighbours neighbours
	routers    routers
}

var (
	_ stack.Layer   = (*Netstack)(nil)
	_ stack.Sockets = (*Netstack)(nil)
)

// New returns a netstack with a loopback interface and no ports. The caller adds it to the stack's layers, as the
// last one: it takes every frame of its ports.
func New(st *stack.Stack, cfg Config) (*Netstack, error) {
	if cfg.TxQueue == 0 {
		cfg.TxQueue = defaultTxQueue
	}
	if cfg.TxQueue < 0 {
		return nil, fmt.Errorf("netstack: transmit queue of %d packets, want at least 1", cfg.TxQueue)
	}
	n := &Netstack{st: st, cfg: cfg}
	n.initUses()
	n.routers.n = n
	n.neighbours = neighbours{n: n, seen: map[neighbourKey]neighbour{}}
	transports := []gstack.TransportProtocolFactory{n.newDatagrams, icmp.NewProtocol4, icmp.NewProtocol6}
	if cfg.TCP {
		transports = append(transports, tcp.NewProtocolCUBIC)
	} else {
		transports = append(transports, n.newSegmentsProtocol)
	}
	n.g = gstack.New(gstack.Options{
		NetworkProtocols: []gstack.NetworkProtocolFactory{
			ipv4.NewProtocolWithOptions(ipv4.Options{IGMP: ipv4.IGMPOptions{Enabled: true}}),
			ipv6.NewProtocolWithOptions(ipv6.Options{AutoGenLinkLocal: true, MLD: ipv6.MLDOptions{Enabled: true}, NDPDisp: &n.routers}),
			arp.NewProtocol,
		},
		TransportProtocols: transports,
		Clock:              newClock(st.Clock()),
		HandleLocal:        true,
		NUDDisp:            &n.neighbours,
		RawFactory:         raw.EndpointFactory{},
	})
	if err := n.tune(); err != nil {
		n.g.Destroy()
		return nil, err
	}
	if err := n.addLoopback(); err != nil {
		n.g.Destroy()
		return nil, err
	}
	return n, nil
}

// Bytes of socket buffers: the least and the most that SO_SNDBUF and SO_RCVBUF can set, and where a socket starts.
// gVisor's TCP grows the receive buffer by itself up to the most.
const (
	bufMin        = 4 << 10
	bufMax        = 8 << 20
	tcpSndDefault = 256 << 10
	tcpRcvDefault = 256 << 10
	udpBufDefault = 208 << 10 // Linux's rmem_default and wmem_default
)

func (n *Netstack) tune() error {
	set := func(what string, err tcpip.Error) error {
		if err != nil {
			return fmt.Errorf("netstack: set %s: %s", what, err)
		}
		return nil
	}
	snd := tcpip.SendBufferSizeOption{Min: bufMin, Default: udpBufDefault, Max: bufMax}
	if err := set("send buffer sizes", n.g.SetOption(snd)); err != nil {
		return err
	}
	rcv := tcpip.ReceiveBufferSizeOption{Min: bufMin, Default: udpBufDefault, Max: bufMax}
	if err := set("receive buffer sizes", n.g.SetOption(rcv)); err != nil {
		return err
	}
	if !n.cfg.TCP {
		return nil
	}
	sack := tcpip.TCPSACKEnabled(true)
	nagle := tcpip.TCPDelayEnabled(true) // RFC 9293 §3.7.4
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	tsnd := tcpip.TCPSendBufferSizeRangeOption{Min: bufMin, Default: tcpSndDefault, Max: bufMax}
	trcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: bufMin, Default: tcpRcvDefault, Max: bufMax}
	for what, opt := range map[string]tcpip.SettableTransportProtocolOption{
		"TCP SACK": &sack, "Nagle's algorithm": &nagle, "TCP receive buffer tuning": &moderate, "TCP send buffer sizes": &tsnd, "TCP receive buffer sizes": &trcv,
	} {
		if err := set(what, n.g.SetTransportProtocolOption(tcp.ProtocolNumber, opt)); err != nil {
			return err
		}
	}
	return nil
}

const loopbackNIC tcpip.NICID = 1 // nicOf(Loopback)

// nicOf is gVisor's number for a port: the loopback interface is 1, as on Linux.
func nicOf(port int) tcpip.NICID { return tcpip.NICID(port) + 2 }

// lo is gVisor's loopback link, which delivers at once; TCP's goroutines then need the loop to yield.
type lo struct {
	gstack.LinkEndpoint
	st *stack.Stack
}

func (l *lo) WritePackets(p gstack.PacketBufferList) (int, tcpip.Error) {
	l.st.Yield()
	return l.LinkEndpoint.WritePackets(p)
}

func (n *Netstack) addLoopback() error {
	if err := n.g.CreateNICWithOptions(loopbackNIC, &lo{loopback.New(), n.st}, gstack.NICOptions{Name: "lo"}); err != nil {
		return fmt.Errorf("netstack: create the loopback interface: %s", err)
	}
	for _, p := range []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")} {
		if err := n.AddAddr(Loopback, p); err != nil {
			return err
		}
	}
	return nil
}

// Deliver implements stack.Layer.
func (n *Netstack) Deliver(port int, frame []stack.Frame) bool {
	if port >= len(n.links) || n.links[port] == nil {
		return false
	}
	n.links[port].deliver(frame)
	return true
}

// Advance implements stack.Layer. gVisor's timers are in the stack's clock.
func (n *Netstack) Advance(int64) {
	n.segments.drain()
	n.routers.drain()
}

// Exhale implements stack.Layer.
func (n *Netstack) Exhale(int64) (sent int) {
	for _, l := range n.links {
		if l != nil {
			sent += l.exhale()
		}
	}
	return sent
}

// Next implements stack.Layer. gVisor's timers are in the stack's clock.
func (n *Netstack) Next() int64 { return stack.Never }

// Pending implements stack.Layer.
func (n *Netstack) Pending() bool {
	for _, l := range n.links {
		if l != nil && l.waiting.Load() > 0 {
			return true
		}
	}
	return n.segments.waiting.Load()
}

// Settle waits until gVisor's TCP goroutines have processed all segments delivered so far: for tests with a clock
// that is turned by hand. It must not be called by two goroutines at once.
func (n *Netstack) Settle() {
	if n.cfg.TCP {
		n.g.Pause()
		n.g.Resume()
	}
}

// Destroy aborts all connections, removes the ports and ends gVisor's goroutines. The loop must have stopped, and no
// other method may be called any more.
func (n *Netstack) Destroy() {
	n.closed.Do(func() {
		n.sockets.closeAll()
		n.g.Destroy()
		for _, l := range n.links {
			if l != nil {
				l.drop()
			}
		}
	})
}
