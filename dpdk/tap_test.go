//go:build !nodpdk

package dpdk

import (
	"bytes"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// openTap makes a TAP whose kernel end is in a namespace of its own, with nothing there that speaks by itself.
func openTap(t *testing.T, c PortConfig) (*Port, *QueuePair, *kernelEnd) {
	t.Helper()
	needTun(t)
	ns := newNetns(t)
	startEAL(t, nil)
	inNS(t, ns, func() error { // net_tap sets the interface up, and IPv6 would speak at once
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	})
	p, q := openVdev(t, "net_tap0", "iface=fsk0,mac=02:00:00:00:00:01", ns, c)
	ip(t, ns, "link set fsk0 address 02:00:00:00:00:02", "link set fsk0 arp off", "link set fsk0 up")
	return p, q, openKernelEnd(t, ns, "fsk0")
}

func TestTapLivesInItsNamespace(t *testing.T) {
	if !alone(t) {
		return
	}
	p, q, k := openTap(t, PortConfig{})
	if _, err := net.InterfaceByName("fsk0"); err == nil {
		t.Error("the interface is in the namespace of the process")
	}
	frame, _, _, _ := packet{payload: 100}.build()
	send(t, q, frame)
	q.Exchange()
	var got []byte
	until(t, "the frame at the kernel's end", func() bool { got = k.recv(t); return got != nil })
	if !bytes.Equal(got, frame) {
		t.Errorf("sent %x, the kernel got %x", frame, got)
	}
	copy(frame, macUs)
	k.send(t, frame)
	until(t, "the frame from the kernel", func() bool { q.Exchange(); return len(q.Queue().Rx) == 1 })
	if rx := q.Queue().Rx[0]; !bytes.Equal(rx.Bytes(), frame) {
		t.Errorf("the kernel sent %x, got %x", frame, rx.Bytes())
	}
	if l, err := p.LinkStatus(); err != nil || !l.Up {
		t.Errorf("link %+v, %v", l, err)
	}
}

// TestTapSends has the device fill in checksums and cut segments, and the kernel's end verify each frame.
func TestTapSends(t *testing.T) {
	if !alone(t) {
		return
	}
	_, q, k := openTap(t, PortConfig{TSO: true})
	offers := q.Info().Offloads
	t.Logf("net_tap offers %b", offers)
	for _, p := range []packet{
		{payload: 0}, {payload: 1}, {payload: 1472}, {v6: true, payload: 17}, {tcp: true, payload: 100}, {tcp: true, v6: true, payload: 3},
		{payload: 1, offload: true}, {payload: 0, offload: true}, {payload: 1472, offload: true}, {payload: 1000, vlan: true, offload: true},
		{v6: true, payload: 17, offload: true}, {v6: true, payload: 1452, offload: true},
		{tcp: true, payload: 0, flags: 2, offload: true}, {tcp: true, payload: 1460, offload: true}, {tcp: true, payload: 333, offload: true},
		{tcp: true, v6: true, payload: 0, offload: true}, {tcp: true, v6: true, payload: 1439, offload: true},
		{tcp: true, payload: 1800, flags: 0x18, offload: true, mss: 1000}, {tcp: true, payload: 1801, flags: 0x19, offload: true, mss: 536},
		{tcp: true, v6: true, payload: 1900, flags: 0x18, offload: true, mss: 701},
	} {
		for _, pieces := range []int{1, 2, 3} {
			f := q.Queue().Alloc()
			b, l2, l3, l4 := p.build()
			p.request(f, b, offers, l2, l3, l4)
			if f.Flags&^stack.TxIPv6&^offers != 0 {
				q.Queue().Undo()
				continue
			}
			// The first piece has the headers, the others share the rest.
			rest := b[l2+l3+l4:]
			f.Len = uint16(copy(f.Room(), b[:l2+l3+l4]))
			for i := range pieces {
				n := len(rest) / (pieces - i)
				f.Len += uint16(copy(f.Room()[f.Len:], rest[:n]))
				rest = rest[n:]
				if i < pieces-1 {
					f.Flags |= stack.More
					f = q.Queue().Alloc()
					f.Len = 0
				}
			}
			q.Exchange()
			want, seq := b[l2+l3+l4:], uint32(0x11223344)
			for first := true; first || len(want) > 0; first = false {
				var got []byte
				until(t, p.String(), func() bool { got = k.recv(t); return got != nil })
				gotSeq, gotFlags, payload, err := verify(got)
				if err != nil {
					t.Errorf("%v in %d pieces: %v", p, pieces, err)
					break
				}
				if !bytes.HasPrefix(want, payload) || len(payload) == 0 && len(want) > 0 {
					t.Errorf("%v in %d pieces: payload of %d bytes is not what follows", p, pieces, len(payload))
					break
				}
				want = want[len(payload):]
				if !p.tcp {
					continue
				}
				wantFlags := p.flags
				if len(want) > 0 { // FIN and PSH are for the last segment
					wantFlags &^= 9
				}
				if gotSeq != seq || gotFlags != wantFlags {
					t.Errorf("%v in %d pieces: segment has seq %#x flags %#x, want %#x and %#x", p, pieces, gotSeq, gotFlags, seq, wantFlags)
				}
				seq += uint32(len(payload))
			}
			if got := k.recv(t); got != nil {
				t.Errorf("%v: a frame too many", p)
			}
		}
	}
	if c := q.Counters(); c != (QueueCounters{}) {
		t.Errorf("counters %+v", c)
	}
}

// TestTapVerdicts has the kernel's end send good and bad checksums.
func TestTapVerdicts(t *testing.T) {
	if !alone(t) {
		return
	}
	_, q, k := openTap(t, PortConfig{})
	t.Logf("net_tap offers %b", q.Info().Offloads)
	check := func(what string, b []byte, may ...stack.FrameFlags) {
		t.Helper()
		copy(b, macUs)
		copy(b[6:], macKernel)
		k.send(t, b)
		until(t, what, func() bool { q.Exchange(); return len(q.Queue().Rx) == 1 })
		rx := q.Queue().Rx[0]
		if !bytes.Equal(rx.Bytes(), b) {
			t.Errorf("%s: sent %x, got %x", what, b, rx.Bytes())
		}
		for _, m := range may {
			if rx.Flags == m {
				return
			}
		}
		t.Errorf("%s: verdict %05b, may be %05b", what, rx.Flags, may)
	}
	const (
		none   = stack.FrameFlags(0)
		ipGood = stack.RxIPCsumGood
		ipBad  = stack.RxIPCsumBad
		l4Good = stack.RxL4CsumGood
		l4Bad  = stack.RxL4CsumBad
	)
	for _, p := range []packet{
		{payload: 0}, {payload: 1}, {payload: 18}, {payload: 1472}, {payload: 99, vlan: true}, {v6: true, payload: 17},
		{tcp: true, payload: 0}, {tcp: true, payload: 100}, {tcp: true, v6: true, payload: 3}, {tcp: true, v6: true, payload: 1440},
	} {
		ip := ipGood
		if p.v6 {
			ip = 0
		}
		b, l2, l3, l4 := p.build()
		check(p.String(), b, none, ip, ip|l4Good)
		b[len(b)-1] ^= 0x40
		if p.payload > 0 {
			check(p.String()+" with a wrong payload", b, none, ip, ip|l4Bad)
			b[len(b)-1] ^= 0x40
		}
		at := l2 + l3 + 6
		if l4 == 20 {
			at = l2 + l3 + 16
		}
		b[at] ^= 1
		check(p.String()+" with a wrong checksum", b, none, ip, ip|l4Bad)
		b[at] ^= 1
		if !p.v6 {
			b[l2+10] ^= 1
			check(p.String()+" with a wrong header checksum", b, none, ipBad, ipBad|l4Good, ipBad|l4Bad)
			b[l2+10] ^= 1
		}
		if !p.tcp {
			b[at], b[at+1] = 0, 0
			if p.v6 {
				check(p.String()+" without checksum", b, none, l4Bad) // RFC 8200 §8.1: must not be zero
			} else {
				check(p.String()+" without checksum", b, none, ip, ip|l4Good) // RFC 768: zero is none
			}
		}
	}
	// A fragment's checksum is not in the fragment: no verdict on it, or a good first fragment is thrown away.
	b, l2, _, _ := packet{payload: 64}.build()
	b[l2+6] = 0x20
	b[l2+10], b[l2+11] = 0, 0
	s := ^fold(add(0, b[l2:l2+20]))
	b[l2+10], b[l2+11] = byte(s>>8), byte(s)
	b[len(b)-1]++
	check("first fragment", b, none, ipGood)
	// A length beyond the frame's end.
	for _, p := range []packet{{payload: 64}, {payload: 64, v6: true}, {payload: 64, tcp: true}} {
		b, l2, _, _ := p.build()
		if p.v6 {
			b[l2+4] = 0x30
		} else {
			b[l2+2], b[l2+10], b[l2+11] = 0x30, 0, 0
			s := ^fold(add(0, b[l2:l2+20]))
			b[l2+10], b[l2+11] = byte(s>>8), byte(s)
		}
		check(p.String()+" with a length beyond the frame", b, none, ipGood, l4Bad, ipGood|l4Bad)
	}
	// Short and strange frames must not be read beyond their end.
	for _, n := range []int{14, 15, 20, 33, 34, 40} {
		b, _, _, _ := packet{payload: 64}.build()
		b = b[:n]
		copy(b, macUs)
		k.send(t, b)
		until(t, "a short frame", func() bool { q.Exchange(); return len(q.Queue().Rx) == 1 })
		if rx := q.Queue().Rx[0]; rx.Flags&l4Good != 0 {
			t.Errorf("frame of %d bytes: verdict %05b", n, rx.Flags)
		}
	}
}

func TestTapWakesASleeper(t *testing.T) {
	if !alone(t) {
		return
	}
	_, q, k := openTap(t, PortConfig{})
	if q.RxFD() < 0 {
		t.Fatal("net_tap has no descriptor to wait on")
	}
	frame, _, _, _ := packet{payload: 10}.build()
	copy(frame, macUs)
	for range 3 {
		if err := q.ArmRx(true); err != nil {
			t.Fatal(err)
		}
		if readable(t, q.RxFD(), 0) {
			t.Error("readable without a frame")
		}
		k.send(t, frame)
		if !readable(t, q.RxFD(), time.Second) {
			t.Error("not readable with a frame waiting")
		}
		if err := q.ArmRx(false); err != nil {
			t.Fatal(err)
		}
		q.Exchange()
		if n := len(q.Queue().Rx); n != 1 {
			t.Errorf("%d frames after waking, want 1: ArmRx must not read them", n)
		}
	}
}

// TestTapDoesNotLeak passes ten thousand frames each way and counts mbufs.
func TestTapDoesNotLeak(t *testing.T) {
	if !alone(t) {
		return
	}
	p, q, k := openTap(t, PortConfig{TSO: true})
	frame, _, _, _ := packet{payload: 1400}.build()
	q.Exchange()
	before, total := p.Mbufs()
	for range 10000 {
		for _, more := range []stack.FrameFlags{stack.More, 0} {
			send(t, q, frame[:700])
			q.Queue().Taken()[len(q.Queue().Taken())-1].Flags = more
		}
		k.send(t, frame)
		q.Exchange()
		k.recv(t)
	}
	q.Exchange()
	q.Exchange()
	if after, _ := p.Mbufs(); after != before {
		t.Errorf("%d of %d mbufs in use at first, %d at the end", before, total, after)
	}
	if s, err := p.Stats(); err != nil || s.TxPackets != 10000 || s.RxPackets == 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestTapMTU(t *testing.T) {
	if !alone(t) {
		return
	}
	_, q, k := openTap(t, PortConfig{MTU: 1000})
	frame, _, _, _ := packet{payload: 972}.build()
	tagged, _, _, _ := packet{payload: 972, vlan: true}.build()
	// One byte more than the MTU allows blocks nothing: it is dropped and counted.
	for _, b := range [][]byte{append(tagged, 0), frame[:13], nil, frame} {
		send(t, q, b)
	}
	q.Exchange()
	var got []byte
	until(t, "the frame behind those that cannot be sent", func() bool { got = k.recv(t); return got != nil })
	if c := q.Counters(); !bytes.Equal(got, frame) || c.DropTxBadLength != 3 {
		t.Errorf("sent %d bytes, the kernel got %d, counters %+v", len(frame), len(got), c)
	}
}

func TestTapQueues(t *testing.T) {
	if !alone(t) {
		return
	}
	p, q, k := openTap(t, PortConfig{Queues: 2})
	if n := p.Queues(); n != 2 || q.Info().Queues != 2 {
		t.Fatalf("%d queues", n)
	}
	q1, err := p.QueuePair(1)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range []*QueuePair{q, q1} {
		frame, _, _, _ := packet{payload: 20 + i}.build()
		send(t, q, frame)
		q.Exchange()
		var got []byte
		until(t, "a frame", func() bool { got = k.recv(t); return got != nil })
		if !bytes.Equal(got, frame) {
			t.Errorf("queue %d: sent %x, got %x", i, frame, got)
		}
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if l, err := p.LinkStatus(); err != nil || !l.Up {
		t.Errorf("the port is closed with a queue pair in use: %+v, %v", l, err)
	}
	if err := q1.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.LinkStatus(); err == nil {
		t.Error("the port is open with no queue pair in use")
	}
}

// TestTwoLoopsOneLcore has two loops claim the same lcore, and so the same mempool cache: it must not break.
func TestTwoLoopsOneLcore(t *testing.T) {
	if !alone(t) {
		return
	}
	cpu := firstCPU(t)
	p, q, _ := openTap(t, PortConfig{Queues: 2, Lcores: []int{cpu, cpu}, RxDesc: 64, TxDesc: 64, Mbufs: 1023})
	q1, err := p.QueuePair(1)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := p.Mbufs()
	var loops sync.WaitGroup
	for _, q := range []*QueuePair{q, q1} {
		loops.Go(func() {
			for range 3000 {
				for range 8 {
					if f := q.Queue().Alloc(); f != nil {
						f.Len = uint16(copy(f.Room(), make([]byte, 60)))
					}
				}
				q.Exchange()
			}
			q.Exchange()
		})
	}
	loops.Wait()
	if after, _ := p.Mbufs(); after != before {
		t.Errorf("%d mbufs in use at first, %d at the end", before, after)
	}
	if n := q.Counters().NoMbufForTx + q1.Counters().NoMbufForTx; n != 0 {
		t.Errorf("%d slots without mbufs", n)
	}
}
