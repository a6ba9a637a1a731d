package tcp

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/wire"
)

// cutter is a device that segments in software what it was asked to (TSO), in frames of small slots, and that hands
// received frames on in several pieces.
type cutter struct {
	*simnet.End
	queue  stack.Queue
	rx     []stack.Frame
	t      testing.TB
	supers int
	most   int // bytes of the longest frame
	piece  int // bytes per received piece
}

func newCutter(t testing.TB, end *simnet.End, slot, slots, piece int) *cutter {
	c := &cutter{End: end, t: t, piece: piece}
	tx := make([]stack.Frame, slots)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, slot), 0)
	}
	c.queue = stack.MakeQueue(tx)
	return c
}

func (c *cutter) Queue() *stack.Queue { return &c.queue }

func (c *cutter) Info() stack.DeviceInfo {
	d := c.End.Info()
	d.Offloads = stack.TxIPCsum | stack.TxTCPCsum | stack.TxIPv6 | stack.TxTSO
	return d
}

func (c *cutter) Flush() {
	taken := c.queue.Taken()
	for i := 0; i < len(taken); {
		f := taken[i]
		var b []byte
		for {
			b = append(b, taken[i].Bytes()...)
			i++
			if taken[i-1].Flags&stack.More == 0 {
				break
			}
		}
		c.most = max(c.most, len(b))
		c.cut(f, b)
	}
	c.queue.Sent(len(taken))
	c.End.Flush()
}

// cut completes the checksums, as a device with these offloads does.
func (c *cutter) cut(f stack.Frame, b []byte) {
	v6 := f.Flags&stack.TxIPv6 != 0
	if f.L2 != wire.EthernetLen || v6 && f.L3 != wire.IPv6Len || !v6 && f.L3 != wire.IPv4Len {
		c.t.Fatalf("frame with offloads has L2 %d and L3 %d", f.L2, f.L3)
	}
	l4 := wire.TCPAt(b[f.L2+f.L3:]).HeaderLen()
	head := int(f.L2) + int(f.L3) + l4
	payload := b[head:]
	mss := max(len(payload), 1)
	if f.Flags&stack.TxTSO != 0 {
		if int(f.L4) != l4 || f.MSS == 0 || len(payload) <= int(f.MSS) {
			c.t.Fatalf("super segment of %d bytes with L4 %d and MSS %d", len(payload), f.L4, f.MSS)
		}
		c.supers++
		mss = int(f.MSS)
	} else if len(payload) > 1460 {
		c.t.Fatalf("segment of %d bytes", len(payload))
	}
	tsoSum := wire.TCPAt(b[f.L2+f.L3:]).Checksum()
	for off := 0; off == 0 || off < len(payload); off += mss {
		part := payload[off:min(off+mss, len(payload))]
		out := c.End.Queue().Alloc()
		if out == nil {
			return // as if lost
		}
		o := out.Room()
		copy(o, b[:head])
		copy(o[head:], part)
		out.Len = uint16(head + len(part))
		tcp := o[int(f.L2)+int(f.L3) : head+len(part)]
		h := wire.TCPAt(tcp)
		binary.BigEndian.PutUint32(tcp[4:8], h.Seq()+uint32(off))
		if off+len(part) < len(payload) {
			tcp[13] &^= wire.FIN | wire.PSH
		}
		h.SetPartialChecksum(0)
		var pseudo, without wire.Sum
		if v6 {
			ip := wire.IPv6At(o[f.L2:])
			binary.BigEndian.PutUint16(o[f.L2+4:], uint16(len(tcp)))
			pseudo = wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoTCP, len(tcp))
			without = wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoTCP, 0)
		} else {
			ip := wire.IPv4At(o[f.L2:])
			if ip.Checksum() != 0 {
				c.t.Fatal("the IPv4 checksum is to be done by the device and not zero")
			}
			binary.BigEndian.PutUint16(o[f.L2+2:], uint16(wire.IPv4Len+len(tcp)))
			ip.SetChecksum()
			pseudo = wire.PseudoIPv4(ip.Src(), ip.Dst(), wire.ProtoTCP, len(tcp))
			without = wire.PseudoIPv4(ip.Src(), ip.Dst(), wire.ProtoTCP, 0)
		}
		want := pseudo
		if f.Flags&stack.TxTSO != 0 {
			want = without
		}
		if tsoSum%0xffff != want.Fold()%0xffff {
			c.t.Fatalf("partial checksum %#04x, want %#04x (TSO %t)", tsoSum, want.Fold(), f.Flags&stack.TxTSO != 0)
		}
		h.SetChecksum(pseudo.Add(tcp).Fold())
	}
}

func (c *cutter) Exchange() {
	c.Flush()
	c.End.Exchange()
	c.rx = c.rx[:0]
	for _, f := range c.End.Queue().Rx {
		b := f.Bytes()
		for off := 0; off < len(b); off += c.piece {
			p := stack.MakeFrame(b[off:min(off+c.piece, len(b))], 0)
			p.Flags = f.Flags
			if off+c.piece < len(b) {
				p.Flags |= stack.More
			}
			c.rx = append(c.rx, p)
		}
	}
	c.queue.Rx = c.rx
}

func TestSegmentationByTheDevice(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p := &pair{t: t, sim: new(simnet.Sim)}
		p.sim.Sleep(time.Hour)
		p.wire = simnet.New(simnet.Config{Latency: time.Millisecond, Loss: 0.002, Seed: 5}, p.sim.Now)
		var devs [2]*cutter
		for i := range p.host {
			devs[i] = newCutter(t, p.wire.End(i), 1800, 100, 300+500*i)
			p.host[i] = newHost(t, p.sim.Now, devs[i], byte(i+1), Config{Connections: 100, Memory: 64 << 20})
			p.sim.Stacks = append(p.sim.Stacks, p.host[i].st)
		}
		p.sim.Wires = []*simnet.Wire{p.wire}
		to := ap(p.host[1].ip4, 80)
		if v6 {
			to = ap(p.host[1].ip6, 80)
		}
		l := p.host[1].listen(t, to)
		c, s := p.dial(l, to)
		p.transfer(c, s, 3<<20, time.Minute)
		if devs[0].supers < 50 || p.host[0].Counters().TxSuperSegments != uint64(devs[0].supers) {
			t.Errorf("%d super segments, counted %d", devs[0].supers, p.host[0].Counters().TxSuperSegments)
		}
		p.closeAll(c, s, l)
	}
}

// What a paced connection hands over to be cut is no longer than a burst and what a late turn makes up for.
func TestPacedSuperSegments(t *testing.T) {
	p := &pair{t: t, sim: new(simnet.Sim)}
	p.sim.Sleep(time.Hour)
	p.wire = simnet.New(simnet.Config{Latency: time.Millisecond}, p.sim.Now)
	var devs [2]*cutter
	for i := range p.host {
		devs[i] = newCutter(t, p.wire.End(i), 1800, 100, 1500)
		p.host[i] = newHost(t, p.sim.Now, devs[i], byte(i+1), Config{Connections: 100, Memory: 64 << 20})
		p.sim.Stacks = append(p.sim.Stacks, p.host[i].st)
	}
	p.sim.Wires = []*simnet.Wire{p.wire}
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	const rate, size = 10_000_000, 4 << 20
	must(t, p.host[0].SetOption(c, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, le64(rate)))
	began := p.sim.Now()
	p.transfer(c, s, size, time.Minute)
	if most := rate>>burstShift + rate/1000 + 100; devs[0].supers == 0 || devs[0].most > most {
		t.Errorf("%d super segments, the longest frame has %d bytes, want some and at most %d", devs[0].supers, devs[0].most, most)
	}
	if took, least := time.Duration(p.sim.Now()-began), time.Second*size/rate; took < least || took > least*3/2 {
		t.Errorf("it took %v, want %v or little more", took, least)
	}
	p.closeAll(c, s, l)
}

// TestFramesSmallerThanASegment has a segment lie in several slots without any offload.
func TestFramesSmallerThanASegment(t *testing.T) {
	p := &pair{t: t, sim: new(simnet.Sim)}
	p.sim.Sleep(time.Hour)
	p.wire = simnet.New(simnet.Config{Latency: time.Millisecond}, p.sim.Now)
	for i := range p.host {
		p.host[i] = newHost(t, p.sim.Now, &joiner{newCutter(t, p.wire.End(i), 333, 64, 2000)}, byte(i+1), Config{Connections: 100, Memory: 64 << 20})
		p.sim.Stacks = append(p.sim.Stacks, p.host[i].st)
	}
	p.sim.Wires = []*simnet.Wire{p.wire}
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	p.transfer(c, s, 1<<20, time.Minute)
	if bad := p.host[1].Counters().DropBadChecksum; bad != 0 {
		t.Errorf("%d wrong checksums", bad)
	}
	p.closeAll(c, s, l)
}

// joiner sends a frame's slots as one frame and does nothing else.
type joiner struct{ *cutter }

func (j *joiner) Info() stack.DeviceInfo { return j.End.Info() }

func (j *joiner) Exchange() {
	taken := j.queue.Taken()
	for i := 0; i < len(taken); {
		out := j.End.Queue().Alloc()
		n := 0
		for more := true; more; i++ {
			n += copy(out.Room()[n:], taken[i].Bytes())
			more = taken[i].Flags&stack.More != 0
		}
		out.Len = uint16(n)
	}
	j.queue.Sent(len(taken))
	j.End.Exchange()
	j.queue.Rx = j.End.Queue().Rx
}
