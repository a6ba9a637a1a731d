package main

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

const (
	headers = wire.EthernetLen + 20 + 20
	ipAt    = wire.EthernetLen
	tcpAt   = ipAt + 20
)

// TCP flags.
const (
	fFIN = 1 << iota
	fSYN
	fRST
	fPSH
	fACK
)

// template is a frame with all that its copies have in common, and the sums of that.
type template struct {
	frame  []byte
	ip     wire.Sum // of the IP header, without source address
	pseudo wire.Sum // of the pseudo header, without source address
	tcp    wire.Sum // of the pseudo header, TCP header and payload, without what differs
}

// newTemplate makes a template; options must be a multiple of 4 bytes.
func (l *client) newTemplate(flags uint8, options, payload []byte) *template {
	t := &template{frame: make([]byte, headers, headers+len(options)+len(payload))}
	b := append(append(t.frame, options...), payload...)
	wire.EthernetAt(b).Set(&l.gateway, &l.mac, wire.TypeIPv4)
	var src [4]byte
	length := 20 + len(options) + len(payload)
	wire.IPv4At(b[ipAt:]).Set(0, length, 0, 0x4000, 64, 6, &src, &l.server)
	binary.BigEndian.PutUint16(b[ipAt+10:], 0)
	wire.TCPAt(b[tcpAt:]).Set(0, l.serverPort, 0, 0, 20+len(options), flags, l.window, 0)
	t.frame = b
	t.ip = wire.Sum(0).Add(b[ipAt:tcpAt])
	t.pseudo = wire.PseudoIPv4(&src, &l.server, 6, length)
	t.tcp = t.pseudo.Add(b[tcpAt:])
	return t
}

// put writes a copy of the template for a connection.
func (l *client) put(f *stack.Frame, t *template, c *conn, seq uint32) {
	b := f.Room()[:len(t.frame)]
	copy(b, t.frame)
	src, port := l.source+c.tuple>>portBits, portBase+c.tuple&(1<<portBits-1)
	h := b[ipAt : tcpAt+20 : tcpAt+20]
	binary.BigEndian.PutUint16(h[10:], ^t.ip.AddUint32(src).Fold())
	binary.BigEndian.PutUint32(h[12:], src)
	binary.BigEndian.PutUint16(h[20:], uint16(port))
	binary.BigEndian.PutUint32(h[24:], seq)
	binary.BigEndian.PutUint32(h[28:], c.rcvNxt)
	if l.offload {
		binary.BigEndian.PutUint16(h[36:], t.pseudo.AddUint32(src).Fold())
		f.Flags, f.L2, f.L3 = stack.TxTCPCsum, wire.EthernetLen, 20
	} else {
		binary.BigEndian.PutUint16(h[36:], ^t.tcp.AddUint32(src).AddUint32(port<<16).AddUint32(seq).AddUint32(c.rcvNxt).Fold())
	}
	f.Len = uint16(len(b))
}
