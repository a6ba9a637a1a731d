package main

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// responder is a server without memory: it answers each segment by what stands in it, and so keeps up with anything
// and does not mind loss.
type responder struct {
	dev    stack.Device
	mac    [6]byte
	sums   bool // the device sums TCP segments
	addr   [4]byte
	answer []byte
	closes bool // sends FIN with the answer
	mute   func() bool
	bytes  uint64 // of stream received
}

func newResponder(dev stack.Device, body int) *responder {
	info := dev.Info()
	return &responder{
		dev: dev, mac: [6]byte(info.MAC), sums: info.Offloads&stack.TxTCPCsum != 0, addr: [4]byte{192, 168, 1, 2},
		answer: append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: %d\r\n\r\n", body), bytes.Repeat([]byte("x"), body)...),
	}
}

// turn answers what came and returns how many frames that was.
func (r *responder) turn() int {
	r.dev.Exchange()
	q := r.dev.Queue()
	for i := range q.Rx {
		if f := &q.Rx[i]; f.Flags&stack.RxL4CsumGood != 0 || good(f.Bytes()) {
			r.deliver(f.Bytes())
		}
	}
	return len(q.Rx)
}

// good verifies the checksums of a frame, if it has any.
func good(b []byte) bool {
	if wire.EthernetAt(b).Type() != wire.TypeIPv4 {
		return true
	}
	ip := wire.IPv4At(b[ipAt:])
	return ip.ChecksumGood() && wire.PseudoIPv4(ip.Src(), ip.Dst(), 6, ip.TotalLen()-20).Add(b[tcpAt:ipAt+ip.TotalLen()]).Good()
}

func (r *responder) deliver(b []byte) {
	q := r.dev.Queue()
	eth := wire.EthernetAt(b)
	switch eth.Type() {
	case wire.TypeARP:
		p := b[wire.EthernetLen:]
		if binary.BigEndian.Uint16(p[6:]) != arpRequest || [4]byte(p[24:28]) != r.addr {
			return
		}
		if f := q.Alloc(); f != nil {
			a := f.Room()[:arpLen]
			copy(a, b)
			wire.EthernetAt(a).Set(eth.Src(), &r.mac, wire.TypeARP)
			a[wire.EthernetLen+7] = arpReply
			copy(a[wire.EthernetLen+18:], p[8:18])
			copy(a[wire.EthernetLen+8:], r.mac[:])
			copy(a[wire.EthernetLen+14:], r.addr[:])
			f.Len = arpLen
		}
		return
	case wire.TypeIPv4:
	default:
		return
	}
	ip := wire.IPv4At(b[ipAt:])
	if *ip.Dst() != r.addr || r.mute != nil && r.mute() {
		return
	}
	tcp := wire.TCPAt(b[tcpAt:])
	payload := b[tcpAt+tcp.HeaderLen() : ipAt+ip.TotalLen()]
	r.bytes += uint64(len(payload))
	flags := tcp.Flags()
	switch ack := tcp.Seq() + uint32(len(payload)); {
	case flags&fRST != 0:
	case flags&fSYN != 0:
		r.reply(b, fSYN|fACK, 1000, tcp.Seq()+1, []byte{2, 4, 5, 0xb4}, nil)
	case flags&fFIN != 0 && r.closes:
		r.reply(b, fACK, tcp.Ack(), ack+1, nil, nil)
	case flags&fFIN != 0:
		r.reply(b, fACK|fFIN, tcp.Ack(), ack+1, nil, nil)
	case len(payload) > 0 && r.answer == nil:
		r.reply(b, fACK, tcp.Ack(), ack, nil, nil)
	case len(payload) > 0 && r.closes:
		r.reply(b, fACK|fPSH|fFIN, tcp.Ack(), ack, nil, r.answer)
	case len(payload) > 0:
		r.reply(b, fACK|fPSH, tcp.Ack(), ack, nil, r.answer)
	}
}

// reply sends to where the frame b came from, in as many segments as it takes.
func (r *responder) reply(b []byte, flags uint8, seq, ack uint32, options, payload []byte) {
	to, tcp := wire.IPv4At(b[ipAt:]), wire.TCPAt(b[tcpAt:])
	for first := true; first || len(payload) > 0; first = false {
		part := payload[:min(len(payload), 1460)]
		payload = payload[len(part):]
		f := r.dev.Queue().Alloc()
		if f == nil {
			return
		}
		a := f.Room()[:headers+len(options)+len(part)]
		wire.EthernetAt(a).Set(wire.EthernetAt(b).Src(), &r.mac, wire.TypeIPv4)
		wire.IPv4At(a[ipAt:]).Set(0, len(a)-tcpAt, 0, 0x4000, 64, 6, &r.addr, to.Src())
		wire.IPv4At(a[ipAt:]).SetChecksum()
		now := flags
		if len(payload) > 0 {
			now &^= fFIN | fPSH
		}
		h := wire.TCPAt(a[tcpAt:])
		h.Set(tcp.DstPort(), tcp.SrcPort(), seq, ack, 20+len(options), now, 65535, 0)
		copy(a[tcpAt+20:], options)
		copy(a[headers+len(options):], part)
		pseudo := wire.PseudoIPv4(&r.addr, to.Src(), 6, len(a)-tcpAt)
		if r.sums {
			h.SetPartialChecksum(pseudo.Fold())
			f.Flags, f.L2, f.L3 = stack.TxTCPCsum, wire.EthernetLen, 20
		} else {
			h.SetChecksum(pseudo.Add(a[tcpAt:]).Fold())
		}
		f.Len = uint16(len(a))
		seq += uint32(len(part))
	}
}
