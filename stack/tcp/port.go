package tcp

import (
	"strconv"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// port is what output needs to know of a port of the stack.
type port struct {
	queue    *stack.Queue
	mac      [6]byte
	offloads stack.FrameFlags
	slot     int     // bytes in one frame
	tso      [2]bool // can segment, over IPv4 and IPv6
}

// portLoop stands for the loopback queue where a port is asked for.
const portLoop = 255

// tsoMost is the longest payload of a super segment: the IP packet's length has 16 bits.
const (
	tsoMost  = 65535 - wire.IPv6Len - 60
	headMost = wire.EthernetLen + wire.IPv6Len + 60
)

func (t *TCP) port(i uint8) *port {
	if int(i) < len(t.ports) {
		return &t.ports[i]
	}
	return t.otherPort(i)
}

func (t *TCP) otherPort(i uint8) *port {
	if i == portLoop {
		return &t.loop.port
	}
	for int(i) >= len(t.ports) {
		t.ports = append(t.ports, makePort(t.st.Port(len(t.ports))))
	}
	return &t.ports[i]
}

func makePort(d stack.Device) port {
	info := d.Info()
	p := port{queue: d.Queue(), offloads: info.Offloads}
	copy(p.mac[:], info.MAC)
	const need = stack.TxTSO | stack.TxTCPCsum
	p.tso[0] = info.Offloads&(need|stack.TxIPCsum) == need|stack.TxIPCsum
	p.tso[1] = info.Offloads&need == need
	if f := p.queue.Alloc(); f != nil {
		p.slot = int(f.Cap)
		p.queue.Undo()
	}
	return p
}

// scopeOf numbers the zone of a link-local address: the name of a port's interface, or its number from 1. 0: none.
func (t *TCP) scopeOf(zone string) uint32 {
	if n, err := strconv.Atoi(zone); err == nil && n > 0 && n <= t.st.Ports() {
		return uint32(n)
	}
	for i := range t.st.Ports() {
		if t.zone(uint32(i+1)) == zone {
			return uint32(i + 1)
		}
	}
	return 0
}

// zone is the name of a scope.
func (t *TCP) zone(scope uint32) string {
	for int(scope) >= len(t.scopes) {
		t.scopes = append(t.scopes, t.names(len(t.scopes)-1))
	}
	return t.scopes[scope]
}

// loopback carries segments between sockets of this stack: what leaves in one turn arrives in the next.
type loopback struct {
	port
	queues [2]stack.Queue
	mem    slab[loopSlot]
	open   bool
	turn   int
}

const (
	loopSlots = 128
	loopMTU   = 16384
)

type loopSlot [loopMTU + wire.EthernetLen + 2]byte

func (l *loopback) init() {
	l.port.offloads = stack.TxIPCsum | stack.TxTCPCsum // nothing flips bits in here
	l.port.queue = &l.queues[0]
}

// ready takes the memory when the first connection wants loopback.
func (l *loopback) ready() bool {
	if l.open {
		return true
	}
	if l.mem.open(2*loopSlots) != nil {
		return false
	}
	for q := range l.queues {
		slots := make([]stack.Frame, loopSlots)
		for i := range slots {
			n := l.mem.alloc()
			if n == 0 {
				l.mem.close()
				return false
			}
			slots[i] = stack.MakeFrame(l.mem.at(n)[:loopMTU+wire.EthernetLen], 0)
		}
		l.queues[q] = stack.MakeQueue(slots)
	}
	l.open = true
	return true
}

func (l *loopback) close() { l.mem.close() }

// deliverLoop takes in what was sent to loopback. The answers go to the other queue.
func (t *TCP) deliverLoop() {
	l := &t.loop
	q := l.port.queue
	sent := q.Taken()
	if len(sent) == 0 {
		return
	}
	l.turn ^= 1
	l.port.queue = &l.queues[l.turn]
	for i := 0; i < len(sent); {
		n := 1
		for sent[i+n-1].Flags&stack.More != 0 && i+n < len(sent) {
			n++
		}
		for j := i; j < i+n; j++ {
			sent[j].Flags = sent[j].Flags&stack.More | stack.RxIPCsumGood | stack.RxL4CsumGood
		}
		t.deliverFrame(portLoop, sent[i:i+n])
		i += n
	}
	q.Sent(len(sent))
}
