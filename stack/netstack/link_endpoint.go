package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// What gVisor asks of a link besides its packets.
var _ gstack.LinkEndpoint = (*link)(nil)

// AddHeader implements gstack.LinkEndpoint.
func (l *link) AddHeader(p *gstack.PacketBuffer) {
	header.Ethernet(p.LinkHeader().Push(ethSize)).Encode(&header.EthernetFields{
		SrcAddr: l.LinkAddress(),
		DstAddr: p.EgressRoute.RemoteLinkAddress,
		Type:    p.NetworkProtocolNumber,
	})
}

// ParseHeader implements gstack.LinkEndpoint.
func (l *link) ParseHeader(p *gstack.PacketBuffer) bool {
	_, ok := p.LinkHeader().Consume(ethSize)
	return ok
}

// Capabilities implements gstack.LinkEndpoint. It does not offer to fill in checksums, but for TCP's in offload.go:
// gVisor would leave them out of UDP datagrams that it then cuts into fragments, where no device can.
func (l *link) Capabilities() gstack.LinkEndpointCapabilities {
	c := gstack.CapabilityResolutionRequired
	if l.verified.Load() {
		c |= gstack.CapabilityRXChecksumOffload
	}
	return c
}

// MTU implements gstack.LinkEndpoint.
func (l *link) MTU() uint32 { return l.mtu.Load() }

// SetMTU implements gstack.LinkEndpoint.
func (l *link) SetMTU(mtu uint32) { l.mtu.Store(mtu) }

// MaxHeaderLength implements gstack.LinkEndpoint.
func (l *link) MaxHeaderLength() uint16 { return ethSize }

// LinkAddress implements gstack.LinkEndpoint.
func (l *link) LinkAddress() tcpip.LinkAddress {
	mac := l.mac.Load()
	return tcpip.LinkAddress(mac[:])
}

// SetLinkAddress implements gstack.LinkEndpoint.
func (l *link) SetLinkAddress(a tcpip.LinkAddress) {
	if len(a) == 6 {
		mac := [6]byte([]byte(a))
		l.mac.Store(&mac)
	}
}

// Attach implements gstack.LinkEndpoint.
func (l *link) Attach(d gstack.NetworkDispatcher) {
	if d == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&d)
}

// IsAttached implements gstack.LinkEndpoint.
func (l *link) IsAttached() bool { return l.dispatcher.Load() != nil }

// ARPHardwareType implements gstack.LinkEndpoint.
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// Wait, Close and SetOnCloseAction implement gstack.LinkEndpoint: the stack owns the device.
func (l *link) Wait()                   {}
func (l *link) Close()                  {}
func (l *link) SetOnCloseAction(func()) {}
