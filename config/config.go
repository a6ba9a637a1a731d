package config

import (
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// Config is what a config.ini says.
type Config struct {
	File   string // the name it was read under
	Text   []byte // what was read
	DPDK   DPDK
	Stack  Stack
	Ports  []Port // those of port_list, in ascending order
	Vdevs  []Vdev // vdev0, vdev1 …
	Bonds  []Bond // bond0, bond1 …
	Sysctl []Setting

	Warnings []Warning // what is unknown or has no effect, in the order of the file

	values map[string]map[string]string
}

// Place is where a value stands.
type Place struct{ Section, Key string }

func (p Place) String() string { return "[" + p.Section + "] " + p.Key }

// Values are all that the file sets, to compare two files.
func (c *Config) Values() map[Place]string {
	all := map[Place]string{}
	for section, keys := range c.values {
		for key, value := range keys {
			if value != "" { // as if it were not there
				all[Place{section, key}] = value
			}
		}
	}
	return all
}

// DPDK is the section [dpdk].
type DPDK struct {
	Lcores       []int  // the bits of lcore_mask, ascending, at least one
	Channels     int    // memory channels, 0: EAL finds out
	MemoryMB     int    // memory to reserve, 0: as needed
	NoHuge       NoHuge // whether to run on hugepages
	FilePrefix   string // tells instances on one machine apart
	BaseVirtAddr uint64 // where EAL maps its memory, 0: anywhere
	Allow        []string
	LogLevel     int // EAL's, 1 (emergency) to 8 (debug), 0: EAL's default
	EALArgs      []string

	Promiscuous  bool
	TSO          bool
	SymmetricRSS bool // both directions of a flow hash to the same queue
	TxCsumSkip   bool // checksums in software even if the device can

	cpus      map[int]int // by lcore, nil: the CPU of the same number
	idleSleep int
	ports     []int
	vdevs     int
	bonds     int
	logLevel  int
	logPrefix string
}

// CPU is the CPU that an lcore is.
func (d *DPDK) CPU(lcore int) int {
	if cpu, ok := d.cpus[lcore]; ok {
		return cpu
	}
	return lcore
}

// NoHuge is the value of no_huge.
type NoHuge int

// The values of no_huge.
const (
	HugeAuto  NoHuge = iota // hugepages if they can be had
	HugeNever               // never
	HugeMust                // an error without
)

// Stack is the section [stack].
type Stack struct {
	TCP          string // "fstack" or "netstack"
	Idle         stack.Idle
	Nameservers  []netip.AddrPort
	LogLevel     slog.Level
	LogFile      string        // prefix of the log file's name, empty: standard error
	Drain        time.Duration // how long processes of an old version may finish their connections
	ControlGroup string        // group of the control socket, empty: the process's

	idle, logLevel string
	drain          int
}

// Port is a section [portN].
type Port struct {
	ID       int    // DPDK's port number
	Name     string // of the interface, as the tools show it
	Addr     netip.Prefix
	Gateway  netip.Addr
	Addr6    netip.Prefix
	Gateway6 netip.Addr
	VIPs     []netip.Prefix // further addresses
	MTU      int            // bytes of IP packet
	Lcores   []int          // which have a queue of it, ascending

	addr, gateway, addr6, gateway6, broadcast netip.Addr
	netmask                                   int // bits, -1: not given
	prefixLen, vipPrefixLen                   int
	vips6                                     []netip.Addr
}

// Prefixes are all addresses of the port with their nets, the main ones first.
func (p *Port) Prefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range append([]netip.Prefix{p.Addr, p.Addr6}, p.VIPs...) {
		if a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}

// Vdev is a section [vdevN]: a device that EAL makes without hardware.
type Vdev struct {
	Name  string // as EAL knows it, e.g. net_tap0
	Args  string // what follows the name in its device string
	Netns string // namespace of the kernel end, empty: that of the process
	Iface string // name of the kernel end, empty: it has none
	// KernelAddrs are set on the kernel end.
	KernelAddrs []netip.Prefix

	devargs, path    string
	queues, size, cq int
	mac              net.HardwareAddr
}

// Bond is a section [bondN]: several ports that act as one, by DPDK's bonding driver.
type Bond struct {
	Name string // net_bonding0 …
	Args string

	mode, socket, poll, up, down int
	slave, primary, policy       string
	mac                          net.HardwareAddr
}

// Setting is a line of [freebsd.sysctl]: a name of FreeBSD's and its value, for the layers that know it.
type Setting struct {
	Name, Value string
	Line        int
}
