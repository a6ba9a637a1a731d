package stack

// Steering sends received frames on to the lcore whose stack owns them. A stack that runs alone has none.
type Steering interface {
	// Stray is asked about a received frame that belongs to no connection of this stack. True: it is another lcore's
	// and was handed over, or could not be and was counted; this stack has no more to do with it. It may also pass
	// copies on and return false. The loop calls it with the stack's lock held; the frame is valid during the call.
	Stray(port int, frame []Frame) bool
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

// Stray asks the steering about a frame that belongs to no connection of this stack. A layer that looks connections up
// calls it before it answers or opens one; frames that no such layer takes are asked about before the last layer.
func (s *Stack) Stray(port int, frame []Frame) bool {
	return s.steering != nil && frame[0].Flags&RxHanded == 0 && s.steering.Stray(port, frame)
}
