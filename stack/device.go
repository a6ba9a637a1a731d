package stack

import "net"

// Device is one queue pair of a network device, as one loop sees it: a place to swap a burst of frames to
// send for a burst of received ones. Only the loop calls it. DPDK ports, simulated wires and in-memory
// generators implement it; devices nest (tracer, fault injector).
type Device interface {
	// Queue is where the frames are; it is the same for the life of the device.
	Queue() *Queue
	// Exchange sends the frames taken from the queue, gives back those received last, and receives a burst.
	// Frames that the device would not take stay in the queue, in order, for the next Exchange.
	Exchange()
	// Flush sends only; received frames stay valid.
	Flush()
	// Info tells what the device is and can do.
	Info() DeviceInfo
	// Close gives the device back.
	Close() error
}

// Sleeper is a Device that can wake a sleeping loop.
type Sleeper interface {
	// RxFD is a descriptor that polls readable while a frame may wait and the interrupt is armed; -1: none.
	RxFD() int
	// ArmRx switches the receive interrupt on (before the loop sleeps) or off (after it woke).
	ArmRx(on bool) error
}

// DeviceInfo describes a device. Offloads holds the Tx flags it can do and the Rx verdicts it gives.
type DeviceInfo struct {
	Name     string
	Driver   string
	MAC      net.HardwareAddr
	MTU      int // bytes of IP packet
	Offloads FrameFlags
	Socket   int // NUMA node, -1: any
	Queue    int // index of the queue pair
	Queues   int // how many the device has in use
}

// Queue holds the frames that a loop and a device exchange.
type Queue struct {
	// Rx are the frames that the last Exchange received, valid until the next one. A frame in several pieces
	// stands in neighbouring slots, all but the last flagged More.
	Rx []Frame
	tx []Frame
	n  int
}

// MakeQueue returns a queue whose slots for sending are tx, each with room for one frame.
func MakeQueue(tx []Frame) Queue { return Queue{tx: tx} }

// Alloc takes the next empty frame for sending, or returns nil when there is none until the next Exchange
// or Flush. The caller fills Room, then sets Len, before it allocates again; Flags is zero.
func (q *Queue) Alloc() *Frame {
	if q.n == len(q.tx) {
		return nil
	}
	f := &q.tx[q.n]
	q.n++
	f.Flags = 0
	return f
}

// Undo gives back the frame taken last.
func (q *Queue) Undo() { q.n-- }

// Free is the number of frames that Alloc can still give.
func (q *Queue) Free() int { return len(q.tx) - q.n }

// Taken are the frames to send, for the device.
func (q *Queue) Taken() []Frame { return q.tx[:q.n] }

// Sent tells the queue, from the device, that the first n taken frames left and that their slots have fresh
// memory behind the kept ones: the device has moved the others to the front.
func (q *Queue) Sent(n int) { q.n -= n }

// Limit tells the queue, from the device, that only the first n slots have memory now: a pool may run dry.
func (q *Queue) Limit(n int) { q.tx = q.tx[:n] }
