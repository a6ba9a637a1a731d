package fstack

import (
	"fmt"
	"os"

	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
)

// fabric is what workers share: memory, ports and their queues. The supervisor holds its mutex in each call.
type fabric struct{ s *supervisor }

// startPrimary starts EAL on hugepages.
func (s *supervisor) startPrimary() error {
	if err := dpdk.Init(ealConfig(s.cfg, s.log, s.cpu)); err != nil {
		return fmt.Errorf("the processes of several lcores share hugepages: %w", err)
	}
	s.later(dpdk.Cleanup)
	return nil
}

func (s *supervisor) openShared() error {
	s.fabric = fabric{s}
	d := &s.cfg.DPDK
	for _, p := range s.cfg.Ports {
		port, err := dpdk.OpenPort(dpdk.PortConfig{
			ID: p.ID, Queues: len(d.Lcores), MTU: p.MTU, Promiscuous: d.Promiscuous, NoChecksum: d.TxCsumSkip, TSO: d.TSO,
		})
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		s.later(port.Close)
		s.ports = append(s.ports, port)
	}
	return nil
}

func (f fabric) setEvents([]*os.File) error { return nil }
func (f fabric) starting(*slot) error       { return nil }
func (f fabric) opening(x *slot) ([]supervise.Path, error) {
	return []supervise.Path{{Queue: x.Index}}, nil
}
func (f fabric) join(*slot)                                             {}
func (f fabric) leave(*slot, bool)                                      {}
func (f fabric) reclaim(*slot)                                          {}
func (f fabric) unmind(*slot)                                           {}
func (f fabric) mbufs(*slot) (int, int)                                 { return 0, 0 }
func (f fabric) listens(*slot, *slot) bool                              { return true }
func (f fabric) exchange(a, b *slot) (x, y []supervise.Path, err error) { return nil, nil, nil }
func (f fabric) released(*slot) error                                   { return nil }
func (f fabric) settle(a, b []*slot)                                    {}

func (e *engine) attachPorts() error {
	for _, p := range e.cfg.Ports {
		port, err := dpdk.OpenPort(dpdk.PortConfig{ID: p.ID, TSO: e.cfg.DPDK.TSO})
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		e.later(port.Close)
		q, err := port.QueuePair(e.worker.Index)
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		e.ports, e.queues = append(e.ports, port), append(e.queues, q)
	}
	e.readings = make([]reading, len(e.ports))
	return nil
}

func (e *engine) setPaths([]supervise.Path) error { return nil }
