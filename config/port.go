package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

const (
	maxVIPs = 64 // F-Stack's
	mtuMax  = 9600
	mtuMin  = 1280 // RFC 8200 §5: every port has IPv6
)

var portKeys = []key[Port]{
	{name: "addr", help: "IPv4 address of the port.", set: hostAddress(func(p *Port) *netip.Addr { return &p.addr }, false)},
	{name: "netmask", help: "Its mask, e.g. 255.255.255.0.", set: func(p *Port, v string) (err error) {
		p.netmask, err = netmask(v)
		return err
	}},
	{name: "broadcast", help: "The broadcast address of its net; it follows from addr and netmask.", set: func(p *Port, v string) error {
		a, err := netip.ParseAddr(v)
		if err != nil || !a.Is4() {
			return errors.New("must be an IPv4 address, e.g. 192.168.1.255")
		}
		p.broadcast = a
		return nil
	}},
	{name: "gateway", help: "IPv4 address of the default gateway, in the net of addr.", set: hostAddress(func(p *Port) *netip.Addr { return &p.gateway }, false)},
	{name: "addr6", help: "IPv6 address of the port.", set: hostAddress(func(p *Port) *netip.Addr { return &p.addr6 }, true)},
	{name: "prefix_len", help: "Length of its prefix. Default: 64.", set: number(func(p *Port) *int { return &p.prefixLen }, 1, 128)},
	{name: "gateway6", help: "IPv6 address of the default gateway, link-local or in the net of addr6.", set: hostAddress(func(p *Port) *netip.Addr { return &p.gateway6 }, true)},
	{name: "vip_addr", help: "Further IPv4 addresses (of their own, /32), separated by semicolons.", set: func(p *Port, v string) error {
		return separated(v, maxVIPs, func(item string) error {
			a, err := address(item, false)
			p.VIPs = append(p.VIPs, netip.PrefixFrom(a, 32))
			return err
		})
	}},
	{name: "vip_addr6", help: "Further IPv6 addresses, separated by semicolons.", set: func(p *Port, v string) error {
		return separated(v, maxVIPs, func(item string) error {
			a, err := address(item, true)
			p.vips6 = append(p.vips6, a)
			return err
		})
	}},
	{name: "vip_prefix_len", help: "Length of their prefix. Default: 64.", set: number(func(p *Port) *int { return &p.vipPrefixLen }, 1, 128)},
	{name: "mtu", help: "Own: largest IP packet, in bytes. Default: 1500.", set: number(func(p *Port) *int { return &p.MTU }, mtuMin, mtuMax)},
	{name: "if_name", help: "Name of the interface, as the tools show it. Default: f-stack-N.", set: word(func(p *Port) *string { return &p.Name }, 15)},
	{name: "lcore_list", help: "Those of lcore_mask that have a queue of the port, e.g. 0-2,5; the others reach it by way of them. Default: all.", set: list(func(p *Port) *[]int { return &p.Lcores }, maxLcores-1)},
	{name: "slave_port_list", help: "The ports that a bond is made of.", without: "the bond's own section says it, and its driver starts them"},
	{name: "vip_ifname", help: "Interface for the further addresses.", without: "they are on the port itself"},
	{name: "ipfw_pr", help: "Simple policy routes.", without: "policy routes are not supported yet"},
}

// netmask reads a dotted mask into its number of ones.
func netmask(v string) (int, error) {
	a, err := netip.ParseAddr(v)
	if err == nil && a.Is4() {
		b := a.As4()
		m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		for n := 1; n <= 32; n++ {
			if m == ^uint32(0)<<(32-n) {
				return n, nil
			}
		}
	}
	return 0, errors.New("must be a mask of ones followed by zeros, e.g. 255.255.255.0")
}

// portSections reads [portN] for each port of port_list.
func (f *file) portSections(c *Config) {
	for _, id := range c.DPDK.ports {
		section := fmt.Sprintf("port%d", id)
		p := Port{ID: id, Name: fmt.Sprintf("f-stack-%d", id), MTU: 1500, Lcores: slices.Clone(c.DPDK.Lcores), netmask: -1, prefixLen: 64, vipPrefixLen: 64}
		if f.values[section] == nil {
			f.fail(section, "", "the section is missing; port_list names port %d", id)
			continue
		}
		errs := len(f.errs)
		apply(f, section, &p, portKeys)
		if len(f.errs) == errs { // only then do the rules below see the values of the file
			f.portNets(section, &p)
			for _, l := range p.Lcores {
				if !slices.Contains(c.DPDK.Lcores, l) {
					f.fail(section, "lcore_list", "lcore %d is not in lcore_mask", l)
				}
			}
		}
		c.Ports = append(c.Ports, p)
	}
	for _, section := range f.sections() {
		if kind, id, ok := numbered(section); ok && kind == "port" && !slices.Contains(c.DPDK.ports, id) {
			f.warn(section, "", "ignored: port_list does not name port %d", id)
		}
	}
	f.twice(c)
}

// portNets puts addresses and masks together and checks what must fit.
func (f *file) portNets(section string, p *Port) {
	if !p.addr.IsValid() && !p.addr6.IsValid() {
		f.fail(section, "addr", "is missing; a port needs addr and netmask, or addr6")
		return
	}
	if p.addr.IsValid() {
		f.net4(section, p)
	} else {
		for _, key := range []string{"netmask", "broadcast", "gateway"} {
			if f.has(section, key) {
				f.fail(section, key, "stands without addr")
			}
		}
	}
	if p.addr6.IsValid() {
		f.net6(section, p)
	} else {
		for _, key := range []string{"prefix_len", "gateway6"} {
			if f.has(section, key) {
				f.fail(section, key, "stands without addr6")
			}
		}
	}
	for _, a := range p.vips6 {
		p.VIPs = append(p.VIPs, netip.PrefixFrom(a, p.vipPrefixLen))
	}
	if len(p.vips6) > maxVIPs {
		f.fail(section, "vip_addr6", "has more than %d addresses", maxVIPs)
	}
	if len(p.vips6) == 0 && f.has(section, "vip_prefix_len") {
		f.warn(section, "vip_prefix_len", "has no effect without vip_addr6")
	}
}

func (f *file) net4(section string, p *Port) {
	if p.netmask < 0 {
		f.fail(section, "netmask", "is missing; it goes with addr, e.g. 255.255.255.0")
		return
	}
	p.Addr, p.Gateway = netip.PrefixFrom(p.addr, p.netmask), p.gateway
	net, last := p.Addr.Masked(), lastOf(p.Addr)
	if p.netmask < 31 && (p.addr == net.Addr() || p.addr == last) { // RFC 3021: a /31 has no such
		f.fail(section, "addr", "is the net's own or broadcast address; hosts of %s are between %s and %s", net, net.Addr(), last)
	}
	if p.broadcast.IsValid() && p.broadcast != last {
		f.warn(section, "broadcast", "is not used: the broadcast address of %s is %s", net, last)
	}
	f.gateway(section, "gateway", p.gateway, p.Addr)
}

func (f *file) net6(section string, p *Port) {
	p.Addr6, p.Gateway6 = netip.PrefixFrom(p.addr6, p.prefixLen), p.gateway6
	if !p.gateway6.IsLinkLocalUnicast() {
		f.gateway(section, "gateway6", p.gateway6, p.Addr6)
	}
}

func (f *file) gateway(section, key string, gateway netip.Addr, own netip.Prefix) {
	switch {
	case !gateway.IsValid():
	case !own.Contains(gateway):
		f.fail(section, key, "is outside the port's net %s; it could not be reached", own.Masked())
	case gateway == own.Addr():
		f.fail(section, key, "is the port's own address")
	case own.Addr().Is4() && own.Bits() < 31 && (gateway == own.Masked().Addr() || gateway == lastOf(own)):
		f.fail(section, key, "is the net's own or broadcast address")
	}
}

// twice finds addresses that stand twice, on one port or on two.
func (f *file) twice(c *Config) {
	seen := map[netip.Addr]string{}
	check := func(section, key string, a netip.Addr) {
		if a.Is6() {
			key += "6"
		}
		if other, ok := seen[a]; ok {
			f.fail(section, key, "%s is there already, in [%s]", a, other)
		}
		seen[a] = section
	}
	for _, p := range c.Ports {
		section := fmt.Sprintf("port%d", p.ID)
		for _, a := range []netip.Prefix{p.Addr, p.Addr6} {
			if a.IsValid() {
				check(section, "addr", a.Addr())
			}
		}
		for _, a := range p.VIPs {
			check(section, "vip_addr", a.Addr())
		}
	}
}

// lastOf is the last address of an IPv4 net: its broadcast address.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
