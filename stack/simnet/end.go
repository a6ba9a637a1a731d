package simnet

import (
	"container/heap"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

const (
	burst  = 32  // frames received by one exchange
	slots  = 256 // frames that can wait to be sent
	header = 18  // Ethernet and one VLAN tag
)

// End is one end of a wire: a stack.Device. It can wake a sleeping loop when the wire has no latency.
type End struct {
	wire  *Wire
	index int
	queue stack.Queue
	rx    [burst]stack.Frame
	rxBuf [burst][]byte
	event int // eventfd, -1 until RxFD asks for it
}

var (
	_ stack.Device  = (*End)(nil)
	_ stack.Sleeper = (*End)(nil)
)

func newEnd(w *Wire, index int) *End {
	e := &End{wire: w, index: index, event: -1}
	size := w.cfg.MTU + header
	tx := make([]stack.Frame, slots)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, size), 0)
	}
	for i := range e.rxBuf {
		e.rxBuf[i] = make([]byte, size)
	}
	e.queue = stack.MakeQueue(tx)
	return e
}

// Queue implements stack.Device.
func (e *End) Queue() *stack.Queue { return &e.queue }

// Exchange implements stack.Device.
func (e *End) Exchange() {
	e.Flush()
	w := e.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	now, n := w.now(), 0
	for in := &w.dirs[e.index].flight; n < burst && len(*in) > 0 && (*in)[0].at <= now; n++ {
		f := heap.Pop(in).(flight)
		e.rx[n] = stack.MakeFrame(e.rxBuf[n][:copy(e.rxBuf[n], f.frame)], 0)
		e.rx[n].Flags = f.flags
	}
	e.queue.Rx = e.rx[:n]
	// What is left, or arrives later, wakes a sleeper; at once is early enough for a test's real clock.
	if len(w.dirs[e.index].flight) > 0 {
		e.wake()
	}
}

// Flush implements stack.Device.
func (e *End) Flush() {
	w := e.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := e.queue.Taken()
	for i := range taken {
		f := &taken[i]
		var verdict stack.FrameFlags
		if f.Flags&(stack.TxTCPCsum|stack.TxUDPCsum) != 0 {
			verdict |= stack.RxL4CsumGood
		}
		if f.Flags&stack.TxIPCsum != 0 {
			verdict |= stack.RxIPCsumGood
		}
		w.send(e.index, f.Bytes(), verdict)
	}
	if len(taken) > 0 {
		e.queue.Sent(len(taken))
		w.ends[1-e.index].wake()
	}
}

// Info implements stack.Device.
func (e *End) Info() stack.DeviceInfo {
	return stack.DeviceInfo{
		Name: fmt.Sprintf("sim%d", e.index), Driver: "simnet", MAC: macs[e.index], MTU: e.wire.cfg.MTU,
		Offloads: e.wire.cfg.Offload, Socket: -1, Queues: 1,
	}
}

// RxFD implements stack.Sleeper.
func (e *End) RxFD() int {
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	if e.event < 0 {
		if fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
			e.event = fd
		}
	}
	return e.event
}

// ArmRx implements stack.Sleeper.
func (e *End) ArmRx(on bool) error {
	if !on {
		var count [8]byte
		unix.Read(e.event, count[:])
	}
	return nil
}

func (e *End) wake() {
	if e.event >= 0 {
		one := [8]byte{1}
		unix.Write(e.event, one[:])
	}
}

// Close implements stack.Device.
func (e *End) Close() error {
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	if e.event >= 0 {
		unix.Close(e.event)
		e.event = -1
	}
	return nil
}
