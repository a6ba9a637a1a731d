package fstack

import (
	"errors"
	"fmt"

	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
	"github.com/fstack-go/fstack/stack/steer"
)

// attachMesh finds what the supervisor shares.
func (e *engine) attachMesh() (err error) {
	if e.mesh, err = dpdk.LookupMesh(); err != nil {
		return err
	}
	if err := e.mesh.SetEvents(e.worker.EventFDs); err != nil {
		return err
	}
	size, err := mapSize(e.worker.Slots / 2)
	if err != nil {
		return err
	}
	zone, err := dpdk.SharedZone(mapName, size)
	if err != nil {
		return err
	}
	e.owners, err = steer.At(zone)
	return err
}

// attachPorts opens the ports in this worker, each as the supervisor says.
func (e *engine) attachPorts() error {
	var ports []steer.Port
	paths := *e.worker.paths.Load()
	for i, p := range e.cfg.Ports {
		port, err := dpdk.OpenPort(dpdk.PortConfig{ID: p.ID, TSO: e.cfg.DPDK.TSO, Mesh: e.mesh})
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		e.later(port.Close)
		path := paths[i]
		q, err := port.SlotQueue(e.worker.Slot, modeOf(path))
		if err != nil {
			return fmt.Errorf("[port%d]: %w", p.ID, err)
		}
		e.ports, e.queues = append(e.ports, port), append(e.queues, q)
		ports = append(ports, steer.Port{Hander: q, MAC: macOf(port.MAC()), Key: path.Key, Hardware: path.Hardware})
	}
	e.readings = make([]reading, len(e.ports))
	var err error
	e.steerer, err = steer.NewSteerer(e.owners, e.worker.Slot, ports)
	return err
}

func modeOf(p supervise.Path) dpdk.Mode {
	if p.Queue < 0 {
		return dpdk.Via(p.Via)
	}
	return dpdk.Direct(p.Queue)
}

// setPaths changes how the ports are reached, on the loop's goroutine.
func (e *engine) setPaths(paths []supervise.Path) error {
	if len(paths) != len(e.queues) {
		return fmt.Errorf("%d paths for %d ports", len(paths), len(e.queues))
	}
	result := make(chan error, 1)
	e.stack.Clock().AfterFunc(0, func() {
		var errs []error
		for i, q := range e.queues {
			if mode := modeOf(paths[i]); mode != q.Mode() {
				q.Flush() // what is on its way goes by the old path
				errs = append(errs, q.SetMode(mode))
			}
		}
		e.worker.paths.Store(&paths)
		result <- errors.Join(errs...)
	})
	return <-result
}
