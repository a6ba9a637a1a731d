package tcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// The way of a received frame:
//
//	1. Deliver: is it a plain TCP segment to our MAC and an address of ours? Else netstack gets it.
//	2. parse: lengths, checksum, flow
//	3. find the connection                          ─► input_state.go, timewait.go
//	   or the listener                              ─► listen.go
//	   or nobody                                    ─► reset.go

// segment is the received one, in host order. There is one, reused.
type segment struct {
	key                   // as seen from here: local is the destination
	hash    uint32        // of the key
	seq     uint32        //
	ack     uint32        //
	wnd     uint32        // not scaled
	flags   uint8         //
	port    uint8         // of the stack
	ipv6    bool          //
	ce      bool          // the IP header says that it met congestion
	urg     uint16        //
	src     [6]byte       // link address of who sent it; zero if netstack unwrapped it
	opts    options       //
	payload []byte        // in the frame
	more    []stack.Frame // with rest: the payload goes on in them, for header prediction only
	rest    uint32        // bytes in more
}

// text is the length of the payload.
func (s *segment) text() uint32 { return uint32(len(s.payload)) + s.rest }

// len is the sequence space that the segment takes.
func (s *segment) len() uint32 {
	n := s.text()
	if s.flags&(wire.SYN|wire.FIN) != 0 {
		n += uint32(s.flags>>1&1) + uint32(s.flags&1)
	}
	return n
}

// Deliver implements stack.Layer.
func (t *TCP) Deliver(port int, frame []stack.Frame) bool {
	t.tick()
	return t.deliverFrame(uint8(port), frame)
}

// tick takes over the time of the turn and notices changes of routes.
func (t *TCP) tick() {
	t.setTime(t.st.Clock().Now())
	t.gen = uint32(t.net.Changes()<<1) | 1
}

// setTime moves the time on, never back: while the loop sleeps the clock is ahead of the turn that follows.
func (t *TCP) setTime(now int64) {
	if now > t.now {
		t.now, t.nowMS = now, uint32(uint64(now)/1e6)
	}
}

func (t *TCP) deliverFrame(port uint8, frame []stack.Frame) bool {
	b, verdict := frame[0].Bytes(), frame[0].Flags
	size := len(b)
	t.lending = true
	if len(frame) > 1 {
		if size = inPieces(frame); size == 0 {
			b = t.assemble(frame)
			size = len(b)
			t.lending = false
		}
	}
	if len(b) < wire.EthernetLen+wire.IPv4Len {
		return false
	}
	eth := wire.EthernetAt(b)
	if *eth.Dst() != t.port(port).mac {
		return false
	}
	s := &t.seg
	var tcp []byte
	var pseudo wire.Sum
	switch eth.Type() {
	case wire.TypeIPv4:
		ip := wire.IPv4At(b[wire.EthernetLen:])
		if ip.Proto() != wire.ProtoTCP {
			if ip.Proto() == wire.ProtoICMP {
				t.peekICMPv4(port, b[wire.EthernetLen:])
			}
			return false
		}
		// Options, fragments, lengths that cannot be: netstack unwraps or counts them.
		n := ip.TotalLen()
		if ip.VersionIHL() != 0x45 || ip.Fragment()&(wire.IPv4MF|wire.IPv4OffsetMask) != 0 ||
			n > size-wire.EthernetLen || n < wire.IPv4Len || verdict&stack.RxIPCsumBad != 0 {
			return false
		}
		if verdict&stack.RxIPCsumGood == 0 && !ip.ChecksumGood() {
			return false
		}
		tcp = b[wire.EthernetLen+wire.IPv4Len : min(wire.EthernetLen+n, len(b))]
		s.rhi, s.rlo = 0, mappedPrefix|uint64(binary.BigEndian.Uint32(ip.Src()[:]))
		s.lhi, s.llo = 0, mappedPrefix|uint64(binary.BigEndian.Uint32(ip.Dst()[:]))
		s.scope, s.ipv6, s.ce = 0, false, ip.TOS()&ecnMask == ecnCE
		if verdict&stack.RxL4CsumGood == 0 {
			pseudo = wire.PseudoIPv4(ip.Src(), ip.Dst(), wire.ProtoTCP, len(tcp))
		}
	case wire.TypeIPv6:
		if len(b) < wire.EthernetLen+wire.IPv6Len {
			return false
		}
		ip := wire.IPv6At(b[wire.EthernetLen:])
		if ip.Next() != wire.ProtoTCP {
			if ip.Next() == wire.ProtoICMPv6 {
				t.peekICMPv6(port, b[wire.EthernetLen:])
			}
			return false
		}
		n := ip.PayloadLen()
		if ip.Version() != 6 || n > size-wire.EthernetLen-wire.IPv6Len {
			return false
		}
		tcp = b[wire.EthernetLen+wire.IPv6Len : min(wire.EthernetLen+wire.IPv6Len+n, len(b))]
		s.rhi, s.rlo = be64(ip.Src()[0:8]), be64(ip.Src()[8:16])
		s.lhi, s.llo = be64(ip.Dst()[0:8]), be64(ip.Dst()[8:16])
		if isMapped(s.rhi, s.rlo) || isMapped(s.lhi, s.llo) {
			return false // they stand for IPv4 packets in here and never belong on a wire (RFC 4291 §2.5.5.2)
		}
		s.scope, s.ipv6, s.ce = 0, true, ip.Class()&ecnMask == ecnCE
		if port == portLoop {
			s.scope = uint32(eth.Src()[5])
		} else if isLinkLocal(s.rhi) {
			s.scope = uint32(port) + 1
		}
		if verdict&stack.RxL4CsumGood == 0 {
			pseudo = wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoTCP, len(tcp))
		}
	default:
		return false
	}
	s.port, s.src, t.frame = port, *eth.Src(), frame
	if s.rest = uint32(size - len(b)); s.rest != 0 {
		s.more = frame[1:]
	}
	if len(tcp) < wire.TCPLen {
		if t.mayTake(s) {
			t.counters.DropSegmentTooShort++
			return true
		}
		return false
	}
	h := wire.TCPAt(tcp)
	s.ports = makePorts(h.DstPort(), h.SrcPort())
	s.hash = t.table.hash(&s.key)
	i, p := t.table.find(&s.key, s.hash)
	if i == 0 && !t.mayTake(s) {
		return false
	}
	t.counters.RxSegments++
	if verdict&stack.RxL4CsumGood == 0 && (verdict&stack.RxL4CsumBad != 0 || !pseudo.Add(tcp).Good()) {
		t.counters.DropBadChecksum++
		return true
	}
	t.parse(i, p, h, tcp)
	return true
}

// mayTake tells whether a segment that belongs to no connection is for us to answer: from a single host to an
// address of ours.
func (t *TCP) mayTake(s *segment) bool {
	if s.port == portLoop {
		return true
	}
	if !t.isLocal(&s.key) {
		return false
	}
	src, dst := t.remote(&s.key), t.local(&s.key)
	// RFC 1122 §3.2.1.3, §4.2.3.10: no answer to a source that is no single host, or that cannot be on a wire.
	if src.IsUnspecified() || src.IsMulticast() || src.IsLoopback() || dst.IsLoopback() || src == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	return true
}

// parse reads the TCP header and hands the segment on.
func (t *TCP) parse(i uint32, p *pcb, h *wire.TCP, tcp []byte) {
	s := &t.seg
	n := h.HeaderLen()
	if n < wire.TCPLen || n > len(tcp) {
		t.counters.DropBadHeaderLength++
		return
	}
	s.seq, s.ack, s.wnd, s.flags = h.Seq(), h.Ack(), uint32(h.Window()), h.Flags()
	s.urg = h.Urgent()
	s.payload = tcp[n:]
	if !s.opts.parse(tcp[wire.TCPLen:n], s.flags&wire.SYN != 0) {
		t.counters.BadOptions++
	}
	if s.rest != 0 && (p == nil || p.state != stateEstablished) {
		t.joinPieces(s)
	}
	switch {
	case p != nil:
		t.input(i, p, s)
	case i != 0:
		t.inputTimeWait(i&^inTimeWait, s)
	default:
		t.inputUnknown(s)
	}
}

// deliverSegment takes what netstack has unwrapped.
func (t *TCP) deliverSegment(port int, src, dst netip.Addr, tcp []byte) {
	t.tick()
	s := &t.seg
	t.counters.RxSegments++
	t.counters.RxUnwrapped++
	if len(tcp) < wire.TCPLen {
		t.counters.DropSegmentTooShort++
		return
	}
	var pseudo wire.Sum
	s.scope, s.ipv6, s.ce = 0, dst.Is6(), false
	if src.Is4() != dst.Is4() || src.Is4In6() || dst.Is4In6() {
		t.counters.DropNotForUs++
		return
	}
	if s.ipv6 {
		a, b := src.As16(), dst.As16()
		pseudo = wire.PseudoIPv6(&a, &b, wire.ProtoTCP, len(tcp))
	} else {
		a, b := src.As4(), dst.As4()
		pseudo = wire.PseudoIPv4(&a, &b, wire.ProtoTCP, len(tcp))
	}
	if !pseudo.Add(tcp).Good() {
		t.counters.DropBadChecksum++
		return
	}
	s.rhi, s.rlo = split(src)
	s.lhi, s.llo = split(dst)
	if s.ipv6 && isLinkLocal(s.rhi) {
		s.scope = uint32(port) + 1
	}
	s.port, s.src, t.frame, t.unwrapped = uint8(port), [6]byte{}, nil, tcp
	s.rest, t.lending = 0, false
	h := wire.TCPAt(tcp)
	s.ports = makePorts(h.DstPort(), h.SrcPort())
	s.hash = t.table.hash(&s.key)
	i, p := t.table.find(&s.key, s.hash)
	if i == 0 && !t.mayTake(s) {
		t.counters.DropNotForUs++
		return
	}
	t.parse(i, p, h, tcp)
}

// inPieces tells whether a frame in several pieces can be left so, and its size: it is a TCP segment whose headers are all
// in the first one, whose checksum the device has found good, and nothing is behind the packet. 0: it cannot.
func inPieces(frame []stack.Frame) (size int) {
	b := frame[0].Bytes()
	if frame[0].Flags&stack.RxL4CsumGood == 0 || len(b) < headMost {
		return 0
	}
	for i := range frame {
		size += int(frame[i].Len)
	}
	n, proto := 0, uint8(0)
	switch wire.EthernetAt(b).Type() {
	case wire.TypeIPv4:
		ip := wire.IPv4At(b[wire.EthernetLen:])
		n, proto = ip.TotalLen(), ip.Proto()
	case wire.TypeIPv6:
		ip := wire.IPv6At(b[wire.EthernetLen:])
		n, proto = wire.IPv6Len+ip.PayloadLen(), ip.Next()
	}
	if proto != wire.ProtoTCP || wire.EthernetLen+n != size {
		return 0
	}
	return size
}

// joinPieces puts a payload in several pieces together, for all but header prediction.
func (t *TCP) joinPieces(s *segment) {
	if s.rest == 0 {
		return
	}
	t.gather = append(t.gather[:0], s.payload...)
	for i := range s.more {
		t.gather = append(t.gather, s.more[i].Bytes()...)
	}
	s.payload, s.rest, t.lending = t.gather, 0, false
}

// assemble copies the pieces of a frame together.
func (t *TCP) assemble(frame []stack.Frame) []byte {
	b := t.gather[:0]
	for i := range frame {
		b = append(b, frame[i].Bytes()...)
	}
	t.gather = b
	return b
}
