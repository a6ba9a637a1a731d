// Package memory is a link within one process for the benchmarks: what one end sends is what the other receives.
//
//	loop A ─► End ─► frames, moved and not copied ─► End ─► loop B
//
// Both ends share a pool of frames, as two ports do on one host, and belong to one goroutine. Checksums and
// segmentation are left out as on the kernel's loopback and veth: a frame that asks for a checksum arrives as found
// good, and one that asks for segmentation arrives whole.
package memory

import (
	"fmt"

	"github.com/fstack-go/fstack/stack"
)

const (
	burst  = 32   // frames received by one exchange
	slots  = 256  // frames that can wait to be sent
	most   = 2048 // frames on their way to an end
	pieces = 64   // of one frame, at the most
	room   = 18   // Ethernet and a VLAN tag
)

// Offloads are what an End does, but for the cuts of stack.TxTSO: New's argument says whether that is among them.
const Offloads = stack.TxIPCsum | stack.TxTCPCsum | stack.TxUDPCsum

// End is one end of a link: a stack.Device. Close has nothing to give back.
type End struct {
	index    int
	mtu      int
	offloads stack.FrameFlags
	queue    stack.Queue
	peer     *End
	pool     *[]stack.Frame
	rx       [burst + pieces]stack.Frame
	inbox    [most]stack.Frame // a ring: what the peer has sent
	head     uint32
	tail     uint32
}

var _ stack.Device = (*End)(nil)

// New returns the ends of a link. With tso they take frames of more than mtu bytes whole, in pieces of mtu bytes.
func New(mtu int, tso bool) [2]*End {
	pool := new([]stack.Frame)
	frame := func() stack.Frame { return stack.MakeFrame(make([]byte, mtu+room), 0) }
	for range 2 * (most + burst + pieces) {
		*pool = append(*pool, frame())
	}
	var ends [2]*End
	for i := range ends {
		e := &End{index: i, mtu: mtu, offloads: Offloads, pool: pool}
		if tso {
			e.offloads |= stack.TxTSO
		}
		tx := make([]stack.Frame, slots)
		for j := range tx {
			tx[j] = frame()
		}
		e.queue = stack.MakeQueue(tx)
		ends[i] = e
	}
	ends[0].peer, ends[1].peer = ends[1], ends[0]
	return ends
}

// Queue implements stack.Device.
func (e *End) Queue() *stack.Queue { return &e.queue }

// Exchange implements stack.Device.
func (e *End) Exchange() {
	e.Flush()
	*e.pool = append(*e.pool, e.queue.Rx...)
	n := 0
	for e.head != e.tail && (n < burst || e.rx[n-1].Flags&stack.More != 0) { // a frame's pieces stay together
		e.rx[n] = e.inbox[e.head%most]
		e.head++
		n++
	}
	e.queue.Rx = e.rx[:n]
}

// Flush implements stack.Device.
func (e *End) Flush() {
	taken, to, n := e.queue.Taken(), e.peer, 0
	for n < len(taken) {
		whole := 1
		for taken[n+whole-1].Flags&stack.More != 0 {
			whole++
		}
		if int(to.tail-to.head)+whole > most || len(*e.pool) < whole {
			break
		}
		for ; whole > 0; whole-- {
			f := &to.inbox[to.tail%most]
			*f = taken[n]
			f.Flags = arrived(f.Flags)
			last := len(*e.pool) - 1
			taken[n], *e.pool = (*e.pool)[last], (*e.pool)[:last]
			to.tail++
			n++
		}
	}
	for i := n; i < len(taken); i++ { // what is left goes to the front
		taken[i-n], taken[i] = taken[i], taken[i-n]
	}
	e.queue.Sent(n)
}

// arrived are the flags of a received frame that was sent with f.
func arrived(f stack.FrameFlags) (rx stack.FrameFlags) {
	rx = f & stack.More
	if f&(stack.TxTCPCsum|stack.TxUDPCsum) != 0 {
		rx |= stack.RxL4CsumGood
	}
	if f&stack.TxIPCsum != 0 {
		rx |= stack.RxIPCsumGood
	}
	return rx
}

// Info implements stack.Device.
func (e *End) Info() stack.DeviceInfo {
	return stack.DeviceInfo{
		Name: fmt.Sprintf("memory%d", e.index), Driver: "memory", MAC: []byte{2, 0, 0, 0, 0, byte(e.index + 1)}, MTU: e.mtu,
		Offloads: e.offloads, Socket: -1, Queues: 1,
	}
}

// Close implements stack.Device.
func (e *End) Close() error { return nil }
