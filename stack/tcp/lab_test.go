package tcp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// bench is one host whose peer is the test: it writes segments by hand and looks at those that come back.
type bench struct {
	*host
	t    testing.TB
	dev  *handDevice
	now  int64
	peer netip.Addr
	out  []reply  // sent by the host and not looked at yet
	held [][]byte // frames delivered in this turn
}

// reply is a segment that the host has sent.
type reply struct {
	src, dst netip.AddrPort
	seq, ack uint32
	flags    uint8
	wnd      uint16
	urg      uint16
	tos      uint8
	opts     options
	payload  []byte
}

func (r reply) String() string {
	return fmt.Sprintf("%v>%v %s seq %d ack %d len %d win %d", r.src, r.dst, flagString(r.flags), r.seq, r.ack, len(r.payload), r.wnd)
}

// handDevice keeps what is sent.
type handDevice struct {
	queue stack.Queue
	sent  [][]byte
}

func newHandDevice() *handDevice {
	d := new(handDevice)
	tx := make([]stack.Frame, 256)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, 2048), 0)
	}
	d.queue = stack.MakeQueue(tx)
	return d
}

func (d *handDevice) Queue() *stack.Queue { return &d.queue }
func (d *handDevice) Exchange()           { d.Flush() }
func (d *handDevice) Close() error        { return nil }
func (d *handDevice) Info() stack.DeviceInfo {
	return stack.DeviceInfo{Name: "hand", MAC: []byte{2, 0, 0, 0, 0, 1}, MTU: 1500}
}

func (d *handDevice) Flush() {
	for i := range d.queue.Taken() {
		d.sent = append(d.sent, append([]byte(nil), d.queue.Taken()[i].Bytes()...))
	}
	d.queue.Sent(len(d.queue.Taken()))
}

var (
	benchPeer = netip.MustParseAddr("10.0.0.9")
	benchHost = netip.MustParseAddr("10.0.0.1")
)

func newBench(t testing.TB, cfg Config) *bench {
	t.Helper()
	b := &bench{t: t, dev: newHandDevice(), now: int64(time.Hour), peer: benchPeer}
	if cfg.Connections == 0 {
		cfg.Connections, cfg.Memory = 1<<14, 16<<20
	}
	if cfg.Secret == [32]byte{} {
		cfg.Secret[0] = 1
	}
	b.host = newHost(t, func() int64 { return b.now }, b.dev, 1, cfg)
	return b
}

// turn lets the loop turn at the present time and collects what it sends.
func (b *bench) turn() {
	b.t.Helper()
	for range 3 {
		b.st.Poll(b.now)
		for _, f := range b.held { // the device has them back
			for i := range f {
				f[i] = 0xee
			}
		}
		b.held = nil
	}
	b.dev.Flush()
	for _, f := range b.dev.sent {
		b.out = append(b.out, b.read(f))
	}
	b.dev.sent = nil
}

// wait lets so much time pass, turning whenever a timer is due.
func (b *bench) wait(d time.Duration) {
	b.t.Helper()
	end := b.now + int64(d)
	for {
		next := b.st.Next()
		if next > end {
			break
		}
		b.now = max(b.now+1000, next)
		b.turn()
	}
	b.now = max(b.now, end)
	b.turn()
}

// read parses a frame that the host has sent, checking what every frame must have.
func (b *bench) read(f []byte) (r reply) {
	b.t.Helper()
	var tcp []byte
	var pseudo wire.Sum
	switch wire.EthernetAt(f).Type() {
	case wire.TypeIPv4:
		ip := wire.IPv4At(f[wire.EthernetLen:])
		if !ip.ChecksumGood() || ip.TotalLen() != len(f)-wire.EthernetLen || ip.Proto() != wire.ProtoTCP {
			b.t.Fatalf("bad IPv4 header %x", *ip)
		}
		tcp = f[wire.EthernetLen+wire.IPv4Len:]
		r.src, r.dst = ap(netip.AddrFrom4(*ip.Src()), 0), ap(netip.AddrFrom4(*ip.Dst()), 0)
		pseudo = wire.PseudoIPv4(ip.Src(), ip.Dst(), wire.ProtoTCP, len(tcp))
		r.tos = ip.TOS()
	case wire.TypeIPv6:
		ip := wire.IPv6At(f[wire.EthernetLen:])
		if ip.PayloadLen() != len(f)-wire.EthernetLen-wire.IPv6Len || ip.Next() != wire.ProtoTCP {
			b.t.Fatalf("bad IPv6 header %x", *ip)
		}
		tcp = f[wire.EthernetLen+wire.IPv6Len:]
		r.src, r.dst = ap(netip.AddrFrom16(*ip.Src()), 0), ap(netip.AddrFrom16(*ip.Dst()), 0)
		pseudo = wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoTCP, len(tcp))
		r.tos = ip.Class()
	default:
		b.t.Fatalf("frame of type %#x", wire.EthernetAt(f).Type())
	}
	if !pseudo.Add(tcp).Good() {
		b.t.Fatalf("wrong checksum in %x", f)
	}
	h := wire.TCPAt(tcp)
	r.src, r.dst = ap(r.src.Addr(), h.SrcPort()), ap(r.dst.Addr(), h.DstPort())
	r.seq, r.ack, r.flags, r.wnd, r.urg = h.Seq(), h.Ack(), h.Flags(), h.Window(), h.Urgent()
	if !r.opts.parse(tcp[wire.TCPLen:h.HeaderLen()], r.flags&wire.SYN != 0) {
		b.t.Fatalf("bad options in %x", f)
	}
	r.payload = tcp[h.HeaderLen():]
	return r
}

// packet is a segment that the peer sends. Options are written as they stand.
type packet struct {
	src, dst netip.AddrPort
	flags    uint8
	seq, ack uint32
	wnd      uint16
	urg      uint16
	tos      uint8
	opts     []byte
	payload  []byte
}

// frame writes a packet for the host.
func (k packet) frame() []byte {
	l3 := wire.IPv4Len
	if k.dst.Addr().Is6() {
		l3 = wire.IPv6Len
	}
	l4 := wire.TCPLen + len(k.opts)
	f := make([]byte, wire.EthernetLen+l3+l4+len(k.payload))
	size := l4 + len(k.payload)
	var pseudo wire.Sum
	typ := uint16(wire.TypeIPv4)
	if l3 == wire.IPv6Len {
		typ = wire.TypeIPv6
		src, dst := k.src.Addr().As16(), k.dst.Addr().As16()
		wire.IPv6At(f[wire.EthernetLen:]).Set(k.tos, 0, size, wire.ProtoTCP, 64, &src, &dst)
		pseudo = wire.PseudoIPv6(&src, &dst, wire.ProtoTCP, size)
	} else {
		src, dst := k.src.Addr().As4(), k.dst.Addr().As4()
		ip := wire.IPv4At(f[wire.EthernetLen:])
		ip.Set(k.tos, size, 1, 0, 64, wire.ProtoTCP, &src, &dst)
		ip.SetChecksum()
		pseudo = wire.PseudoIPv4(&src, &dst, wire.ProtoTCP, size)
	}
	wire.EthernetAt(f).Set(&[6]byte{2, 0, 0, 0, 0, 1}, &[6]byte{2, 0, 0, 0, 0, 9}, typ)
	tcp := f[wire.EthernetLen+l3:]
	h := wire.TCPAt(tcp)
	h.Set(k.src.Port(), k.dst.Port(), k.seq, k.ack, l4, k.flags, k.wnd, k.urg)
	copy(tcp[wire.TCPLen:], k.opts)
	copy(tcp[l4:], k.payload)
	h.SetChecksum(pseudo.Add(tcp).Fold())
	return f
}

// deliver gives the host a frame and returns whether it took it. The frame's memory is gone after the turn.
func (b *bench) deliver(f []byte) bool { return b.deliverPieces(f, max(len(f), 1), 0) }

// deliverPieces gives the host a frame in pieces of so many bytes, with a device's verdict.
func (b *bench) deliverPieces(f []byte, size int, verdict stack.FrameFlags) bool {
	f = append([]byte(nil), f...)
	b.held = append(b.held, f)
	var frame []stack.Frame
	for at := 0; at == 0 || at < len(f); at += size {
		end := min(at+size, len(f))
		piece := stack.MakeFrame(f[at:end:end], 0)
		piece.Flags = verdict
		if end < len(f) {
			piece.Flags |= stack.More
		}
		frame = append(frame, piece)
	}
	b.st.Lock()
	defer b.st.Unlock()
	return b.Deliver(0, frame)
}

// send delivers a packet and turns.
func (b *bench) send(k packet) {
	b.t.Helper()
	if !b.deliver(k.frame()) {
		b.t.Fatalf("not taken: %+v", k)
	}
	b.turn()
}

// next is the next segment that the host has sent.
func (b *bench) next() reply {
	b.t.Helper()
	if len(b.out) == 0 {
		b.t.Fatal("nothing was sent")
	}
	r := b.out[0]
	b.out = b.out[1:]
	return r
}

// silent fails if the host has sent something.
func (b *bench) silent() {
	b.t.Helper()
	if len(b.out) > 0 {
		b.t.Fatalf("sent: %v", b.out)
	}
}

// conn is the peer's end of a connection by hand.
type conn struct {
	b        *bench
	src, dst netip.AddrPort
	seq, ack uint32
	stamp    bool
	tsVal    uint32
	tsEcr    uint32
}

// pkt is a packet of the connection with its present numbers.
func (c *conn) pkt(flags uint8, payload string) packet {
	k := packet{src: c.src, dst: c.dst, flags: flags, seq: c.seq, ack: c.ack, wnd: 60000, payload: []byte(payload)}
	if c.stamp {
		k.opts = make([]byte, stampRoom)
		putStamp(k.opts, c.tsVal, c.tsEcr)
	}
	return k
}

var synOptions = []byte{optMSS, 4, 0x05, 0xb4, optNop, optScale, 3, 7, optSACKPerm, 2, optStamp, 10, 0, 0, 0, 1, 0, 0, 0, 0, optNop, optNop, optNop, optEnd}

// accept makes a connection from the peer to a listener and accepts it.
func (b *bench) accept(l stack.Handle, from uint16, opts []byte) (*conn, stack.Handle) {
	b.t.Helper()
	to, err := b.LocalAddr(l)
	must(b.t, err)
	c := &conn{b: b, src: ap(b.peer, from), dst: ap(b.ip4, to.Port()), seq: 1000}
	b.send(packet{src: c.src, dst: c.dst, flags: wire.SYN, seq: c.seq, wnd: 60000, opts: opts})
	r := b.next()
	if r.flags != wire.SYN|wire.ACK || r.ack != c.seq+1 {
		b.t.Fatalf("answer to a SYN: %v", r)
	}
	c.seq++
	c.ack = r.seq + 1
	if r.opts.has&hasStamp != 0 {
		c.stamp, c.tsVal, c.tsEcr = true, 2, r.opts.tsVal
	}
	b.send(c.pkt(wire.ACK, ""))
	h, _, err := b.Accept(l)
	must(b.t, err)
	b.silent()
	return c, h
}

// icmpTooBig is "fragmentation needed" about a segment of the host.
func icmpTooBig(r reply, mtu uint16) []byte {
	f := make([]byte, wire.EthernetLen+wire.IPv4Len+icmpHead+wire.IPv4Len+8)
	wire.EthernetAt(f).Set(&[6]byte{2, 0, 0, 0, 0, 1}, &[6]byte{2, 0, 0, 0, 0, 9}, wire.TypeIPv4)
	router, src, dst := [4]byte{10, 0, 0, 254}, r.src.Addr().As4(), r.dst.Addr().As4()
	ip := wire.IPv4At(f[wire.EthernetLen:])
	ip.Set(0, icmpHead+wire.IPv4Len+8, 0, 0, 64, wire.ProtoICMP, &router, &src)
	ip.SetChecksum()
	icmp := f[wire.EthernetLen+wire.IPv4Len:]
	icmp[0], icmp[1] = icmpUnreachable, icmpFragNeeded
	binary.BigEndian.PutUint16(icmp[6:], mtu)
	q := wire.IPv4At(icmp[icmpHead:])
	q.Set(0, wire.TCPLen+stampRoom+len(r.payload), 0, wire.IPv4DF, 64, wire.ProtoTCP, &src, &dst)
	tcp := icmp[icmpHead+wire.IPv4Len:]
	binary.BigEndian.PutUint16(tcp[0:], r.src.Port())
	binary.BigEndian.PutUint16(tcp[2:], r.dst.Port())
	binary.BigEndian.PutUint32(tcp[4:], r.seq)
	binary.BigEndian.PutUint16(icmp[2:], ^wire.Sum(0).Add(icmp).Fold())
	return f
}
