package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/fstack-go/fstack/stack"
)

// gVisor's TCP hands over segments of up to gsoMax bytes, whatever the MSS, with the sum of the pseudo header in the
// checksum field. The device cuts them and fills in checksums where it can; otherwise that is done here, while the
// bytes are copied into the frames. It saves gVisor's per-segment costs either way.
const gsoMax = 64<<10 - 1

var _ gstack.GSOEndpoint = (*link)(nil)

// SupportedGSO implements gstack.GSOEndpoint.
func (l *link) SupportedGSO() gstack.SupportedGSO { return gstack.HostGSOSupported }

// GSOMaxSize implements gstack.GSOEndpoint.
func (l *link) GSOMaxSize() uint32 { return gsoMax }

// reader walks through the bytes of a packet.
type reader struct {
	view *buffer.View
	off  int
}

func newReader(p *gstack.PacketBuffer) reader {
	views, off := p.AsViewList()
	r := reader{view: views.Front()}
	r.skip(off)
	return r
}

// next returns up to n bytes that lie in one piece, and steps over them; nil at the end.
func (r *reader) next(n int) []byte {
	for r.view != nil {
		b := r.view.AsSlice()[r.off:]
		if len(b) > 0 {
			b = b[:min(n, len(b))]
			r.off += len(b)
			return b
		}
		r.view, r.off = r.view.Next(), 0
	}
	return nil
}

func (r *reader) skip(n int) {
	for n > 0 {
		b := r.next(n)
		if b == nil {
			return
		}
		n -= len(b)
	}
}

// writer fills a frame, in several slots of the queue if one is too small.
type writer struct {
	q     *stack.Queue
	first *stack.Frame
	last  *stack.Frame
	used  int // bytes in last
	slots int
}

// put appends b, or returns false if the queue has no room: then nothing of the frame is left in it.
func (w *writer) put(b []byte) bool {
	for len(b) > 0 {
		if w.last == nil || w.used == int(w.last.Cap) {
			f := w.q.Alloc()
			if f == nil {
				for range w.slots {
					w.q.Undo()
				}
				return false
			}
			f.Len, w.used = 0, 0
			if w.last == nil {
				w.first = f
			} else {
				w.last.Flags |= stack.More
			}
			w.last, w.slots = f, w.slots+1
		}
		n := copy(w.last.Room()[w.used:], b)
		w.used += n
		w.last.Len = uint16(w.used)
		b = b[n:]
	}
	return true
}

// write copies a packet into frames of the queue. It returns how many, and whether that was all of it: where not, the
// next call goes on.
func (l *link) write(q *stack.Queue, p *gstack.PacketBuffer) (frames int, all bool) {
	if p.GSOOptions.Type == gstack.GSONone || !p.GSOOptions.NeedsCsum {
		w, r := writer{q: q}, newReader(p)
		for b := r.next(gsoMax); b != nil; b = r.next(gsoMax) {
			if !w.put(b) {
				return 0, false
			}
		}
		return 1, true
	}
	head := l.head[:ethSize+len(p.NetworkHeader().Slice())+len(p.TransportHeader().Slice())]
	s := segment{link: l, q: q, head: head, ip: len(p.NetworkHeader().Slice())}
	r := newReader(p)
	for n := 0; n < len(head); {
		n += copy(head[n:], r.next(len(head)-n))
	}
	size, mss := p.Data().Size(), int(p.GSOOptions.MSS)
	if mss == 0 { // of a connection that has not heard the peer's yet, and sends no data
		mss = max(size, 1)
	}
	if size > mss && l.sent == 0 && l.offloads&tso == tso && s.whole(r, size, mss) {
		return 1, true
	}
	r.skip(l.sent)
	for {
		n := min(size-l.sent, mss)
		if !s.cut(&r, l.sent, n, l.sent/mss, l.sent+n == size) {
			return frames, false
		}
		frames++
		if l.sent += n; l.sent == size {
			l.sent = 0
			return frames, true
		}
	}
}

// tso are the offloads without which a device cannot cut segments.
const tso = stack.TxTSO | stack.TxTCPCsum | stack.TxIPCsum

// segment is a TCP segment that is written, whole or in pieces.
type segment struct {
	link *link
	q    *stack.Queue
	head []byte // its headers: Ethernet, IP, TCP
	ip   int    // bytes of IP header
}

func (s *segment) v4() bool { return s.head[ethSize]>>4 == 4 }

// pseudo is the sum of the pseudo header of a segment of n bytes (RFC 9293 §3.1, RFC 8200 §8.1).
func (s *segment) pseudo(n int) uint16 {
	ip := s.head[ethSize:]
	if s.v4() {
		h := header.IPv4(ip)
		return header.PseudoHeaderChecksum(header.TCPProtocolNumber, h.SourceAddress(), h.DestinationAddress(), uint16(n))
	}
	h := header.IPv6(ip)
	return header.PseudoHeaderChecksum(header.TCPProtocolNumber, h.SourceAddress(), h.DestinationAddress(), uint16(n))
}

// whole writes all of it for the device to cut.
func (s *segment) whole(r reader, size, mss int) bool {
	if s.v4() {
		header.IPv4(s.head[ethSize:]).SetChecksum(0)
	}
	header.TCP(s.head[ethSize+s.ip:]).SetChecksum(s.pseudo(0)) // without the length, see stack.TxTCPCsum
	w := writer{q: s.q}
	if !w.put(s.head) {
		return false
	}
	for n := 0; n < size; {
		b := r.next(size - n)
		if !w.put(b) {
			return false
		}
		n += len(b)
	}
	s.flag(w.first, tso)
	w.first.L4, w.first.MSS = uint8(len(s.head)-ethSize-s.ip), uint16(mss)
	return true
}

// flag asks the device for offloads.
func (s *segment) flag(f *stack.Frame, flags stack.FrameFlags) {
	if !s.v4() {
		flags = flags&^stack.TxIPCsum | stack.TxIPv6
	}
	f.Flags |= flags
	f.L2, f.L3 = ethSize, uint8(s.ip)
}

// cut writes the index-th piece, n bytes at offset off, as a segment of its own, or returns false if there is no room.
func (s *segment) cut(r *reader, off, n, index int, last bool) bool {
	var head [headMax]byte
	h := head[:copy(head[:], s.head)]
	t := h[ethSize+s.ip:]
	length := len(t) + n
	if s.v4() {
		ip := header.IPv4(h[ethSize:])
		ip.SetTotalLength(uint16(s.ip + length))
		if ip.Flags()&header.IPv4FlagDontFragment == 0 {
			ip.SetID(ip.ID() + uint16(index)) // RFC 6864 §4.3: unique unless atomic
		}
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(h[ethSize:]).SetPayloadLength(uint16(length))
	}
	tcp := header.TCP(t)
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(off))
	if !last {
		tcp.SetFlags(uint8(tcp.Flags() &^ (header.TCPFlagFin | header.TCPFlagPsh)))
	}
	tcp.SetChecksum(s.pseudo(length))

	w := writer{q: s.q}
	if !w.put(h) {
		return false
	}
	device := s.link.offloads&stack.TxTCPCsum != 0
	var sum checksum.Checksumer
	sum.Add(t)
	for left := n; left > 0; {
		b := r.next(left)
		if !w.put(b) {
			return false
		}
		if !device {
			sum.Add(b)
		}
		left -= len(b)
	}
	if device {
		s.flag(w.first, stack.TxTCPCsum)
		return true
	}
	at := ethSize + s.ip + header.TCPChecksumOffset
	binary.BigEndian.PutUint16(w.first.Room()[at:], ^sum.Checksum())
	return true
}

// headMax is the most that the headers of a segment take: Ethernet, IPv4 with options or IPv6, TCP with options.
const headMax = ethSize + header.IPv4MaximumHeaderSize + header.TCPHeaderMaximumSize
