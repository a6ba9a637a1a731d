package main

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack/wire"
)

const (
	arpLen     = wire.EthernetLen + 28
	arpRequest = 1
	arpReply   = 2
)

var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// sendARP sends an ARP packet for Ethernet and IPv4 (RFC 826).
func (l *client) sendARP(op uint16, dst *[6]byte, source uint32, targetMAC *[6]byte, target uint32) {
	f := l.queue.Alloc()
	if f == nil {
		return
	}
	b := f.Room()[:arpLen]
	wire.EthernetAt(b).Set(dst, &l.mac, wire.TypeARP)
	p := b[wire.EthernetLen:]
	binary.BigEndian.PutUint64(p, 0x0001_0800_0604_0000|uint64(op))
	copy(p[8:], l.mac[:])
	binary.BigEndian.PutUint32(p[14:], source)
	copy(p[18:], targetMAC[:])
	binary.BigEndian.PutUint32(p[24:], target)
	f.Len = arpLen
}

// whoHas asks for the next hop's link address.
func (l *client) whoHas() {
	var nobody [6]byte
	via := l.via.As4()
	l.sendARP(arpRequest, &broadcast, l.source, &nobody, binary.BigEndian.Uint32(via[:]))
}

// deliverARP answers for all our addresses and learns the next hop's.
func (l *client) deliverARP(b []byte) {
	if len(b) < arpLen {
		l.counters.DropNotForUs++
		return
	}
	p := b[wire.EthernetLen:]
	sender, target := binary.BigEndian.Uint32(p[14:]), binary.BigEndian.Uint32(p[24:])
	mac := [6]byte(p[8:14])
	if via := l.via.As4(); sender == binary.BigEndian.Uint32(via[:]) && !l.resolved {
		l.gateway, l.resolved = mac, true
		l.prepare()
	}
	if op := binary.BigEndian.Uint16(p[6:]); op == arpRequest && target-l.source <= (l.tuples-1)>>portBits {
		l.sendARP(arpReply, &mac, target, &mac, sender)
	}
}
