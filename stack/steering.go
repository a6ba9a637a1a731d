package stack

import "net/netip"

// Steering sends received frames on to the lcore whose stack owns them. A stack that runs alone has none. All of it is
// called with the stack's lock held, and each call is answered at once: true means that the frame is another lcore's and
// was handed over, or could not be and was counted; this stack has no more to do with it. Copies for others may be
// passed on with false, too.
type Steering interface {
	// Steer is asked by the loop about a frame that the layers before the last one left. It is valid during the call.
	Steer(port int, frame []Frame) bool
	// Stray is asked by a layer that has looked for the frame's connection and found none.
	Stray(port int, frame []Frame) bool
	// StrayDatagram is Stray for an IP datagram without options that lies in no received frame: it was unwrapped or
	// reassembled. transport is the transport header and what follows it, up to 65,535 bytes.
	StrayDatagram(port int, proto uint8, src, dst netip.Addr, transport []byte) bool
}

// Hander is a Device that can pass frames on to other lcores' stacks, each known by its slot: see RxHanded.
// Only the loop calls it.
type Hander interface {
	// Hand passes a received frame, all its pieces, to a slot, by pointer: its bytes stay as they are from now on.
	// The other side finds it in its queue of the same port, with RxHanded and those flags set. False: the ring is
	// full or nobody is there; the device has counted it.
	Hand(frame []Frame, to int, flags FrameFlags) bool
	// Inject is Hand for a frame that does not lie in a received one; b is copied.
	Inject(b []byte, to int, flags FrameFlags) bool
}

// SetSteering sets who steers, before the loop starts.
func (s *Stack) SetSteering(x Steering) { s.steering = x }

// Steered tells whether other lcores share the ports.
func (s *Stack) Steered() bool { return s.steering != nil }

// Stray asks the steering about a frame that belongs to no connection of this stack. A layer that looks connections up
// calls it before it answers or opens one.
func (s *Stack) Stray(port int, frame []Frame) bool {
	return s.steering != nil && s.steering.Stray(port, frame)
}

// StrayDatagram is Stray for a datagram that lies in no received frame.
func (s *Stack) StrayDatagram(port int, proto uint8, src, dst netip.Addr, transport []byte) bool {
	return s.steering != nil && s.steering.StrayDatagram(port, proto, src, dst, transport)
}
