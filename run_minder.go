package fstack

import (
	"errors"
	"net"
	"time"

	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/steer"
)

// minder polls queues in the supervisor, and hands all frames on to workers: of a worker that is gone, until it is
// back; and of devices that no worker can poll.
type minder struct {
	stop, stopped chan struct{}
	stack         *stack.Stack
	queues        []*dpdk.QueuePair
	err           error
}

// handOn is the only layer of a minder's stack.
type handOn struct{ *steer.Steerer }

func (l handOn) Deliver(port int, frame []stack.Frame) bool { return l.Steer(port, frame) }
func (handOn) Advance(int64)                                {}
func (handOn) Exhale(int64) int                             { return 0 }
func (handOn) Next() int64                                  { return stack.Never }
func (handOn) Pending() bool                                { return false }

// mind polls queues for a slot, those that queue names by port; -1: none.
func (f *fabric) mind(slot int, queue func(*sharedPort) int) error {
	epoch := time.Now()
	m := &minder{stop: make(chan struct{}), stopped: make(chan struct{})}
	m.stack = stack.New(func() int64 { return int64(time.Since(epoch)) })
	var ports []steer.Port
	for i := range f.shared {
		p := &f.shared[i]
		k := queue(p)
		if k < 0 {
			continue
		}
		q, err := p.port.SlotQueue(slot, dpdk.Direct(k))
		if err != nil {
			return errors.Join(err, m.close())
		}
		m.queues = append(m.queues, q)
		m.stack.AddPort(q)
		ports = append(ports, steer.Port{Hander: q, MAC: macOf(p.port.MAC()), Key: p.key, Hardware: p.hardware})
	}
	if len(ports) == 0 {
		return nil
	}
	x, err := steer.NewSteerer(f.owners, f.owners.Supervisor(), ports)
	if err != nil {
		return errors.Join(err, m.close())
	}
	m.stack.AddLayer(handOn{x})
	m.stack.AddSleeper(f.mesh.Sleeper(slot))
	f.minders[slot] = m
	go func() {
		defer close(m.stopped)
		m.err = m.stack.Loop(stack.IdleAdaptive, m.stop)
	}()
	return nil
}

// unmindSlot ends to poll for a slot.
func (f *fabric) unmindSlot(slot int) error {
	m := f.minders[slot]
	if m == nil {
		return nil
	}
	delete(f.minders, slot)
	close(m.stop)
	m.stack.Kick()
	<-m.stopped
	return errors.Join(m.err, m.close())
}

func (m *minder) close() error {
	var errs []error
	for _, q := range m.queues {
		errs = append(errs, q.Close())
	}
	return errors.Join(errs...)
}

func macOf(a net.HardwareAddr) (mac [6]byte) {
	copy(mac[:], a)
	return mac
}
