package tcp

import (
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// Answers without a connection behind them. They leave at once, to the link address from which the segment came, and
// are not worth waiting for: without a free frame they are dropped.

// resetSegment answers with the RST that a segment to nobody gets (RFC 9293 §3.10.7.1).
func (t *TCP) resetSegment(s *segment) {
	if s.flags&wire.RST != 0 {
		return
	}
	t.counters.TxResets++
	if s.flags&wire.ACK != 0 {
		t.reply(s, s.ack, 0, wire.RST, 0, 0, nil)
	} else {
		t.reply(s, 0, s.seq+s.len(), wire.RST|wire.ACK, 0, 0, nil)
	}
}

// reply sends a segment without payload back along the way of s.
func (t *TCP) reply(s *segment, seq, ack uint32, flags uint8, wnd uint16, tos uint8, opts []byte) {
	mac := s.src
	if mac == ([6]byte{}) && s.port != portLoop { // netstack unwrapped it: the neighbour must be asked for
		d := dest{rhi: s.rhi, rlo: s.rlo, lhi: s.lhi, llo: s.llo, scope: s.scope}
		if w, _ := t.ask(&s.key, &d); w != wayReady {
			t.counters.DropReplyNoRoute++
			return
		}
		mac = d.mac
		s.port = d.port
	}
	pt := t.port(s.port)
	f := pt.queue.Alloc()
	if f == nil {
		t.counters.DropReplyQueueFull++
		return
	}
	b := f.Room()
	eth := wire.EthernetAt(b)
	f.L2 = wire.EthernetLen
	l3, l4 := wire.IPv4Len, wire.TCPLen+len(opts)
	var pseudo wire.Sum
	if s.ipv6 {
		l3 = wire.IPv6Len
		f.Flags |= pt.offloads & stack.TxIPv6
		eth.Set(&mac, &pt.mac, wire.TypeIPv6)
		if s.port == portLoop {
			eth[11] = byte(s.scope)
		}
		pseudo = putIPv6(wire.IPv6At(b[wire.EthernetLen:]), &s.key, tos, s.hash, l4, uint8(t.sys.ttl))
	} else {
		eth.Set(&mac, &pt.mac, wire.TypeIPv4)
		ip := wire.IPv4At(b[wire.EthernetLen:])
		f.Flags |= pt.offloads & stack.TxIPCsum
		pseudo = putIPv4(ip, &s.key, tos, l4, 0, wire.IPv4DF, uint8(t.sys.ttl), pt.offloads&stack.TxIPCsum == 0)
	}
	f.L3 = uint8(l3)
	f.Len = uint16(wire.EthernetLen + l3 + l4)
	wire.TCPAt(b[wire.EthernetLen+l3:]).Set(s.localPort(), s.remotePort(), seq, ack, l4, flags, wnd, 0)
	copy(b[wire.EthernetLen+l3+wire.TCPLen:], opts)
	t.checksum(f, pt, b, l3, l4, 0, 1, pseudo)
	t.frames++
	t.counters.TxSegments++
}

// sendReset tells the peer of a connection that it is over (RFC 9293 §3.10.5).
func (t *TCP) sendReset(i uint32, p *pcb) {
	if w, _ := t.route(i, p); w != wayReady {
		t.counters.DropReplyNoRoute++
		return
	}
	t.counters.TxResets++
	t.transmit(p, p.rec.Nxt, wire.RST|wire.ACK, 0, cursor{})
	t.st.Kick() // the frame waits for the loop, which may be asleep, and nothing is dirty
}
