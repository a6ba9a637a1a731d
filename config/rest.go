package config

import "strings"

// The sections of F-Stack's that have no effect here, with their keys. A section with enable=0 is off, there and here.
var without = map[string]struct {
	why  string
	keys []string
}{
	"kni":       {"packets to the kernel's stack are not supported yet", []string{"enable", "method", "kni_action", "tcp_port", "udp_port", "console_packets_ratelimit", "general_packets_ratelimit", "kernel_packets_ratelimit"}},
	"pcap":      {"writing packets to files is not supported yet", []string{"enable", "snaplen", "savelen", "savepath"}},
	"rss_check": {"local ports are chosen without a table", []string{"enable", "rss_tbl"}},
}

// otherSections reads what is left: sysctls, sections without effect, and unknown ones.
func (f *file) otherSections(c *Config) {
	for _, section := range f.sections() {
		kind, _, _ := numbered(section)
		switch {
		case section == "dpdk", section == "stack", kind == "port", kind == "vdev", kind == "bond":
		case section == "freebsd.sysctl":
			for _, name := range f.keys(section) {
				c.Sysctl = append(c.Sysctl, Setting{Name: name, Value: f.values[section][name], Line: f.line(section, name)})
			}
		case section == "freebsd.boot":
			f.warn(section, "", "has no effect, it sizes FreeBSD's kernel: %s", strings.Join(f.keys(section), ", "))
		case kind == "vlan":
			f.warn(section, "", "has no effect: VLANs are not supported yet")
		case without[section].why != "":
			f.off(section)
		case section == "default":
			for _, name := range f.keys(section) {
				f.warn(section, name, "ignored: it stands before the first section")
			}
		default:
			f.warn(section, "", "unknown section, ignored%s", didYouMean(section, sectionNames))
		}
	}
}

var sectionNames = []string{"dpdk", "stack", "port0", "vdev0", "bond0", "vlan1", "kni", "pcap", "rss_check", "freebsd.boot", "freebsd.sysctl"}

// off warns of a section without effect if it is switched on, and of its unknown keys.
func (f *file) off(section string) {
	s := without[section]
	for _, name := range f.keys(section) {
		known := false
		for _, k := range s.keys {
			known = known || k == name
		}
		if !known {
			f.warn(section, name, "unknown key, ignored%s", didYouMean(name, s.keys))
		}
	}
	if on := f.values[section]["enable"]; on != "" && on != "0" {
		f.warn(section, "", "has no effect: %s", s.why)
	}
}
