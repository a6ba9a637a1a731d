package netstack

import (
	"fmt"
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/fstack-go/fstack/stack"
)

// PortConfig says what a port of the stack is to netstack.
type PortConfig struct {
	Name  string         // of the interface; empty: the device's
	MTU   int            // bytes of IP packet, 0: the device's
	Addrs []netip.Prefix // addresses with their prefix lengths
	// Gateway4 and Gateway6 are the default routers; the zero Addr: none. Gateway6 may be link-local.
	Gateway4, Gateway6 netip.Addr
	// Broadcast is checked if it is set: it must be the last address of the net of one of Addrs.
	Broadcast netip.Addr
	// SLAAC takes IPv6 addresses, prefixes and default routers from router advertisements (RFC 4862).
	SLAAC bool
	// DAD asks for each IPv6 address whether another host has it, and uses it a second later if none has (RFC 4862
	// §5.4). Counters.DuplicateAddresses tells of those that were not to be had.
	DAD bool
}

// AddPort gives a port of the stack to netstack, before the loop starts or with the stack's lock held.
func (n *Netstack) AddPort(port int, cfg PortConfig) error {
	if port < 0 || port >= n.st.Ports() {
		return fmt.Errorf("netstack: add port %d: the stack has %d ports", port, n.st.Ports())
	}
	dev := n.st.Port(port)
	info := dev.Info()
	if cfg.MTU == 0 {
		cfg.MTU = info.MTU
	}
	if cfg.Name == "" {
		cfg.Name = info.Name
	}
	if err := cfg.check(info); err != nil {
		return fmt.Errorf("netstack: add port %d: %w", port, err)
	}
	for len(n.links) <= port {
		n.links = append(n.links, nil)
	}
	if n.links[port] != nil {
		return fmt.Errorf("netstack: add port %d: it was added before", port)
	}
	l := newLink(n, port, dev, cfg.MTU)
	nic := nicOf(port)
	if err := n.g.CreateNICWithOptions(nic, l, gstack.NICOptions{Name: cfg.Name, Disabled: true}); err != nil {
		return fmt.Errorf("netstack: add port %d as interface %q: %w", port, cfg.Name, errno(err))
	}
	n.links[port] = l
	if err := n.configure(nic, &cfg); err != nil {
		return fmt.Errorf("netstack: add port %d: %w", port, err)
	}
	for _, p := range cfg.Addrs {
		if err := n.AddAddr(port, p); err != nil {
			return err
		}
	}
	for _, g := range []netip.Addr{cfg.Gateway4, cfg.Gateway6} {
		if g.IsValid() {
			if err := n.AddRoute(Route{Dst: netip.PrefixFrom(unspecified(g), 0), Gateway: g, Port: port}); err != nil {
				return err
			}
		}
	}
	if err := n.g.EnableNIC(nic); err != nil {
		return fmt.Errorf("netstack: enable port %d: %w", port, errno(err))
	}
	return nil
}

// configure sets how the interface finds IPv6 addresses and routers, before it is enabled.
func (n *Netstack) configure(nic tcpip.NICID, cfg *PortConfig) error {
	ep, err := n.g.GetNetworkEndpoint(nic, ipv6.ProtocolNumber)
	if err != nil {
		return fmt.Errorf("IPv6 endpoint: %w", errno(err))
	}
	ndp := ipv6.DefaultNDPConfigurations()
	if !cfg.SLAAC {
		ndp.HandleRAs = ipv6.HandlingRAsDisabled
	}
	ndp.AutoGenTempGlobalAddresses = false // a server's address should not change from day to day (RFC 8981 §3.6)
	ep.(ipv6.NDPEndpoint).SetNDPConfigurations(ndp)
	dad := gstack.DADConfigurations{}
	if cfg.DAD {
		dad = gstack.DefaultDADConfigurations()
	}
	ep.(gstack.DuplicateAddressDetector).SetDADConfigurations(dad)
	return nil
}

func (c *PortConfig) check(info stack.DeviceInfo) error {
	if err := checkMTU(c.MTU, info.MTU); err != nil {
		return err
	}
	if len(info.MAC) != 6 {
		return fmt.Errorf("device %s has no MAC address of 6 bytes but %q", info.Name, info.MAC)
	}
	broadcast := !c.Broadcast.IsValid()
	for _, p := range c.Addrs {
		if !p.IsValid() {
			return fmt.Errorf("address %v is not valid", p)
		}
		broadcast = broadcast || p.Addr().Is4() && last(p) == c.Broadcast
	}
	if !broadcast {
		return fmt.Errorf("broadcast address %v is not the last address of the net of %v", c.Broadcast, c.Addrs)
	}
	if c.Gateway4.IsValid() && !c.Gateway4.Is4() {
		return fmt.Errorf("gateway %v is not IPv4", c.Gateway4)
	}
	if c.Gateway6.IsValid() && (!c.Gateway6.Is6() || c.Gateway6.Is4In6()) {
		return fmt.Errorf("gateway %v is not IPv6", c.Gateway6)
	}
	for _, g := range []netip.Addr{c.Gateway4, c.Gateway6} {
		if g.IsValid() && !c.onLink(g) {
			return fmt.Errorf("gateway %v is not in the net of %v", g, c.Addrs)
		}
	}
	return nil
}

func (c *PortConfig) onLink(a netip.Addr) bool {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range c.Addrs {
		if p.Masked().Contains(a) {
			return true
		}
	}
	return false
}

// mtuMin is what IPv6 needs (RFC 8200 §5), and every port has IPv6.
const mtuMin = header.IPv6MinimumMTU

func checkMTU(mtu, device int) error {
	if mtu < mtuMin || mtu > device {
		return fmt.Errorf("MTU %d is not between IPv6's least, %d, and the device's, %d", mtu, mtuMin, device)
	}
	return nil
}

// SetMTU changes a port's MTU at run time, for what is sent from now on.
func (n *Netstack) SetMTU(port, mtu int) error {
	if err := n.has(port); err != nil || port == Loopback {
		return fmt.Errorf("netstack: set MTU of port %d: %w", port, firstOf(err, syscall.EINVAL))
	}
	if err := checkMTU(mtu, n.st.Port(port).Info().MTU); err != nil {
		return fmt.Errorf("netstack: set MTU of port %d: %w", port, err)
	}
	if err := n.g.SetNICMTU(nicOf(port), uint32(mtu)); err != nil {
		return fmt.Errorf("netstack: set MTU of port %d: %w", port, errno(err))
	}
	n.changes.Add(1)
	return nil
}
