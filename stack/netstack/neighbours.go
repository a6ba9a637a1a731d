package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// neighbours hears of changes in gVisor's neighbour tables, with their locks held.
type neighbours struct{ n *Netstack }

var _ gstack.NUDDispatcher = neighbours{}

func (x neighbours) OnNeighborAdded(tcpip.NICID, gstack.NeighborEntry)   { x.n.changes.Add(1) }
func (x neighbours) OnNeighborChanged(tcpip.NICID, gstack.NeighborEntry) { x.n.changes.Add(1) }
func (x neighbours) OnNeighborRemoved(tcpip.NICID, gstack.NeighborEntry) { x.n.changes.Add(1) }
