package tcp

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// transmit writes a segment of the connection into frames of its port: flags, sequence number, n bytes of the send
// queue from at on. With it goes the acknowledgment of all that was received. It returns the place behind the bytes,
// and false if the port has no frame left now. The caller has made the route.
func (t *TCP) transmit(p *pcb, seq uint32, flags uint8, n int, at cursor) (cursor, bool) {
	pt := t.port(p.port)
	f := pt.queue.Alloc()
	if f == nil {
		t.counters.TxQueueFull++
		return at, false
	}
	b := f.Room()
	pt.slot = len(b)
	l3 := wire.IPv4Len
	if p.flags&flagIPv6 != 0 {
		l3 = wire.IPv6Len
	}
	l4 := wire.TCPLen
	if p.flags&flagStamp != 0 {
		putStamp(b[wire.EthernetLen+l3+wire.TCPLen:], t.nowMS+p.tsOffset, p.tsRecent)
		l4 += stampRoom
	}
	mss := int(p.mss)
	if p.ooo != 0 || t.dsack.Start != t.dsack.End {
		base := l4
		l4 += t.putBlocks(p, b[wire.EthernetLen+l3+l4:], 60-l4)
		mss -= l4 - base
	}
	head := wire.EthernetLen + l3 + l4
	t.frames++
	t.slots = 1
	more := 0
	if head+n > len(b) { // the payload goes on in more slots
		more = head + n - len(b)
		if k := (more + len(b) - 1) / len(b); k > pt.queue.Free() {
			pt.queue.Undo()
			t.frames--
			t.counters.TxQueueFull++
			return at, false
		}
	}
	if n > 0 {
		at = t.chunks.copyOut(&p.snd, at, b[head:head+n-more])
	}
	f.Len = uint16(head + n - more)

	if p.flags&flagEchoCE != 0 {
		flags |= wire.ECE
	}
	wnd := t.announce(p)
	urg := uint16(0)
	if p.flags&flagUrgent != 0 {
		if after(p.sndUp, seq) {
			// RFC 6093 §2.1: it points behind the urgent byte, as everyone has it.
			urg = uint16(min(p.sndUp-seq, 65535))
			flags |= wire.URG
		}
	}
	h := wire.TCPAt(b[wire.EthernetLen+l3:])
	h.Set(p.localPort(), p.remotePort(), seq, p.rcvNxt, l4, flags, wnd, urg)
	pseudo := t.address(f, b, pt, p, l4+n)
	t.checksum(f, pt, b, l3, l4, n, mss, pseudo)
	if more > 0 {
		at = t.transmitMore(p, pt, f, at, more, l3, l4)
	}

	p.segsOut++
	p.rcvAcked = p.rcvNxt
	p.flags &^= flagAckNow
	p.timeAck = 0
	t.counters.TxSegments++
	return at, true
}

// address writes the Ethernet and IP headers for a TCP header and payload of size bytes and returns the sum of the
// pseudo header.
func (t *TCP) address(f *stack.Frame, b []byte, pt *port, p *pcb, size int) wire.Sum {
	o := t.opts.at(p.opts)
	f.L2 = wire.EthernetLen
	eth := wire.EthernetAt(b)
	if p.flags&flagIPv6 != 0 {
		eth.Set(&p.mac, &pt.mac, wire.TypeIPv6)
		if p.flags&flagLoopback != 0 {
			eth[11] = byte(p.scope)
		}
		f.Flags |= pt.offloads & stack.TxIPv6
		f.L3 = wire.IPv6Len
		hops := o.hops
		if hops == 0 {
			hops = uint8(t.sys.ttl)
		}
		return putIPv6(wire.IPv6At(b[wire.EthernetLen:]), &p.key, o.class|t.ect, p.hash, size, hops)
	}
	eth.Set(&p.mac, &pt.mac, wire.TypeIPv4)
	ttl := o.ttl
	if ttl == 0 {
		ttl = uint8(t.sys.ttl)
	}
	ip := wire.IPv4At(b[wire.EthernetLen:])
	fragment := uint16(wire.IPv4DF)
	id := uint16(0) // RFC 6864 §4.1: means nothing with DF
	if p.flags&flagFragment != 0 || o.noPMTU == pmtuDont {
		t.ipID++
		fragment, id = 0, t.ipID
	}
	f.Flags |= pt.offloads & stack.TxIPCsum
	f.L3 = wire.IPv4Len
	return putIPv4(ip, &p.key, o.tos|t.ect, size, id, fragment, ttl, pt.offloads&stack.TxIPCsum == 0)
}

// putIPv4 writes an IPv4 header, with its checksum if sum is true, and returns the sum of the pseudo header.
func putIPv4(ip *wire.IPv4, k *key, tos uint8, size int, id, fragment uint16, ttl uint8, sum bool) wire.Sum {
	src, dst := uint32(k.llo), uint32(k.rlo)
	ip.Put(tos, size, id, fragment, ttl, wire.ProtoTCP, src, dst, sum)
	return wire.PseudoIPv4Of(src, dst, wire.ProtoTCP, size)
}

func putIPv6(ip *wire.IPv6, k *key, class uint8, flow uint32, size int, hops uint8) wire.Sum {
	var src, dst [16]byte
	binary.BigEndian.PutUint64(src[0:], k.lhi)
	binary.BigEndian.PutUint64(src[8:], k.llo)
	binary.BigEndian.PutUint64(dst[0:], k.rhi)
	binary.BigEndian.PutUint64(dst[8:], k.rlo)
	ip.Set(class, flow&0xfffff, size, wire.ProtoTCP, hops, &src, &dst) // RFC 6437 §3: one label per flow
	return wire.PseudoIPv6(&src, &dst, wire.ProtoTCP, size)
}

// checksum sees to TCP's checksum, by the device if it can, and asks it to segment what is longer than mss.
func (t *TCP) checksum(f *stack.Frame, pt *port, b []byte, l3, l4, n, mss int, pseudo wire.Sum) {
	h := wire.TCPAt(b[wire.EthernetLen+l3:])
	if pt.offloads&stack.TxTCPCsum == 0 {
		if int(f.Len) == wire.EthernetLen+l3+l4+n { // else transmitMore does it
			h.SetChecksum(pseudo.Add(b[wire.EthernetLen+l3 : f.Len]).Fold())
		}
		return
	}
	f.Flags |= stack.TxTCPCsum
	f.L3 = uint8(l3)
	if n > mss && pt.offloads&stack.TxTSO != 0 {
		f.Flags |= stack.TxTSO
		f.L4, f.MSS = uint8(l4), uint16(mss)
		t.counters.TxSuperSegments++
		pseudo = pseudo.Sub(l4 + n)
	}
	h.SetPartialChecksum(pseudo.Fold())
}

// transmitMore puts the rest of a payload into further slots. Without offload it completes the checksum.
func (t *TCP) transmitMore(p *pcb, pt *port, first *stack.Frame, at cursor, more, l3, l4 int) cursor {
	b := first.Bytes()
	software := first.Flags&stack.TxTCPCsum == 0
	var sum wire.Sum
	size := len(b) - wire.EthernetLen - l3
	if software {
		sum = wire.Sum(0).Add(b[wire.EthernetLen+l3:])
	}
	last := first
	for more > 0 {
		last.Flags |= stack.More
		f := pt.queue.Alloc() // there are enough
		t.slots++
		r := f.Room()
		r = r[:min(len(r), more)]
		at = t.chunks.copyOut(&p.snd, at, r)
		f.Len = uint16(len(r))
		if software {
			sum = sum.Join(wire.Sum(0).Add(r), size)
		}
		size += len(r)
		more -= len(r)
		last = f
	}
	if software {
		var pseudo wire.Sum
		if l3 == wire.IPv6Len {
			ip := wire.IPv6At(b[wire.EthernetLen:])
			pseudo = wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoTCP, size)
		} else {
			ip := wire.IPv4At(b[wire.EthernetLen:])
			pseudo = wire.PseudoIPv4(ip.Src(), ip.Dst(), wire.ProtoTCP, size)
		}
		wire.TCPAt(b[wire.EthernetLen+l3:]).SetChecksum(sum.Join(pseudo, 0).Fold())
	}
	return at
}

// undo takes the segment back that transmit wrote last.
func (t *TCP) undo(p *pcb) {
	q := t.port(p.port).queue
	for range t.slots {
		q.Undo()
	}
	t.frames--
	p.segsOut--
	t.counters.TxSegments--
	p.flags |= flagAckNow
}

// transmitSYN writes a SYN, or a SYN-ACK, with its options.
func (t *TCP) transmitSYN(p *pcb) bool {
	pt := t.port(p.port)
	f := pt.queue.Alloc()
	if f == nil {
		t.counters.TxQueueFull++
		return false
	}
	b := f.Room()
	l3 := wire.IPv4Len
	if p.flags&flagIPv6 != 0 {
		l3 = wire.IPv6Len
	}
	var has optionBits
	if p.flags&flagStamp != 0 {
		has |= hasStamp
	}
	if p.flags&flagSACK != 0 {
		has |= hasSACKPerm
	}
	if p.flags&flagScale != 0 {
		has |= hasScale
	}
	flags, ack, ecr := uint8(wire.SYN), uint32(0), uint32(0)
	if p.state == stateSynRcvd {
		flags, ack, ecr = wire.SYN|wire.ACK, p.rcvNxt, p.tsRecent
		p.rcvAcked = p.rcvNxt
		if p.flags&(flagECN|flagActive) == flagECN {
			flags |= wire.ECE
		}
	} else if p.flags&flagECN != 0 {
		flags |= wire.ECE | wire.CWR
	}
	l4 := wire.TCPLen + putSYNOptions(b[wire.EthernetLen+l3+wire.TCPLen:], has, t.announcedMSS(p), p.rcvScale, t.nowMS+p.tsOffset, ecr)
	// RFC 7323 §2.2: the window of a SYN is not scaled.
	wnd := min(p.rcvBuf, 65535)
	p.rcvAdv = p.rcvNxt + wnd
	h := wire.TCPAt(b[wire.EthernetLen+l3:])
	h.Set(p.localPort(), p.remotePort(), p.iss, ack, l4, flags, uint16(wnd), 0)
	f.Len = uint16(wire.EthernetLen + l3 + l4)
	pseudo := t.address(f, b, pt, p, l4)
	t.checksum(f, pt, b, l3, l4, 0, 1, pseudo)
	t.frames++
	t.slots = 1
	p.segsOut++
	p.flags &^= flagAckNow
	t.counters.TxSegments++
	return true
}

// announcedMSS is the longest segment that we take: what the MTU holds (RFC 9293 §3.7.1, RFC 6691).
func (t *TCP) announcedMSS(p *pcb) uint16 {
	mss := p.pmtu - min(p.headers(), p.pmtu-64)
	if o := t.opts.at(p.opts); o.maxSeg != 0 {
		mss = min(mss, o.maxSeg)
	}
	return mss
}

// putBlocks writes a SACK option with what fits into the options' room.
func (t *TCP) putBlocks(p *pcb, b []byte, room int) int {
	if p.flags&flagSACK == 0 {
		return 0
	}
	var list [4]recovery.Block
	n := 0
	if t.dsack.Start != t.dsack.End {
		list[0] = t.dsack // RFC 2883 §4: the duplicate comes first
		n = 1
	}
	most := min((room-4)/8, len(list))
	n += t.recentBlocks(p, list[n:max(n, most)])
	n = min(n, most)
	if n <= 0 {
		return 0
	}
	return putSACK(b, list[:n])
}
