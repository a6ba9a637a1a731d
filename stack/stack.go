package stack

import (
	"sync"
	"sync/atomic"
)

// Stack is one instance of the network stack: the loop of one lcore, its ports and its protocol layers.
type Stack struct {
	mu       sync.Mutex
	ports    []Device
	layers   []Layer
	sleepers []Sleeper // beside the ports
	steering Steering  // nil: no other lcore
	sinks    [256]Sink
	nsinks   int
	counters Counters
	last     int64 // when the previous turn began
	worked   bool  // whether it moved or served anything
	stuck    bool  // whether a device took less than it was given

	yield atomic.Bool
	clock Clock
	rest  rest

	// Serve, if set, is the application's part of each turn; it returns whether it did something. It is
	// called by the loop without the stack's lock.
	Serve func() bool
}

// New returns a stack without ports and layers, whose clock tells the time of source (monotonic nanoseconds).
func New(source func() int64) *Stack {
	s := &Stack{nsinks: 1}
	s.clock.init(source, s.Kick)
	return s
}

// Lock and Unlock hold the loop off, for a layer's calls from application goroutines.
func (s *Stack) Lock() { s.mu.Lock() }

// Unlock ends what Lock began.
func (s *Stack) Unlock() { s.mu.Unlock() }

// Clock is the stack's clock and timers.
func (s *Stack) Clock() *Clock { return &s.clock }

// AddPort adds a device before the loop starts and returns its port number.
func (s *Stack) AddPort(d Device) int {
	s.ports = append(s.ports, d)
	return len(s.ports) - 1
}

// Port returns the device with that port number.
func (s *Stack) Port(i int) Device { return s.ports[i] }

// Ports is how many ports there are.
func (s *Stack) Ports() int { return len(s.ports) }

// AddLayer adds a protocol engine before the loop starts. Frames are offered to the layers in this order.
func (s *Stack) AddLayer(l Layer) { s.layers = append(s.layers, l) }

// AddSink registers a receiver of readiness news, before sockets are watched with it.
func (s *Stack) AddSink(k Sink) SinkID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nsinks == len(s.sinks) {
		panic("stack: more than 255 sinks")
	}
	s.sinks[s.nsinks] = k
	s.nsinks++
	return SinkID(s.nsinks - 1)
}

// Notify passes news of readiness to a sink. Layers call it.
func (s *Stack) Notify(sink SinkID, tag uint32, ev Events) {
	if sink != SinkNone {
		s.sinks[sink].Notify(tag, ev)
	}
}

// Yield has the loop let runnable goroutines go before this turn ends: a sink or layer that woke one calls it.
func (s *Stack) Yield() {
	if !s.yield.Load() {
		s.yield.Store(true)
	}
}
