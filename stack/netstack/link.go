package netstack

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/fstack-go/fstack/stack"
)

const (
	ethSize  = header.EthernetMinimumSize
	typeVLAN = 0x8100 // IEEE 802.1Q
	typeQinQ = 0x88a8 // IEEE 802.1ad
)

// link is a port of the stack as gVisor sees it: an Ethernet link. Its functions stand in the order in which a packet
// meets them: received ones down to gVisor, then those that gVisor sends.
type link struct {
	n          *Netstack
	port       int
	dev        stack.Device
	mac        atomic.Pointer[[6]byte]
	mtu        atomic.Uint32
	offloads   stack.FrameFlags
	dispatcher atomic.Pointer[gstack.NetworkDispatcher]

	// verified says that the device has verified the checksums of the frame that is being delivered. gVisor asks a
	// link for it, not a packet, but it asks for each packet, and only the loop delivers.
	verified atomic.Bool

	waiting atomic.Int32 // packets in queue, to be looked at without the lock
	mu      sync.Mutex   // of the queue: WritePackets is called from any goroutine
	queue   ring
	full    uint64 // packets dropped because the queue was full

	sent int           // payload bytes of the queue's front packet that are written
	head [headMax]byte // its headers
}

func newLink(n *Netstack, port int, dev stack.Device, mtu int) *link {
	l := &link{n: n, port: port, dev: dev, queue: newRing(n.cfg.TxQueue)}
	info := dev.Info()
	mac := [6]byte(info.MAC)
	l.offloads = info.Offloads
	l.mac.Store(&mac)
	l.mtu.Store(uint32(mtu))
	return l
}

// deliver passes a received frame to gVisor or counts why not.
func (l *link) deliver(frame []stack.Frame) {
	c := &l.n.counters
	flags := frame[0].Flags
	if flags&stack.RxIPCsumBad != 0 {
		c.DropRxBadIPChecksum++
		return
	}
	if flags&stack.RxL4CsumBad != 0 {
		c.DropRxBadL4Checksum++
		return
	}
	size := 0
	for i := range frame {
		size += int(frame[i].Len)
	}
	if size <= ethSize {
		c.DropRxRunt++
		return
	}
	first := frame[0].Bytes()
	if len(first) < ethSize {
		first = gather(frame)
	}
	kind := l.kind([6]byte(first[:6]))
	if kind == tcpip.PacketOtherHost {
		c.DropRxOtherHost++
		return
	}
	proto := header.Ethernet(first).Type()
	switch proto {
	case header.IPv4ProtocolNumber, header.IPv6ProtocolNumber, header.ARPProtocolNumber:
	case typeVLAN, typeQinQ:
		c.DropRxVLAN++
		return
	default:
		c.DropRxUnknownEtherType++
		return
	}
	d := l.dispatcher.Load()
	if d == nil {
		c.DropRxPortClosed++
		return
	}
	if flags&stack.RxNews != 0 {
		c.RxNews++
		l.news(frame)
		return
	}

	view := buffer.NewView(size)
	for i := range frame {
		view.Write(frame[i].Bytes())
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithView(view)})
	pkt.LinkHeader().Consume(ethSize)
	pkt.PktType, pkt.Hash = kind, fromWire
	l.verified.Store(verified(flags, proto, first[ethSize:]))
	c.RxPackets++
	if proto == header.ARPProtocolNumber {
		l.learn(view.AsSlice()[ethSize:])
	}
	(*d).DeliverNetworkPacket(proto, pkt)
	pkt.DecRef()
	if l.n.cfg.TCP {
		l.n.st.Yield() // gVisor's TCP may have goroutines to run now
	}
}

// gather joins the pieces of a frame whose Ethernet header does not lie in one.
func gather(frame []stack.Frame) (b []byte) {
	for i := range frame {
		b = append(b, frame[i].Bytes()...)
	}
	return b
}

// kind tells whom a frame with that destination is for.
func (l *link) kind(dst [6]byte) tcpip.PacketType {
	switch {
	case dst == *l.mac.Load():
		return tcpip.PacketHost
	case dst == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		return tcpip.PacketBroadcast
	case dst[0]&1 != 0: // IEEE 802.3 §3.2.3: the group bit; IP knows which groups are joined
		return tcpip.PacketMulticast
	}
	return tcpip.PacketOtherHost
}

// verified tells whether the device has verified all that gVisor else would: the transport checksum and, for IPv4,
// the header's, which is cheap to verify here if only that one is missing.
func verified(flags stack.FrameFlags, proto tcpip.NetworkProtocolNumber, ip []byte) bool {
	if flags&stack.RxL4CsumGood == 0 {
		return false
	}
	if proto != header.IPv4ProtocolNumber || flags&stack.RxIPCsumGood != 0 {
		return true
	}
	if len(ip) < header.IPv4MinimumSize {
		return false
	}
	h := header.IPv4(ip)
	n := int(h.HeaderLength())
	return n >= header.IPv4MinimumSize && n <= len(ip) && h.IsChecksumValid()
}

// WritePackets implements gstack.LinkWriter. A full queue is a counted drop and no error: as on Linux, a datagram
// lost on the way out is not the sender's error, and TCP sends it again.
func (l *link) WritePackets(pkts gstack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	l.mu.Lock()
	for _, p := range list {
		if !l.queue.push(p.IncRef()) {
			p.DecRef()
			l.full++
		}
	}
	l.waiting.Store(int32(l.queue.n))
	l.mu.Unlock()
	l.n.st.Kick()
	return len(list), nil
}

// exhale copies packets into frames of the device while there is room and returns how many frames.
func (l *link) exhale() (sent int) {
	if l.waiting.Load() == 0 {
		return 0
	}
	q := l.dev.Queue()
	for {
		l.mu.Lock()
		p := l.queue.front()
		l.mu.Unlock()
		if p == nil {
			return sent
		}
		frames, all := l.write(q, p)
		sent += frames
		l.n.counters.TxFrames += uint64(frames)
		if !all && (frames > 0 || len(q.Taken()) > 0 || q.Free() == 0) {
			return sent
		}
		if !all {
			l.n.counters.DropTxTooBig++
			l.sent = 0
		}
		l.mu.Lock()
		l.queue.pop()
		l.waiting.Store(int32(l.queue.n))
		l.mu.Unlock()
		p.DecRef()
	}
}

// drop releases what waits to be sent.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := l.queue.pop(); p != nil; p = l.queue.pop() {
		p.DecRef()
	}
	l.waiting.Store(0)
}
