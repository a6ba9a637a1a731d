package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Each row is a file with one wrong place and what its error must say: place first, then what would be right.
func TestWrongValues(t *testing.T) {
	const (
		port = "[port0]\naddr=192.168.1.2\nnetmask=255.255.255.0\n"
		v6   = "[port0]\naddr6=fd00::2\n"
	)
	many := strings.Repeat("10.0.0.1;", 65)
	for _, tt := range []struct{ text, place, want string }{
		{"[dpdk]\nlcore_mask=xyz\n" + port, "config.ini:2: [dpdk] lcore_mask=xyz: ", "hexadecimal"},
		{"[dpdk]\nlcore_mask=0\n" + port, "config.ini:2: [dpdk] lcore_mask=0: ", "names no lcore"},
		{"[dpdk]\nlcore_mask=0x\n" + port, "config.ini:2: [dpdk] lcore_mask=0x: ", "names no lcore"},
		{"[dpdk]\nlcore_mask=1" + strings.Repeat("0", 32) + "\n" + port, "config.ini:2: [dpdk] lcore_mask=1", "names lcore 128"},
		{"[dpdk]\nlcore_mask=\n" + port, "config.ini:2: [dpdk] lcore_mask: ", "is empty"},
		{"[dpdk]\nlcores=0\n" + port, "config.ini:2: [dpdk] lcores=0: ", "0@0,1@1"},
		{"[dpdk]\nlcores=(0-1@0\n" + port, "config.ini:2: [dpdk] lcores=(0-1@0: ", "0@0,1@1"},
		{"[dpdk]\nlcores=0@1,0@2\n" + port, "config.ini:2: [dpdk] lcores=0@1,0@2: ", "twice"},
		{"[dpdk]\nchannel=no\n" + port, "config.ini:2: [dpdk] channel=no: ", "number from 0 to 32"},
		{"[dpdk]\nmemory=-1\n" + port, "config.ini:2: [dpdk] memory=-1: ", "number from"},
		{"[dpdk]\nno_huge=yes\n" + port, "config.ini:2: [dpdk] no_huge=yes: ", "0, 1 or auto"},
		{"[dpdk]\nfile_prefix=../a\n" + port, "config.ini:2: [dpdk] file_prefix=../a: ", "letters"},
		{"[dpdk]\nfile_prefix=..\n" + port, "config.ini:2: [dpdk] file_prefix=..: ", "letters"},
		{"[dpdk]\nbase_virtaddr=12x\n" + port, "config.ini:2: [dpdk] base_virtaddr=12x: ", "hexadecimal"},
		{"[dpdk]\nbase_virtaddr=0x123\n" + port, "config.ini:2: [dpdk] base_virtaddr=0x123: ", "page"},
		{"[dpdk]\npromiscuous=yes\n" + port, "config.ini:2: [dpdk] promiscuous=yes: ", "0 or 1"},
		{"[dpdk]\nallow=eth0\n" + port, "config.ini:2: [dpdk] allow=eth0: ", "PCI"},
		{"[dpdk]\nport_list=3-1\n" + port, "config.ini:2: [dpdk] port_list=3-1: ", "0-3,7"},
		{"[dpdk]\nport_list=0,0\n" + port, "config.ini:2: [dpdk] port_list=0,0: ", "twice"},
		{"[dpdk]\nport_list=0-\n" + port, "config.ini:2: [dpdk] port_list=0-: ", "0-3,7"},
		{"[dpdk]\nport_list=99999999999\n" + port, "config.ini:2: [dpdk] port_list=99999999999: ", "up to 31"},
		{"[dpdk]\nport_list=0,1\n" + port, "config.ini: [port1]: ", "section is missing"},
		{"[dpdk]\nnb_vdev=1\n" + port, "config.ini: [vdev0]: ", "section is missing"},
		{"[dpdk]\nnb_bond=1\n" + port, "config.ini: [bond0]: ", "section is missing"},
		{"[dpdk]\nlog_level=9\n" + port, "config.ini:2: [dpdk] log_level=9: ", "0 to 8"},
		{"[dpdk]\nidle_sleep=x\n" + port, "config.ini:2: [dpdk] idle_sleep=x: ", "number"},
		{"[dpdk]\nchannel=1\nchannel=1\n" + port, "config.ini:2: [dpdk] channel: ", "lines [2 3]"},
		{port + "[dpdk]\n[dpdk]\n", "config.ini:4: [dpdk]: ", "lines [4 5]"},
		{port + "[PORT0]\nmtu=1500\n", "config.ini:1: [port0]: ", "lines [1 4]"},
		{"", "config.ini: [port0]: ", "section is missing"},

		{"[stack]\ntcp=linux\n" + port, "config.ini:2: [stack] tcp=linux: ", "fstack, netstack"},
		{"[stack]\nidle=adaptiv\n" + port, "config.ini:2: [stack] idle=adaptiv: ", "did you mean adaptive?"},
		{"[stack]\nnameserver=dns.example\n" + port, "config.ini:2: [stack] nameserver=dns.example: ", "must be an address"},
		{"[stack]\nlog_level=loud\n" + port, "config.ini:2: [stack] log_level=loud: ", "debug, info, warn, error"},

		{"[port0]\nmtu=1500\n", "config.ini:1: [port0] addr: ", "is missing"},
		{"[port0]\naddr=192.168.1.2\n", "config.ini:1: [port0] netmask: ", "is missing"},
		{"[port0]\naddr=192.168.1\nnetmask=255.255.255.0\n", "config.ini:2: [port0] addr=192.168.1: ", "IPv4 address"},
		{"[port0]\naddr=fd00::1\nnetmask=255.255.255.0\n", "config.ini:2: [port0] addr=fd00::1: ", "IPv4 address"},
		{"[port0]\naddr=224.0.0.1\nnetmask=255.255.255.0\n", "config.ini:2: [port0] addr=224.0.0.1: ", "one host"},
		{"[port0]\naddr=127.0.0.1\nnetmask=255.0.0.0\n", "config.ini:2: [port0] addr=127.0.0.1: ", "one host"},
		{"[port0]\naddr=0.0.0.0\nnetmask=255.0.0.0\n", "config.ini:2: [port0] addr=0.0.0.0: ", "one host"},
		{"[port0]\naddr=192.168.1.0\nnetmask=255.255.255.0\n", "config.ini:2: [port0] addr=192.168.1.0: ", "192.168.1.0 and 192.168.1.255"},
		{"[port0]\naddr=192.168.1.255\nnetmask=255.255.255.0\n", "config.ini:2: [port0] addr=192.168.1.255: ", "broadcast address"},
		{"[port0]\naddr=192.168.1.2\nnetmask=255.0.255.0\n", "config.ini:3: [port0] netmask=255.0.255.0: ", "ones followed by zeros"},
		{"[port0]\naddr=192.168.1.2\nnetmask=0.0.0.0\n", "config.ini:3: [port0] netmask=0.0.0.0: ", "ones followed by zeros"},
		{"[port0]\naddr=192.168.1.2\nnetmask=24\n", "config.ini:3: [port0] netmask=24: ", "e.g. 255.255.255.0"},
		{port + "broadcast=all\n", "config.ini:4: [port0] broadcast=all: ", "IPv4 address"},
		{port + "gateway=192.168.2.1\n", "config.ini:4: [port0] gateway=192.168.2.1: ", "outside the port's net 192.168.1.0/24"},
		{port + "gateway=192.168.1.2\n", "config.ini:4: [port0] gateway=192.168.1.2: ", "own address"},
		{port + "gateway=192.168.1.255\n", "config.ini:4: [port0] gateway=192.168.1.255: ", "broadcast"},
		{port + "gateway=router\n", "config.ini:4: [port0] gateway=router: ", "IPv4 address"},
		{port + "gateway6=fe80::1\n", "config.ini:4: [port0] gateway6=fe80::1: ", "without addr6"},
		{v6 + "gateway=192.168.1.1\n", "config.ini:3: [port0] gateway=192.168.1.1: ", "without addr"},
		{v6 + "gateway6=fd01::1\n", "config.ini:3: [port0] gateway6=fd01::1: ", "outside the port's net fd00::/64"},
		{v6 + "gateway6=fd00::2\n", "config.ini:3: [port0] gateway6=fd00::2: ", "own address"},
		{v6 + "prefix_len=129\n", "config.ini:3: [port0] prefix_len=129: ", "1 to 128"},
		{"[port0]\naddr6=192.168.1.2\n", "config.ini:2: [port0] addr6=192.168.1.2: ", "IPv6 address"},
		{"[port0]\naddr6=::ffff:192.168.1.2\n", "config.ini:2: [port0] addr6=::ffff:192.168.1.2: ", "IPv6 address"},
		{"[port0]\naddr6=fe80::1%eth0\n", "config.ini:2: [port0] addr6=fe80::1%eth0: ", "zone"},
		{port + "mtu=100\n", "config.ini:4: [port0] mtu=100: ", "1280 to 9600"},
		{port + "mtu=65536\n", "config.ini:4: [port0] mtu=65536: ", "1280 to 9600"},
		{v6 + "mtu=1000\n", "config.ini:3: [port0] mtu=1000: ", "1280 to 9600"},
		{port + "vip_addr=10.0.0.1;x\n", "config.ini:4: [port0] vip_addr=10.0.0.1;x: x: ", "IPv4 address"},
		{port + "vip_addr=" + many + "\n", "config.ini:4: [port0] vip_addr=", "65 items"},
		{port + "vip_addr=192.168.1.2\n", "config.ini:4: [port0] vip_addr=192.168.1.2: ", "there already, in [port0]"},
		{port + "lcore_list=1\n", "config.ini:4: [port0] lcore_list=1: ", "not in lcore_mask"},
		{"[stack]\ndrain=-1\n" + port, "config.ini:2: [stack] drain=-1: ", "0 to 86400"},
		{port + "if_name=a/b\n", "config.ini:4: [port0] if_name=a/b: ", "letters"},
		{"[dpdk]\nport_list=0,1\n" + port + strings.Replace(port, "0", "1", 1), "config.ini:7: [port1] addr=192.168.1.2: ", "there already, in [port0]"},

		{port + "[vdev0]\ndevargs=net_tap0\n", "config.ini:4: [vdev0]: ", "set nb_vdev=1"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\nqueues=1\n", "config.ini:6: [vdev0]: ", "needs devargs"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\ndevargs=net_tap\n", "config.ini:7: [vdev0] devargs=net_tap: ", "and a number"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\ndevargs=net_tap0\npath=/x\n", "config.ini:8: [vdev0] path=/x: ", "beside devargs"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\npath=/x,y\n", "config.ini:7: [vdev0] path=/x,y: ", "without comma"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\npath=/x\nqueue_size=100\n", "config.ini:8: [vdev0] queue_size=100: ", "power of two"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\npath=/x\nmac=ff:ff:ff:ff:ff:ff\n", "config.ini:8: [vdev0] mac=ff:ff:ff:ff:ff:ff: ", "one station"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\ndevargs=net_tap0\nnetns=x\n", "config.ini:8: [vdev0] netns=x: ", "iface="},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\ndevargs=net_tap0,iface=a\nnetns=a/b\n", "config.ini:8: [vdev0] netns=a/b: ", "letters"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\ndevargs=net_tap0,iface=a\nkernel_addr=10.0.0.1\n", "config.ini:8: [vdev0] kernel_addr=10.0.0.1: ", "192.168.1.1/24"},
		{port + "[dpdk]\nnb_vdev=1\n[vdev0]\ndevargs=net_tap0,iface=a\nkernel_addr=192.168.1.2/24\n", "config.ini:8: [vdev0] kernel_addr=192.168.1.2/24: ", "address of [port0]"},
		{port + "[dpdk]\nnb_vdev=2\n[vdev0]\ndevargs=net_tap0\n[vdev1]\ndevargs=net_tap0\n", "config.ini:9: [vdev1] devargs=net_tap0: ", "there already, in [vdev0]"},
		{port + "[dpdk]\nnb_bond=1\n[bond0]\nmode=7\nslave=a\n", "config.ini:7: [bond0] mode=7: ", "0 to 6"},
		{port + "[dpdk]\nnb_bond=1\n[bond0]\nmode=1\n", "config.ini:6: [bond0] slave: ", "is missing"},
		{port + "[dpdk]\nnb_bond=1\n[bond0]\nslave=a\nxmit_policy=l4\n", "config.ini:8: [bond0] xmit_policy=l4: ", "l2, l23, l34"},
	} {
		_, err := Parse("config.ini", []byte(tt.text))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error %v, want an *Error at %q", tt.text, err, tt.place)
			continue
		}
		if msg := err.Error(); !strings.HasPrefix(msg, tt.place) || !strings.Contains(msg, tt.want) || strings.Contains(msg, "\n") {
			t.Errorf("%q:\n got %s\nwant %s…%s", tt.text, msg, tt.place, tt.want)
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no key", "[port0]\nrubbish\n", "config.ini: key-value delimiter not found: rubbish"},
		{"open section", "[port0\n", "config.ini: unclosed section"},
		{"NUL", "[port0]\n\x00\n", "config.ini:2: a NUL byte"},
		{"too large", strings.Repeat("# comment\n", 10_000), "config.ini: more than"},
	} {
		if _, err := Parse("config.ini", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestAllErrorsInOneGo(t *testing.T) {
	_, err := Parse("config.ini", []byte("[dpdk]\nchannel=x\ntso=2\n[port0]\naddr=1\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.HasPrefix(err.Error(), "config.ini:2:") {
		t.Errorf("want three lines in the order of the file, got:\n%v", err)
	}
}

func TestWarnings(t *testing.T) {
	const port = "[port0]\naddr=192.168.1.2\nnetmask=255.255.255.0\n"
	for _, tt := range []struct{ text, want string }{
		{"[dpdk]\npromiscous=1\n", "config.ini:2: [dpdk] promiscous: unknown key, ignored; did you mean promiscuous?"},
		{"[dpdk]\nqqqq=1\n", "config.ini:2: [dpdk] qqqq: unknown key, ignored"},
		{"[dpdk]\nvlan_filter=1\n", "config.ini:2: [dpdk] vlan_filter: has no effect: VLANs are not supported yet"},
		{"[dpdk]\npkt_tx_delay=100\n", "config.ini:2: [dpdk] pkt_tx_delay: has no effect: packets leave at the end of each turn"},
		{"[dpdk]\npkt_tx_delay=0\nnuma_on=1\nsymmetric_rss=0\nvlan_strip=\n", ""},
		{"[dpdk]\nnuma_on=0\n", "config.ini:2: [dpdk] numa_on: has no effect: they always do"},
		{"[vlan1]\nportid=0\n", "config.ini:1: [vlan1]: has no effect: VLANs are not supported yet"},
		{"[dpdkk]\nx=1\n", "config.ini:1: [dpdkk]: unknown section, ignored; did you mean dpdk?"},
		{"x=1\n", "config.ini:1: [default] x: ignored: it stands before the first section"},
		{"[kni]\nenable=1\nmethod=reject\n", "config.ini:1: [kni]: has no effect: packets to the kernel's stack are not supported yet"},
		{"[kni]\nenable=0\nmethd=reject\n", "config.ini:3: [kni] methd: unknown key, ignored; did you mean method?"},
		{"[pcap]\nenable=1\n", "config.ini:1: [pcap]: has no effect: writing packets to files is not supported yet"},
		{"[pcap]\nenable=0\nsnaplen=96\n", ""},
		{"[rss_check]\nenable=1\n", "config.ini:1: [rss_check]: has no effect: local ports are chosen without a table"},
		{"[freebsd.boot]\nhz=100\nfd_reserve=1024\n", "config.ini:1: [freebsd.boot]: has no effect, it sizes FreeBSD's kernel: fd_reserve, hz"},
		{"[port1]\naddr=10.0.0.1\n", "config.ini:1: [port1]: ignored: port_list does not name port 1"},
		{"[port]\naddr=10.0.0.1\n", "config.ini:1: [port]: unknown section, ignored; did you mean port0?"},
	} {
		c := parse(t, tt.text+port)
		var got string
		for _, w := range c.Warnings {
			got += w.String()
		}
		if got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
	for text, want := range map[string]string{
		"broadcast=192.168.1.254\n":        "config.ini:4: [port0] broadcast: is not used: the broadcast address of 192.168.1.0/24 is 192.168.1.255",
		"vip_prefix_len=64\n":              "config.ini:4: [port0] vip_prefix_len: has no effect without vip_addr6",
		"[dpdk]\nlcores=(0-1)@0\n":         "config.ini:5: [dpdk] lcores: lcore 1 has no effect: it is not in lcore_mask",
		"vip_ifname=lo0\n":                 "config.ini:4: [port0] vip_ifname: has no effect: they are on the port itself",
		"ipfw_pr=10.0.0.0 255.255.255.0\n": "config.ini:4: [port0] ipfw_pr: has no effect: policy routes are not supported yet",
	} {
		if c := parse(t, port+text); len(c.Warnings) != 1 || c.Warnings[0].String() != want {
			t.Errorf("%q: %v, want %s", text, c.Warnings, want)
		}
	}
}

// A file as large as may be, full of keys that nobody knows, is read in a moment.
func TestManyMistakes(t *testing.T) {
	var b strings.Builder
	b.WriteString("[port0]\naddr=10.0.0.2\nnetmask=255.0.0.0\n")
	for i := 0; b.Len() < fileMax-20; i++ {
		fmt.Fprintf(&b, "k%d=1\n", i)
	}
	start := time.Now()
	c := parse(t, b.String())
	if took := time.Since(start); took > 10*time.Second || len(c.Warnings) < 5_000 {
		t.Errorf("%d warnings in %v", len(c.Warnings), took)
	}
}
