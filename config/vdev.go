package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

var vdevKeys = []key[Vdev]{
	{name: "devargs", help: "Own: DPDK's device string, e.g. net_tap0,iface=fstack0.", set: func(v *Vdev, s string) error {
		name, _, _ := strings.Cut(s, ",")
		if driver := strings.TrimRight(name, "0123456789"); driver == name || driver == "" || strings.ContainsAny(name, " =") {
			return errors.New("must begin with a driver's name and a number, e.g. net_tap0,iface=fstack0")
		}
		v.devargs = s
		return nil
	}},
	{name: "netns", help: "Own: network namespace of the kernel end. It is made if it is not there, and then removed at the end.", set: word(func(v *Vdev) *string { return &v.Netns }, 64)},
	{name: "kernel_addr", help: "Own: addresses of the kernel end, with prefix lengths, separated by semicolons, e.g. 192.168.1.1/24;fd00::1/64.", set: func(v *Vdev, s string) error {
		return separated(s, 16, func(item string) error {
			p, err := netip.ParsePrefix(item)
			if err != nil {
				return errors.New("must be an address with the length of its prefix, e.g. 192.168.1.1/24")
			}
			if _, err := address(p.Addr().String(), p.Addr().Is6()); err != nil {
				return err
			}
			v.KernelAddrs = append(v.KernelAddrs, p)
			return nil
		})
	}},
	{name: "path", help: "Socket of the vhost-user back-end to which a virtio_user device connects (without devargs).", set: func(v *Vdev, s string) error {
		if strings.ContainsAny(s, ", ") {
			return errors.New("must be a path without comma and space")
		}
		v.path = s
		return nil
	}},
	{name: "queues", help: "Its number of queue pairs. Default: 1.", set: number(func(v *Vdev) *int { return &v.queues }, 1, 64)},
	{name: "queue_size", help: "Their size. Default: 256.", set: func(v *Vdev, s string) error {
		err := number(func(v *Vdev) *int { return &v.size }, 2, 32768)(v, s)
		if err != nil || v.size&(v.size-1) != 0 {
			return errors.New("must be a power of two from 2 to 32768")
		}
		return nil
	}},
	{name: "mac", help: "Its MAC address. Default: random.", set: macAddress(func(v *Vdev) *net.HardwareAddr { return &v.mac })},
	{name: "cq", help: "Whether it has a control queue, 0 or 1.", set: number(func(v *Vdev) *int { return &v.cq }, 0, 1)},
	{name: "iface", help: "A name that F-Stack no longer uses.", without: "F-Stack does not use it any more; the socket is path, and the name of a TAP stands in devargs"},
}

var bondKeys = []key[Bond]{
	{name: "mode", help: "Mode of DPDK's bonding driver, 0 to 6.", set: number(func(b *Bond) *int { return &b.mode }, 0, 6)},
	{name: "slave", help: "Its devices, e.g. 0000:0a:00.0,slave=0000:0a:00.1.", set: text(func(b *Bond) *string { return &b.slave })},
	{name: "primary", help: "The device that is preferred.", set: text(func(b *Bond) *string { return &b.primary })},
	{name: "mac", help: "MAC address of the bond.", set: macAddress(func(b *Bond) *net.HardwareAddr { return &b.mac })},
	{name: "socket_id", help: "NUMA node of the bond.", set: number(func(b *Bond) *int { return &b.socket }, 0, 31)},
	{name: "xmit_policy", help: "How it chooses a device to send on: l2, l23 or l34.", set: choice(func(b *Bond) *string { return &b.policy }, "l2", "l23", "l34")},
	{name: "lsc_poll_period_ms", help: "How often it looks at links without interrupt.", set: number(func(b *Bond) *int { return &b.poll }, 0, 1_000_000)},
	{name: "up_delay", help: "Milliseconds before a link counts as up.", set: number(func(b *Bond) *int { return &b.up }, 0, 1_000_000)},
	{name: "down_delay", help: "Milliseconds before a link counts as down.", set: number(func(b *Bond) *int { return &b.down }, 0, 1_000_000)},
}

// vdevSections reads [vdev0] to [vdevN-1], N being nb_vdev.
func (f *file) vdevSections(c *Config) {
	made := map[string]string{}
	for i := range f.count("vdev", c.DPDK.vdevs) {
		section := fmt.Sprintf("vdev%d", i)
		v := Vdev{cq: -1}
		apply(f, section, &v, vdevKeys)
		f.device(section, i, &v)
		if other := made[v.Name]; other != "" && v.Name != "" {
			f.fail(section, "devargs", "%s is there already, in [%s]", v.Name, other)
		}
		made[v.Name] = section
		f.kernelEnd(section, c, &v)
		c.Vdevs = append(c.Vdevs, v)
	}
}

// device makes the device string: the own key's, or that of F-Stack's keys for virtio_user.
func (f *file) device(section string, index int, v *Vdev) {
	virtioUser := []string{"path", "queues", "queue_size", "mac", "cq"}
	if v.devargs != "" {
		v.Name, v.Args, _ = strings.Cut(v.devargs, ",")
		for _, key := range virtioUser {
			if f.has(section, key) {
				f.fail(section, key, "stands beside devargs; put it there")
			}
		}
	} else if v.path != "" {
		args := []string{"path=" + v.path}
		if v.queues > 0 {
			args = append(args, fmt.Sprintf("queues=%d", v.queues))
		}
		if v.cq >= 0 {
			args = append(args, fmt.Sprintf("cq=%d", v.cq))
		}
		if v.size > 0 {
			args = append(args, fmt.Sprintf("queue_size=%d", v.size))
		}
		if v.mac != nil {
			args = append(args, "mac="+v.mac.String())
		}
		v.Name, v.Args = fmt.Sprintf("virtio_user%d", index), strings.Join(args, ",")
	} else if !f.has(section, "devargs") && !f.has(section, "path") {
		f.fail(section, "", "says no device; it needs devargs, or path for a vhost-user socket")
	}
	for arg := range strings.SplitSeq(v.Args, ",") {
		if name, ok := strings.CutPrefix(arg, "iface="); ok {
			v.Iface = name
		}
	}
}

func (f *file) kernelEnd(section string, c *Config, v *Vdev) {
	if v.Iface == "" && v.Name != "" {
		for _, key := range []string{"netns", "kernel_addr"} {
			if f.has(section, key) {
				f.fail(section, key, "needs the name of the kernel end in devargs, e.g. iface=fstack0")
			}
		}
	}
	for _, k := range v.KernelAddrs {
		for _, p := range c.Ports {
			for _, a := range p.Prefixes() {
				if a.Addr() == k.Addr() {
					f.fail(section, "kernel_addr", "%s is the address of [port%d]; the kernel's end needs another", k.Addr(), p.ID)
				}
			}
		}
	}
}

// bondSections reads [bond0] to [bondN-1], N being nb_bond.
func (f *file) bondSections(c *Config) {
	for i := range f.count("bond", c.DPDK.bonds) {
		section := fmt.Sprintf("bond%d", i)
		b := Bond{Name: fmt.Sprintf("net_bonding%d", i)}
		apply(f, section, &b, bondKeys)
		if b.slave == "" {
			f.fail(section, "slave", "is missing; it names the devices of the bond")
		}
		args := []string{fmt.Sprintf("mode=%d", b.mode), "slave=" + b.slave}
		for _, arg := range []struct{ key, value string }{{"primary", b.primary}, {"xmit_policy", b.policy}, {"mac", b.mac.String()}} {
			if arg.value != "" {
				args = append(args, arg.key+"="+arg.value)
			}
		}
		for _, arg := range []struct {
			key   string
			value int
		}{{"socket_id", b.socket}, {"lsc_poll_period_ms", b.poll}, {"up_delay", b.up}, {"down_delay", b.down}} {
			if f.has(section, arg.key) {
				args = append(args, fmt.Sprintf("%s=%d", arg.key, arg.value))
			}
		}
		b.Args = strings.Join(args, ",")
		c.Bonds = append(c.Bonds, b)
	}
}

// count checks that the sections [kind0] … and the number of them in [dpdk] agree, and returns it.
func (f *file) count(kind string, n int) int {
	for i := range n {
		if section := fmt.Sprintf("%s%d", kind, i); f.values[section] == nil {
			f.fail(section, "", "the section is missing; nb_%s=%d", kind, n)
			return i
		}
	}
	for _, section := range f.sections() {
		if k, i, ok := numbered(section); ok && k == kind && i >= n {
			if n == 0 {
				f.fail(section, "", "is there, but nb_%s in [dpdk] is 0; set nb_%s=%d", kind, kind, i+1)
			} else {
				f.warn(section, "", "ignored: nb_%s=%d", kind, n)
			}
		}
	}
	return n
}
