package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fstack-go/fstack/stack"
)

var dpdkKeys = []key[DPDK]{
	{name: "lcore_mask", help: "The lcores to run on, as a mask in hexadecimal digits, e.g. 3 for lcores 0 and 1: one process on each. See [processes.md](processes.md).", set: func(d *DPDK, v string) (err error) {
		lcores, err := lcoreMask(v)
		if err == nil {
			d.Lcores = lcores
		}
		return err
	}},
	{name: "lcores", help: "Own: the CPUs that lcores are, in the form of EAL's --lcores, e.g. 0@0,1@1,2@0,3@1 for four processes on two CPUs. Default: lcore N is CPU N.", set: lcoreCPUs},
	{name: "channel", help: "Number of memory channels.", set: number(func(d *DPDK) *int { return &d.Channels }, 0, 32)},
	{name: "memory", help: "Memory to reserve, in MB. Default: as much as is needed.", set: number(func(d *DPDK) *int { return &d.MemoryMB }, 0, 1<<20)},
	{name: "no_huge", help: "0: hugepages, or an error; 1: none; auto (own, default): hugepages if they can be had, and it is said if not.", set: func(d *DPDK, v string) error {
		values := map[string]NoHuge{"0": HugeMust, "1": HugeNever, "auto": HugeAuto}
		n, ok := values[v]
		if !ok {
			return errors.New("must be 0, 1 or auto")
		}
		d.NoHuge = n
		return nil
	}},
	{name: "file_prefix", help: "Tells the DPDK files of instances on one machine apart. Default: fstack.", set: word(func(d *DPDK) *string { return &d.FilePrefix }, 64)},
	{name: "base_virtaddr", help: "Where DPDK should map its memory, e.g. 0x7f0000000000.", set: func(d *DPDK, v string) error {
		n, err := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 47)
		if err != nil || n%4096 != 0 {
			return errors.New("must be the address of a page in hexadecimal digits, e.g. 0x7f0000000000")
		}
		d.BaseVirtAddr = n
		return nil
	}},
	{name: "promiscuous", help: "Whether ports take frames for other stations' addresses. Default: 1.", set: flag(func(d *DPDK) *bool { return &d.Promiscuous })},
	{name: "numa_on", help: "Whether mbufs come from the NUMA node of their lcore.", without: "they always do", asIf: "1"},
	{name: "tso", help: "Whether ports that can do it cut TCP segments from larger sends. Default: 0.", set: flag(func(d *DPDK) *bool { return &d.TSO })},
	{name: "tx_csum_offoad_skip", help: "Whether checksums are made in software even by ports that could. Default: 0.", set: flag(func(d *DPDK) *bool { return &d.TxCsumSkip })},
	{name: "vlan_strip", help: "Whether ports take VLAN tags off received frames.", without: "VLANs are not supported yet"},
	{name: "symmetric_rss", help: "Whether both directions of a flow hash to the same queue, on ports whose RSS takes a key. Default: 0.", set: flag(func(d *DPDK) *bool { return &d.SymmetricRSS })},
	{name: "vlan_filter", help: "VLANs to have addresses on.", without: "VLANs are not supported yet"},
	{name: "idle_sleep", help: "Microseconds to sleep when no packet comes. Any but 0 means [stack] idle=adaptive, unless that key is there.", set: number(func(d *DPDK) *int { return &d.idleSleep }, 0, 1_000_000)},
	{name: "pkt_tx_delay", help: "Microseconds to hold packets back so that more leave together.", without: "packets leave at the end of each turn", asIf: "0"},
	{name: "allow", help: "PCI devices to use, separated by commas, e.g. 02:00.0,03:00.0. Default: all that are bound to DPDK, or none if there is a vdev.", set: func(d *DPDK, v string) (err error) {
		d.Allow, err = pciDevices(v)
		return err
	}},
	{name: "port_list", help: "DPDK's numbers of the ports to use, e.g. 0-2,5. Default: 0.", set: list(func(d *DPDK) *[]int { return &d.ports }, 31)},
	{name: "nb_vdev", help: "Number of [vdevN] sections.", set: number(func(d *DPDK) *int { return &d.vdevs }, 0, 32)},
	{name: "nb_bond", help: "Number of [bondN] sections.", set: number(func(d *DPDK) *int { return &d.bonds }, 0, 32)},
	{name: "log_level", help: "What DPDK logs: 1 (emergency) to 8 (debug).", set: number(func(d *DPDK) *int { return &d.LogLevel }, 0, 8)},
	{name: "fstack_log_level", help: "1 to 8 as log_level, but of the stack itself, into a file. 0 (default): to standard error, as [stack] log_level says.", set: number(func(d *DPDK) *int { return &d.logLevel }, 0, 8)},
	{name: "fstack_log_file_prefix", help: "Begin of that file's name; the process's number and .log follow. Default: ./f-stack-.", set: text(func(d *DPDK) *string { return &d.logPrefix })},
	{name: "eal_args", help: "Own: further arguments for DPDK's EAL, separated by spaces.", set: func(d *DPDK, v string) error {
		d.EALArgs = strings.Fields(v)
		return nil
	}},
}

var stackKeys = []key[Stack]{
	{name: "tcp", help: "Which TCP serves: fstack (our own, default) or netstack (gVisor's).", set: choice(func(s *Stack) *string { return &s.TCP }, "fstack", "netstack")},
	{name: "idle", help: "What an lcore without work does: poll on, or rest until work comes (adaptive). Default: poll.", set: choice(func(s *Stack) *string { return &s.idle }, "poll", "adaptive")},
	{name: "nameserver", help: "Addresses of DNS servers, separated by semicolons, with :port or without. Default: those of /etc/resolv.conf.", set: func(s *Stack, v string) error {
		s.Nameservers = nil
		return separated(v, 8, func(item string) error {
			at, err := netip.ParseAddrPort(item)
			if err != nil {
				var a netip.Addr
				if a, err = netip.ParseAddr(item); err != nil {
					return errors.New("must be an address, e.g. 192.168.1.1, 192.168.1.1:53 or [fd00::1]:53")
				}
				at = netip.AddrPortFrom(a, 53)
			}
			s.Nameservers = append(s.Nameservers, at)
			return nil
		})
	}},
	{name: "drain", help: "Seconds that processes may take to finish their connections after an upgrade. Default: 60.", set: number(func(s *Stack) *int { return &s.drain }, 0, 86400)},
	{name: "control_group", help: "Group whose members may use the control socket, beside root. Default: that of the process.", set: word(func(s *Stack) *string { return &s.ControlGroup }, 32)},
	{name: "log_level", help: "What the stack logs: debug, info (default), warn or error.", set: choice(func(s *Stack) *string { return &s.logLevel }, "debug", "info", "warn", "error")},
}

var pciDevice = regexp.MustCompile(`^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$`)

// pciDevices takes "02:00.0,03:00.0,opt=1" apart: an item with = belongs to the device before it.
func pciDevices(v string) (devices []string, err error) {
	for item := range strings.SplitSeq(v, ",") {
		item = strings.TrimSpace(item)
		switch {
		case strings.Contains(item, "=") && len(devices) > 0:
			devices[len(devices)-1] += "," + item
		case pciDevice.MatchString(item):
			devices = append(devices, item)
		default:
			return nil, fmt.Errorf("%q is not the address of a PCI device, e.g. 02:00.0 or 0000:02:00.0", item)
		}
	}
	return devices, nil
}

// stackSection reads [dpdk] and [stack], which speak of the same things here and there.
func (f *file) stackSection(c *Config) {
	c.DPDK = DPDK{Lcores: []int{0}, FilePrefix: defaultPrefix, Promiscuous: true, ports: []int{0}, logPrefix: "./f-stack-"}
	apply(f, "dpdk", &c.DPDK, dpdkKeys)
	if v, ok := f.values["dpdk"]["lcore_mask"]; ok && v == "" {
		f.fail("dpdk", "lcore_mask", "is empty; set a bit for each lcore, in hexadecimal digits, e.g. 3 for lcores 0 and 1")
	}
	for _, l := range slices.Sorted(maps.Keys(c.DPDK.cpus)) {
		if !slices.Contains(c.DPDK.Lcores, l) {
			f.warn("dpdk", "lcores", "lcore %d has no effect: it is not in lcore_mask", l)
		}
	}

	idle := "poll"
	if c.DPDK.idleSleep > 0 {
		idle = "adaptive"
	}
	s := Stack{TCP: "fstack", idle: idle, logLevel: "info", drain: 60}
	apply(f, "stack", &s, stackKeys)
	s.Drain = time.Duration(s.drain) * time.Second
	s.Idle, _ = stack.ParseIdle(s.idle)              // one of its names, by the table
	_ = s.LogLevel.UnmarshalText([]byte(s.logLevel)) // likewise
	if l := c.DPDK.logLevel; l > 0 {
		s.LogFile = c.DPDK.logPrefix
		if !f.has("stack", "log_level") {
			s.LogLevel = slogLevel(l)
		}
	}
	c.Stack = s
}

// slogLevel is a level of syslog plus 1, as F-Stack counts, in slog's terms.
func slogLevel(l int) slog.Level {
	switch {
	case l <= 4:
		return slog.LevelError
	case l == 5:
		return slog.LevelWarn
	case l <= 7:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
