package fstack

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/fstack-go/fstack/dpdk"
	"github.com/fstack-go/fstack/internal/supervise"
	"github.com/fstack-go/fstack/stack/steer"
)

// fabric is what the supervisor and its workers share: ports and their queues, the mesh of rings, and the map of who
// owns what. All but wait for queues is called with the supervisor's mutex held.
type fabric struct {
	*supervisor
	mesh    *dpdk.Mesh
	owners  *steer.Map
	shared  []sharedPort // as the config's ports
	minders map[int]*minder
}

// sharedPort is a port that workers share.
type sharedPort struct {
	port     *dpdk.Port
	pollers  []int // indexes of the workers that poll queue 0, 1 …; empty: the supervisor polls queue 0
	key      []byte
	hardware bool // the device spreads flows by the map
	reta     int  // entries of its redirection table
}

// mapName is the zone that the map lies in, with room for as many buckets as there may be.
const (
	mapName     = "steering"
	bucketsMost = 512
)

func mapSize(lcores int) (int, error) { return steer.Size(lcores, bucketsMost) }

// startPrimary starts EAL on hugepages.
func (s *supervisor) startPrimary() error {
	c := ealConfig(s.cfg, s.log, s.cpu)
	if c.BaseVirtaddr == 0 {
		c.BaseVirtaddr = supervise.FreeBase()
	}
	if err := dpdk.Init(c); err != nil {
		return fmt.Errorf("the processes of several lcores share hugepages: %w", err)
	}
	s.later(dpdk.Cleanup)
	return nil
}

// openShared makes what is shared.
func (s *supervisor) openShared() (err error) {
	n := len(s.cfg.DPDK.Lcores)
	f := &fabric{supervisor: s, minders: map[int]*minder{}}
	s.fabric = f
	if f.mesh, err = dpdk.NewMesh(dpdk.MeshConfig{Slots: 2*n + 1}); err != nil {
		return err
	}
	buckets := bucketsMost
	for i := range s.cfg.Ports {
		p, err := f.openPort(i)
		if err != nil {
			return err
		}
		if p.hardware {
			buckets = min(buckets, p.reta)
		}
	}
	size, err := mapSize(n)
	if err != nil {
		return err
	}
	zone, err := dpdk.SharedZone(mapName, size)
	if err != nil {
		return err
	}
	f.owners, err = steer.Make(zone, n, buckets)
	return err
}

// openPort opens a port with a queue for each worker that its lcore_list names, or as many as the device has.
func (f *fabric) openPort(i int) (*sharedPort, error) {
	d, p := &f.cfg.DPDK, &f.cfg.Ports[i]
	s := sharedPort{}
	for index, l := range d.Lcores {
		if slices.Contains(p.Lcores, l) {
			s.pollers = append(s.pollers, index)
		}
	}
	wanted := len(s.pollers)
	var err error
	for queues := wanted; queues > 0; queues-- {
		var lcores []int
		for _, index := range s.pollers[:queues] {
			lcores = append(lcores, d.CPU(d.Lcores[index]))
		}
		s.pollers = s.pollers[:queues]
		s.port, err = dpdk.OpenPort(dpdk.PortConfig{
			ID: p.ID, Queues: queues, MTU: p.MTU, Promiscuous: d.Promiscuous, NoChecksum: d.TxCsumSkip, TSO: d.TSO,
			SymmetricRSS: d.SymmetricRSS, Lcores: lcores, Mesh: f.mesh,
		})
		var refused *dpdk.Error
		if !errors.As(err, &refused) || refused.Op != "queues" { // it has not so many
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("[port%d]: %w", p.ID, err)
	}
	f.later(s.port.Close)
	f.ports = append(f.ports, s.port)
	if ok, why := s.port.SecondaryPolls(); !ok {
		f.log.Info("the supervisor polls the port for all workers", "port", p.ID, "because", why)
		s.pollers = nil
	} else if len(s.pollers) < wanted {
		f.log.Info("the device has fewer queues than workers", "port", p.ID, "queues", len(s.pollers), "workers", wanted)
	}
	rss, err := s.port.RSS()
	if err != nil {
		return nil, fmt.Errorf("[port%d]: %w", p.ID, err)
	}
	s.key, s.reta = rss.Key, len(rss.RETA)
	s.hardware = rss.Trusted && len(s.pollers) == len(d.Lcores) && s.reta >= len(d.Lcores)
	if !s.hardware {
		f.log.Info("flows are spread by software", "port", p.ID, "because", rss.Why)
	}
	f.shared = append(f.shared, s)
	return &f.shared[len(f.shared)-1], nil
}

// setEvents makes the slots' eventfds known, and starts to poll what no worker can.
func (f *fabric) setEvents(files []*os.File) error {
	var fds []int
	for _, e := range files {
		fds = append(fds, int(e.Fd()))
	}
	if err := f.mesh.SetEvents(fds); err != nil {
		return err
	}
	f.later(func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		var errs []error
		for slot := range f.minders {
			errs = append(errs, f.unmindSlot(slot))
		}
		return errors.Join(errs...)
	})
	return f.mind(f.mesh.Slots()-1, func(p *sharedPort) int {
		if len(p.pollers) == 0 {
			return 0
		}
		return -1
	})
}

// queueOf is the queue of a port that a worker polls, -1 if others do.
func (p *sharedPort) queueOf(x *slot) int { return slices.Index(p.pollers, x.Index) }

// via is the slot by way of which a worker without a queue reaches a port: among those of a generation.
func (f *fabric) via(p *sharedPort, x *slot, half int) int {
	if len(p.pollers) == 0 {
		return f.mesh.Slots() - 1
	}
	return half*len(f.slots)/2 + p.pollers[x.Index%len(p.pollers)]
}

// starting notes that a worker is on its way.
func (f *fabric) starting(x *slot) {
	f.owners.SetSlot(x.Slot, steer.Slot{State: steer.Starting, PID: x.proc.PID, Lcore: x.Lcore, Generation: x.Generation})
}

// opening says how a worker that is about to open its queues reaches the ports: of an upgrade, by way of the worker that
// it replaces.
func (f *fabric) opening(x *slot) ([]supervise.Path, error) {
	if err := f.unmindSlot(x.Slot); err != nil {
		return nil, err
	}
	return f.paths(x, func(p *sharedPort) (queue, via int) {
		switch queue := p.queueOf(x); {
		case queue < 0:
			return -1, f.via(p, x, f.half)
		case x.up != nil:
			return -1, f.other(x).Slot
		default:
			return queue, -1
		}
	})
}

// other is the slot of the same lcore in the other generation.
func (f *fabric) other(x *slot) *slot { return f.slots[(x.Slot+len(f.slots)/2)%len(f.slots)] }

func (f *fabric) paths(x *slot, choose func(p *sharedPort) (queue, via int)) (paths []supervise.Path, err error) {
	for i := range f.shared {
		p := &f.shared[i]
		queue, via := choose(p)
		if queue < 0 {
			if err := p.port.MakeSlotPool(x.Slot); err != nil {
				return nil, fmt.Errorf("[port%d]: memory for slot %d: %w", p.port.ID(), x.Slot, err)
			}
		}
		paths = append(paths, supervise.Path{Queue: queue, Via: via, Key: p.key, Hardware: p.hardware})
	}
	return paths, nil
}

// join gives workers their share of the flows.
func (f *fabric) join(xs ...*slot) {
	var slots []int
	for _, x := range xs {
		f.owners.SetSlot(x.Slot, steer.Slot{State: steer.Starting, PID: x.proc.PID, Lcore: x.Lcore, Generation: x.Generation})
		slots = append(slots, x.Slot)
	}
	f.owners.Join(slots...)
	f.setRETA()
}

// leave gives the flows of a worker that is gone to the others.
func (f *fabric) leave(x *slot) {
	f.mesh.Down(x.Slot)
	f.owners.Leave(x.Slot, steer.Dead)
	f.setRETA()
}

// setRETA has the devices spread flows as the map says.
func (f *fabric) setRETA() {
	for _, p := range f.shared {
		if !p.hardware {
			continue
		}
		reta, err := f.owners.RETA(p.reta)
		if err == nil {
			err = p.port.SetRETA(reta)
		}
		if err != nil {
			f.log.Error("the device's redirection table does not change", "port", p.port.ID(), "because", err)
		}
	}
}

// reclaim takes back what a worker that is gone had, and polls its queues if mind says so. With an error, because another
// process stands still in the midst of something, it may be called again, and goes on.
func (f *fabric) reclaim(x *slot, mind bool) error {
	start := time.Now()
	if x.had == nil {
		x.had = map[*dpdk.Port]bool{}
		for i := range f.shared {
			p := &f.shared[i]
			if q := p.queueOf(x); q >= 0 && p.port.Owner(q) == x.Slot {
				x.had[p.port] = true
			}
		}
	}
	r, err := f.mesh.Reclaim(x.Slot)
	log := f.log.With("slot", x.Slot, "lcore", x.Lcore, "mbufs returned", r.Returned, "swept", r.Swept, "kept", r.Kept, "in driver", r.InDriver, "in", time.Since(start).String())
	if r.Restarted > 0 {
		log.Warn("the worker ended in a driver's code; the device was started anew", "ports", r.Restarted)
		f.setRETA()
		if _, err := supervise.ShareEvents(f.eventCount()); err != nil {
			f.log.Error("workers will not sleep on their queues", "because", err)
		}
	}
	if err != nil {
		return err
	}
	log.Debug("memory of a worker is reclaimed")
	had := x.had
	x.had = nil
	if !mind || len(had) == 0 {
		return nil
	}
	if err := f.mind(x.Slot, func(p *sharedPort) int {
		if had[p.port] {
			return p.queueOf(x)
		}
		return -1
	}); err != nil {
		f.log.Error("queues of a worker that is gone are not polled", "slot", x.Slot, "lcore", x.Lcore, "because", err)
	}
	return nil
}

// handOver says how two workers of the same lcore reach the ports when the queues have gone from one to the other.
func (f *fabric) handOver(from, to *slot) (give, take []supervise.Path, err error) {
	half := to.Slot / (len(f.slots) / 2)
	give, err = f.paths(from, func(p *sharedPort) (int, int) {
		if p.queueOf(from) >= 0 {
			return -1, to.Slot
		}
		return -1, f.via(p, from, 1-half) // as before, until all have changed: see settle
	})
	if err == nil {
		take, err = f.paths(to, func(p *sharedPort) (int, int) {
			if q := p.queueOf(to); q >= 0 {
				return q, -1
			}
			return -1, f.via(p, to, 1-half)
		})
	}
	return give, take, err
}

// settled is how a worker reaches the ports when a generation has all queues.
func (f *fabric) settled(x *slot, half int) ([]supervise.Path, error) {
	return f.paths(x, func(p *sharedPort) (int, int) {
		switch queue := p.queueOf(x); {
		case queue < 0:
			return -1, f.via(p, x, half)
		case x.Slot/(len(f.slots)/2) == half:
			return queue, -1
		default:
			return -1, f.other(x).Slot
		}
	})
}

// releasedWithin is how long a worker that gives its queues up may take until the last frame has left them.
const releasedWithin = 3 * time.Second

// released waits until a worker polls no queue any more. It is called without the mutex.
func (f *fabric) released(x *slot) error {
	for i := range f.shared {
		p := &f.shared[i]
		for q, start := p.queueOf(x), time.Now(); q >= 0 && p.port.Owner(q) == x.Slot; time.Sleep(200 * time.Microsecond) {
			if time.Since(start) > releasedWithin {
				return fmt.Errorf("[port%d]: slot %d has not given up queue %d within %v", p.port.ID(), x.Slot, q, releasedWithin)
			}
		}
	}
	return nil
}

// udpServices are the UDP ports below those that clients get.
const udpServices = 10000

// listens tells whether a worker listens on all that another one listens on.
func (f *fabric) listens(x, as *slot) bool {
	for port := range 1 << 16 {
		p := uint16(port)
		if f.owners.Port(as.Slot, steer.TCPListening, p) && !f.owners.Port(x.Slot, steer.TCPListening, p) ||
			port < udpServices && f.owners.Port(as.Slot, steer.UDPBound, p) && !f.owners.Port(x.Slot, steer.UDPBound, p) {
			return false
		}
	}
	return true
}

// mbufs counts what a worker has.
func (f *fabric) mbufs(x *slot) (inUse, total int) {
	for _, p := range f.shared {
		u, t := p.port.SlotMbufs(x.Slot)
		inUse, total = inUse+u, total+t
	}
	return inUse, total
}
