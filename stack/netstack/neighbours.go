package netstack

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/fstack-go/fstack/stack"
)

// neighbours mirrors gVisor's neighbour tables, so that a lookup for another layer's TCP takes none of gVisor's locks
// and is told of failures, which gVisor forgets when it is asked again. gVisor tells of each change, with its locks
// held.
type neighbours struct {
	n    *Netstack
	mu   sync.Mutex
	seen map[neighbourKey]neighbour // no more than gVisor has: 512 for each port and protocol, and the static ones
}

type neighbourKey struct {
	nic  tcpip.NICID
	addr tcpip.Address
}

type neighbour struct {
	mac       [6]byte
	state     gstack.NeighborState
	asked     bool  // by a Resolve, since Changes last moved for it
	failed    int64 // when it did not answer
	confirmed int64 // when Confirm was last passed on
}

var _ gstack.NUDDispatcher = (*neighbours)(nil)

const (
	failedHold   = 1e9 // ns for which a neighbour that did not answer is not asked again
	confirmEvery = 5e9 // ns between two confirmations passed on: less than the least of gVisor's reachable times
)

// OnNeighborAdded implements gstack.NUDDispatcher.
func (x *neighbours) OnNeighborAdded(nic tcpip.NICID, e gstack.NeighborEntry) { x.changed(nic, e) }

// OnNeighborChanged implements gstack.NUDDispatcher.
func (x *neighbours) OnNeighborChanged(nic tcpip.NICID, e gstack.NeighborEntry) { x.changed(nic, e) }

// OnNeighborRemoved implements gstack.NUDDispatcher.
func (x *neighbours) OnNeighborRemoved(nic tcpip.NICID, e gstack.NeighborEntry) {
	k := neighbourKey{nic, e.Addr}
	x.mu.Lock()
	asked := x.seen[k].asked
	delete(x.seen, k)
	x.mu.Unlock()
	if asked {
		x.n.changes.Add(1)
	}
}

// changed takes over an entry. Those who have cached the link address must ask again if it is another one, if there is
// none any more, or if it became stale: only a Resolve has gVisor probe it (RFC 4861 §7.3.3). Of a neighbour that nobody
// has asked for there is no news: a flood of ARP from strangers must not have everybody ask again.
func (x *neighbours) changed(nic tcpip.NICID, e gstack.NeighborEntry) {
	k := neighbourKey{nic, e.Addr}
	x.mu.Lock()
	old := x.seen[k]
	now := neighbour{state: e.State, asked: old.asked, confirmed: old.confirmed, failed: old.failed}
	copy(now.mac[:], e.LinkAddr)
	if e.State == gstack.Unreachable {
		now.failed = x.n.st.Clock().Now()
	}
	news := now.mac != old.mac || e.State == gstack.Stale || e.State == gstack.Unreachable || !usable(old.state) && usable(e.State)
	if news = news && old.asked; news {
		now.asked = false
	}
	x.seen[k] = now
	x.mu.Unlock()
	if news {
		x.n.changes.Add(1)
	}
}

func usable(s gstack.NeighborState) bool {
	return s == gstack.Reachable || s == gstack.Stale || s == gstack.Delay || s == gstack.Probe || s == gstack.Static
}

// resolve is Resolve without the routes that need none.
func (x *neighbours) resolve(nic tcpip.NICID, hop, local tcpip.Address, proto tcpip.NetworkProtocolNumber) ([6]byte, stack.Resolution) {
	k := neighbourKey{nic, hop}
	x.mu.Lock()
	known, ok := x.seen[k]
	known.asked = true
	x.seen[k] = known // also if it is new, so that its answer is news
	x.mu.Unlock()
	switch {
	case ok && usable(known.state) && known.state != gstack.Stale:
		return known.mac, stack.Resolved
	case ok && known.state == gstack.Incomplete:
		return known.mac, stack.Resolving
	case ok && known.state == gstack.Unreachable && x.n.st.Clock().Now()-known.failed < failedHold:
		return known.mac, stack.Unresolved
	}
	// gVisor keeps the function until the answer is there; by then only Changes matters.
	var link gstack.LinkResolutionResult
	err := x.n.g.GetLinkAddress(nic, hop, local, proto, func(r gstack.LinkResolutionResult) { link = r })
	switch err.(type) {
	case nil:
		if len(link.LinkAddress) == 6 {
			return [6]byte([]byte(link.LinkAddress)), stack.Resolved
		}
	case *tcpip.ErrWouldBlock:
		return known.mac, stack.Resolving
	}
	if !ok { // gVisor has no such interface
		x.mu.Lock()
		delete(x.seen, k)
		x.mu.Unlock()
	}
	return known.mac, stack.Unresolved
}

// confirm passes the news that a neighbour was reached on to gVisor, if it is news.
func (x *neighbours) confirm(nic tcpip.NICID, hop tcpip.Address, proto tcpip.NetworkProtocolNumber) {
	k, now := neighbourKey{nic, hop}, x.n.st.Clock().Now()
	x.mu.Lock()
	known, ok := x.seen[k]
	news := ok && known.state != gstack.Static && usable(known.state) && (known.state != gstack.Reachable || now-known.confirmed > confirmEvery)
	if news {
		known.confirmed = now
		x.seen[k] = known
	}
	x.mu.Unlock()
	if !news {
		return
	}
	r, err := x.n.g.FindRoute(nic, tcpip.Address{}, hop, proto, false)
	if err != nil {
		return
	}
	defer r.Release()
	if err := r.ResolvedFields(nil); err == nil {
		r.ConfirmReachable()
	}
}
