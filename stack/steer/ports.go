package steer

// Use is what a slot does with a local port.
type Use uint8

// The uses of a port.
const (
	// TCPListening: a socket of the slot listens on it.
	TCPListening Use = iota
	// TCPForeign: the slot may have connections at it whose packets arrive at another slot.
	TCPForeign
	// TCPConnecting: the slot has connections from it, by its own choice.
	TCPConnecting
	// UDPBound: a UDP socket of the slot has it.
	UDPBound
	uses
)

const portWords = 65536 / 64

// Port tells whether a slot uses a local port.
func (m *Map) Port(s int, use Use, port uint16) bool {
	return m.slots[s].ports[use][port/64].Load()>>(port%64)&1 != 0
}

// SetPort says whether a slot uses a local port. Only the slot itself calls it.
func (m *Map) SetPort(s int, use Use, port uint16, on bool) {
	if m.Port(s, use, port) == on {
		return // the line stays clean
	}
	if w := &m.slots[s].ports[use][port/64]; on {
		w.Or(1 << (port % 64))
	} else {
		w.And(^uint64(1 << (port % 64)))
	}
}

func (m *Map) clearPorts(s int) {
	for use := range m.slots[s].ports {
		for i := range m.slots[s].ports[use] {
			m.slots[s].ports[use][i].Store(0)
		}
	}
}

// first is the lowest serving slot, else the lowest living one, that uses the port; -1 if none does.
func (m *Map) first(use Use, port uint16) int {
	other := -1
	for s := range m.Supervisor() {
		if !m.Port(s, use, port) {
			continue
		}
		if m.State(s) == Serving {
			return s
		}
		if other < 0 && m.Living(s) {
			other = s
		}
	}
	return other
}
