package netstack

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// routers hears what gVisor learns from router advertisements and has the loop act on it: gVisor forbids to call it
// back.
type routers struct {
	n          *Netstack
	waiting    atomic.Bool
	mu         sync.Mutex
	news       []func()
	duplicates uint64
}

var _ ipv6.NDPDispatcher = (*routers)(nil)

func (x *routers) later(f func()) {
	x.mu.Lock()
	x.news = append(x.news, f)
	x.mu.Unlock()
	x.waiting.Store(true)
}

func (x *routers) drain() {
	if !x.waiting.Swap(false) {
		return
	}
	x.mu.Lock()
	news := x.news
	x.news = nil
	x.mu.Unlock()
	for _, f := range news {
		f()
	}
	x.n.changes.Add(1)
}

func (x *routers) add(r tcpip.Route) { x.later(func() { x.n.g.AddRoute(r) }) }

func (x *routers) remove(r tcpip.Route) {
	x.later(func() {
		x.n.g.RemoveRoutes(func(old tcpip.Route) bool {
			return old.Destination == r.Destination && old.Gateway == r.Gateway && old.NIC == r.NIC
		})
	})
}

// OnOffLinkRouteUpdated implements ipv6.NDPDispatcher.
func (x *routers) OnOffLinkRouteUpdated(nic tcpip.NICID, dst tcpip.Subnet, router tcpip.Address, _ header.NDPRoutePreference) {
	r := tcpip.Route{Destination: dst, Gateway: router, NIC: nic}
	x.remove(r) // it may be an update of the one that we have
	x.add(r)
}

// OnOffLinkRouteInvalidated implements ipv6.NDPDispatcher.
func (x *routers) OnOffLinkRouteInvalidated(nic tcpip.NICID, dst tcpip.Subnet, router tcpip.Address) {
	x.remove(tcpip.Route{Destination: dst, Gateway: router, NIC: nic})
}

// OnOnLinkPrefixDiscovered implements ipv6.NDPDispatcher.
func (x *routers) OnOnLinkPrefixDiscovered(nic tcpip.NICID, net tcpip.Subnet) {
	x.add(tcpip.Route{Destination: net, NIC: nic})
}

// OnOnLinkPrefixInvalidated implements ipv6.NDPDispatcher.
func (x *routers) OnOnLinkPrefixInvalidated(nic tcpip.NICID, net tcpip.Subnet) {
	x.remove(tcpip.Route{Destination: net, NIC: nic})
}

// OnAutoGenAddress implements ipv6.NDPDispatcher.
func (x *routers) OnAutoGenAddress(tcpip.NICID, tcpip.AddressWithPrefix) gstack.AddressDispatcher {
	x.n.changes.Add(1)
	return nil
}

// OnAutoGenAddressDeprecated implements ipv6.NDPDispatcher.
func (x *routers) OnAutoGenAddressDeprecated(tcpip.NICID, tcpip.AddressWithPrefix) {
	x.n.changes.Add(1)
}

// OnAutoGenAddressInvalidated implements ipv6.NDPDispatcher.
func (x *routers) OnAutoGenAddressInvalidated(tcpip.NICID, tcpip.AddressWithPrefix) {
	x.n.changes.Add(1)
}

// OnDuplicateAddressDetectionResult implements ipv6.NDPDispatcher.
func (x *routers) OnDuplicateAddressDetectionResult(_ tcpip.NICID, _ tcpip.Address, r gstack.DADResult) {
	if _, ok := r.(*gstack.DADDupAddrDetected); ok {
		x.mu.Lock()
		x.duplicates++
		x.mu.Unlock()
	}
	x.n.changes.Add(1)
}

// OnRecursiveDNSServerOption, OnDNSSearchListOption and OnDHCPv6Configuration implement ipv6.NDPDispatcher. Names are
// the business of those above.
func (x *routers) OnRecursiveDNSServerOption(tcpip.NICID, []tcpip.Address, time.Duration) {}
func (x *routers) OnDNSSearchListOption(tcpip.NICID, []string, time.Duration)             {}
func (x *routers) OnDHCPv6Configuration(tcpip.NICID, ipv6.DHCPv6ConfigurationFromNDPRA)   {}
