package steer

import (
	"fmt"
	"sync/atomic"
)

// State is what the process of a slot is doing.
type State uint32

// The states of a slot.
const (
	Free     State = iota // no process
	Starting              // takes no new connections yet, and has only those that it opens itself
	Serving               // takes new connections
	Draining              // goes on with the connections that it has
	Dead                  // ended without leave, and its memory was not reclaimed yet
)

var stateNames = [...]string{Free: "free", Starting: "starting", Serving: "serving", Draining: "draining", Dead: "dead"}

// String is the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint32(s))
}

// Slot describes the process of a slot.
type Slot struct {
	State      State
	PID        int
	Lcore      int
	Generation int
}

// Slot is a slot as it is now.
func (m *Map) Slot(s int) Slot {
	x := &m.slots[s]
	return Slot{State(x.state.Load()), int(x.pid.Load()), int(x.lcore.Load()), int(x.generation.Load())}
}

// SetSlot describes a slot's process. Only the supervisor calls it.
func (m *Map) SetSlot(s int, v Slot) {
	x := &m.slots[s]
	x.pid.Store(int32(v.PID))
	x.lcore.Store(int32(v.Lcore))
	x.generation.Store(uint32(v.Generation))
	x.state.Store(uint32(v.State))
}

// State is a slot's state.
func (m *Map) State(s int) State { return State(m.slots[s].state.Load()) }

// SetState changes a slot's state and nothing else: see Join and Leave. Only the supervisor calls it.
func (m *Map) SetState(s int, v State) { m.slots[s].state.Store(uint32(v)) }

// Living tells whether a slot has a process that may have sockets: starting, serving or draining.
func (m *Map) Living(s int) bool {
	v := m.State(s)
	return v == Starting || v == Serving || v == Draining
}

// Asleep is 1 while the slot's process sleeps and wants to be woken. It has a cache line of its own.
func (m *Map) Asleep(s int) *atomic.Uint32 { return &m.slots[s].asleep }

// Turns counts the turns of the slot's loop: that it moves says that the worker is alive. It has a cache line of its own.
func (m *Map) Turns(s int) *atomic.Uint64 { return &m.slots[s].turns }
