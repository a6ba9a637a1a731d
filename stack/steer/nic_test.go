package steer_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/steer"
	"github.com/fstack-go/fstack/stack/wire"
)

// nic is a network card of several queues at the end of a wire, and the mesh between those who poll them.
type nic struct {
	end     *simnet.End
	pick    func(frame []byte) int  // the queue that receives a frame
	backlog [][][]byte              // by queue
	pairs   []*pair                 // by slot; nil: nobody is there
	learned map[flow]int            // the queue that has sent to a flow last
	sent    []int                   // frames by queue
	crossed int                     // TCP and UDP packets handed over
	seen    func(frame []byte)      // is shown what is sent
	drop    func(frame []byte) bool // loses of it
	lose    func(frame []byte) bool // loses of what arrives
	cut     int                     // if not zero: arriving TCP and UDP packets are cut into fragments of so many bytes
	wrap    bool                    // arriving TCP and UDP packets get an IP option or an extension header
}

// flow is a TCP or UDP flow as it is received.
type flow struct {
	proto    byte
	src, dst netip.AddrPort
	piece    bool // a fragment: without ports
}

func flowOf(b []byte) (f flow, ok bool) {
	ports := 0
	switch wire.EthernetAt(b).Type() {
	case wire.TypeIPv4:
		ip := wire.IPv4At(b[14:])
		f.proto, f.piece = ip.Proto(), ip.Fragment()&(wire.IPv4MF|wire.IPv4OffsetMask) != 0
		f.src, f.dst = netip.AddrPortFrom(netip.AddrFrom4(*ip.Src()), 0), netip.AddrPortFrom(netip.AddrFrom4(*ip.Dst()), 0)
		ports = 14 + ip.HeaderLen()
	case wire.TypeIPv6:
		ip := wire.IPv6At(b[14:])
		f.proto, f.piece = ip.Next(), ip.Next() == 44
		f.src, f.dst = netip.AddrPortFrom(netip.AddrFrom16(*ip.Src()), 0), netip.AddrPortFrom(netip.AddrFrom16(*ip.Dst()), 0)
		ports = 54
	default:
		return f, false
	}
	if !f.piece && (f.proto == wire.ProtoTCP || f.proto == wire.ProtoUDP) {
		h := wire.TCPAt(append(b[ports:len(b):len(b)], make([]byte, 20)...))
		f.src, f.dst = netip.AddrPortFrom(f.src.Addr(), h.SrcPort()), netip.AddrPortFrom(f.dst.Addr(), h.DstPort())
		return f, true
	}
	return f, true
}

func (f flow) back() flow { return flow{f.proto, f.dst, f.src, f.piece} }

// rss picks queues as a card with that key does; its table may change meanwhile.
func rss(key []byte, reta *[]uint16) func([]byte) int {
	var r *steer.RSS
	var with *uint16
	return func(b []byte) int {
		f, ok := flowOf(b)
		if !ok {
			return 0
		}
		if with != &(*reta)[0] {
			r, _ = steer.New(key, *reta)
			with = &(*reta)[0]
		}
		if f.src.Port() == 0 {
			return r.Addrs(f.src.Addr(), f.dst.Addr())
		}
		return r.Flow(f.src, f.dst)
	}
}

// tap picks queues as Linux's TAP does: the one that has last sent to the flow, or any.
func (n *nic) tap(seed uint64) func([]byte) int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(b []byte) int {
		if f, ok := flowOf(b); ok {
			if q, ok := n.learned[f]; ok {
				return q
			}
		}
		return r.IntN(len(n.backlog))
	}
}

func newNIC(end *simnet.End, queues, slots int) *nic {
	return &nic{end: end, backlog: make([][][]byte, queues), pairs: make([]*pair, slots), learned: map[flow]int{}, sent: make([]int, queues)}
}

// pump takes in what the wire has brought.
func (n *nic) pump() {
	for {
		n.end.Exchange()
		rx := n.end.Queue().Rx
		if len(rx) == 0 {
			return
		}
		for i := range rx {
			if n.lose != nil && n.lose(rx[i].Bytes()) {
				continue
			}
			b := append([]byte(nil), rx[i].Bytes()...)
			if n.wrap {
				b = wrap(b)
			}
			for _, b := range fragment(b, n.cut) {
				q := n.pick(b)
				n.backlog[q] = append(n.backlog[q], b)
			}
		}
	}
}

func (n *nic) send(queue int, f *stack.Frame) {
	if n.seen != nil {
		n.seen(f.Bytes())
	}
	if n.drop != nil && n.drop(f.Bytes()) {
		return
	}
	out := n.end.Queue().Alloc()
	if out == nil {
		n.end.Flush()
		out = n.end.Queue().Alloc()
	}
	out.Len = uint16(copy(out.Room(), f.Bytes()))
	if fl, ok := flowOf(f.Bytes()); ok {
		n.learned[fl.back()] = queue
	}
	n.sent[queue]++
	n.end.Flush()
}

// pair is a queue pair and the mesh as the process of one slot sees them.
type pair struct {
	nic   *nic
	slot  int
	queue int // that it polls and sends on
	polls bool
	q     stack.Queue
	rx    []stack.Frame
	inbox []stack.Frame
	full  bool // its ring is
}

const pieces = 2048 // bytes of a frame that fit one buffer of the mesh

func (n *nic) open(slot, queue int, polls bool) *pair {
	p := &pair{nic: n, slot: slot, queue: queue, polls: polls}
	tx := make([]stack.Frame, 256)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, 1518), 0)
	}
	p.q = stack.MakeQueue(tx)
	n.pairs[slot] = p
	return p
}

func (p *pair) Queue() *stack.Queue { return &p.q }
func (p *pair) Close() error        { return nil }
func (p *pair) Info() stack.DeviceInfo {
	return stack.DeviceInfo{Name: "nic", Driver: "fake", MAC: serverMAC, MTU: 1500, Socket: -1, Queue: p.queue, Queues: len(p.nic.backlog)}
}

var serverMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}

func (p *pair) Exchange() {
	p.Flush()
	p.nic.pump()
	p.rx = append(p.rx[:0], p.inbox...)
	p.inbox = p.inbox[:0]
	if p.polls {
		in := &p.nic.backlog[p.queue]
		n := min(len(*in), 32)
		for _, b := range (*in)[:n] {
			p.rx = append(p.rx, stack.MakeFrame(b, 0))
		}
		*in = (*in)[n:]
	}
	p.q.Rx = p.rx
}

func (p *pair) Flush() {
	taken := p.q.Taken()
	for i := range taken {
		p.nic.send(p.queue, &taken[i])
	}
	p.q.Sent(len(taken))
}

func (p *pair) Hand(frame []stack.Frame, to int, flags stack.FrameFlags) bool {
	t := p.nic.pairs[to]
	if t == nil || t == p || t.full {
		return false
	}
	if f, ok := flowOf(frame[0].Bytes()); ok && (f.proto == wire.ProtoTCP || f.proto == wire.ProtoUDP) {
		p.nic.crossed++
	}
	for i := range frame {
		f := stack.MakeFrame(append([]byte(nil), frame[i].Bytes()...), 0)
		f.Flags = frame[i].Flags | stack.RxHanded | flags
		t.inbox = append(t.inbox, f)
	}
	return true
}

func (p *pair) Inject(b []byte, to int, flags stack.FrameFlags) bool {
	t := p.nic.pairs[to]
	if t == nil || t == p || t.full {
		return false
	}
	p.nic.crossed++
	for len(b) > 0 {
		n := min(len(b), pieces)
		f := stack.MakeFrame(append([]byte(nil), b[:n]...), 0)
		f.Flags = stack.RxHanded | flags
		if b = b[n:]; len(b) > 0 {
			f.Flags |= stack.More
		}
		t.inbox = append(t.inbox, f)
	}
	return true
}

var fragments uint32 // identifies datagrams

// fragment cuts a TCP or UDP packet into fragments of size bytes of payload, a multiple of 8.
func fragment(b []byte, size int) (all [][]byte) {
	f, ok := flowOf(b)
	if size == 0 || !ok || f.piece || f.src.Port() == 0 {
		return [][]byte{b}
	}
	head := 14 + wire.IPv4Len
	if f.src.Addr().Is6() {
		head = 14 + wire.IPv6Len
	} else {
		b = b[:14+wire.IPv4At(b[14:]).TotalLen()]
	}
	fragments++
	for payload, off := b[head:], 0; off < len(payload); off += size {
		part := payload[off:min(off+size, len(payload))]
		p := append([]byte(nil), b[:head]...)
		more := uint16(0)
		if off+len(part) < len(payload) {
			more = 1
		}
		if f.src.Addr().Is4() {
			ip := wire.IPv4At(p[14:])
			ip.Set(0, len(part), uint16(fragments), more*wire.IPv4MF|uint16(off/8), 64, f.proto, ip.Src(), ip.Dst())
			ip.SetChecksum()
		} else {
			p[20] = 44
			binary.BigEndian.PutUint16(p[18:20], uint16(8+len(part)))
			p = append(p, f.proto, 0)
			p = binary.BigEndian.AppendUint16(p, uint16(off)|more)
			p = binary.BigEndian.AppendUint32(p, fragments)
		}
		all = append(all, append(p, part...))
	}
	return all
}

// wrap puts an option that says nothing into the IP header of a TCP or UDP packet.
func wrap(b []byte) []byte {
	f, ok := flowOf(b)
	if !ok || f.piece || f.src.Port() == 0 {
		return b
	}
	if f.src.Addr().Is6() {
		n := wire.IPv6At(b[14:]).PayloadLen()
		b = slices.Insert(b, 14+wire.IPv6Len, b[20], 0, 1, 4, 0, 0, 0, 0)
		b[20] = 60
		binary.BigEndian.PutUint16(b[18:20], uint16(8+n))
		return b
	}
	n := wire.IPv4At(b[14:]).TotalLen()
	b = slices.Insert(b, 14+wire.IPv4Len, 1, 1, 1, 0)
	b[14] = 0x46
	binary.BigEndian.PutUint16(b[16:18], uint16(4+n))
	b[24], b[25] = 0, 0
	binary.BigEndian.PutUint16(b[24:26], ^wire.Sum(0).Add(b[14:38]).Fold())
	return b
}
