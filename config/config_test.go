package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

const minimal = "[port0]\naddr=192.168.1.2\nnetmask=255.255.255.0\n"

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("config.ini", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := parse(t, minimal)
	if want := []int{0}; !reflect.DeepEqual(c.DPDK.Lcores, want) {
		t.Errorf("lcores %v, want %v", c.DPDK.Lcores, want)
	}
	if d := c.DPDK; d.NoHuge != HugeAuto || d.FilePrefix != "fstack" || !d.Promiscuous || d.TSO || d.TxCsumSkip {
		t.Errorf("defaults of [dpdk]: %+v", d)
	}
	if s := c.Stack; s.TCP != "fstack" || s.Idle != stack.IdlePoll || s.LogLevel != slog.LevelInfo || s.LogFile != "" {
		t.Errorf("defaults of [stack]: %+v", s)
	}
	if len(c.Ports) != 1 || c.Ports[0].Name != "f-stack-0" || c.Ports[0].MTU != 1500 {
		t.Errorf("ports %+v", c.Ports)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings %v", c.Warnings)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c := parse(t, `
[dpdk]
lcore_mask = 0x2D      ; lcores 0, 2, 3 and 5
lcores=0@1,(2-3,5)@0
channel=4
memory=512
no_huge=1
file_prefix=one
base_virtaddr=0x7f0000000000
promiscuous=0
numa_on=1
tso=1
tx_csum_offoad_skip=1
symmetric_rss=1
idle_sleep=20
allow=02:00.0,0000:03:00.1,mac=1,x=2
port_list=0,2
nb_vdev=2
nb_bond=1
log_level=7
fstack_log_level=8
fstack_log_file_prefix=/tmp/log-
eal_args=--single-file-segments  --in-memory
[stack]
tcp=netstack
nameserver=10.0.0.1; [fd00::1]:5353
drain=5
control_group=ops
[port0]
addr=192.168.1.2	# a comment after a tab
netmask=255.255.255.0
broadcast=192.168.1.255
gateway=192.168.1.1
addr6=fd00::2
prefix_len=48
gateway6=fe80::1
vip_addr=192.168.1.3;10.0.0.9
vip_addr6=fd00::3
vip_prefix_len=128
mtu=9000
if_name=eno7
lcore_list=0,2-3
[port2]
addr6=fd01::2
[vdev0]
devargs=net_tap0,iface=fstack0,mac=02:00:00:00:00:01
netns=fstack
kernel_addr=192.168.1.1/24;fd00::1/64
[vdev1]
path=/var/run/vhost
queues=2
queue_size=512
mac=00:00:00:00:00:01
cq=1
[bond0]
mode=4
slave=0000:0a:00.0,slave=0000:0a:00.1
primary=0000:0a:00.0
mac=f0:98:38:00:00:01
socket_id=0
xmit_policy=l23
lsc_poll_period_ms=100
up_delay=10
down_delay=50
[freebsd.sysctl]
net.inet.tcp.cc.algorithm=cubic
`)
	c.DPDK.idleSleep, c.DPDK.ports, c.DPDK.vdevs, c.DPDK.bonds, c.DPDK.logLevel, c.DPDK.logPrefix = 0, nil, 0, 0, 0, ""
	if want := (DPDK{
		Lcores: []int{0, 2, 3, 5}, Channels: 4, MemoryMB: 512, NoHuge: HugeNever, FilePrefix: "one", BaseVirtAddr: 0x7f0000000000,
		Allow: []string{"02:00.0", "0000:03:00.1,mac=1,x=2"}, LogLevel: 7, EALArgs: []string{"--single-file-segments", "--in-memory"},
		TSO: true, TxCsumSkip: true, SymmetricRSS: true, cpus: map[int]int{0: 1, 2: 0, 3: 0, 5: 0},
	}); !reflect.DeepEqual(c.DPDK, want) {
		t.Errorf("[dpdk]\n%+v, want\n%+v", c.DPDK, want)
	}
	if cpus := []int{c.DPDK.CPU(0), c.DPDK.CPU(3), c.DPDK.CPU(7)}; !reflect.DeepEqual(cpus, []int{1, 0, 7}) {
		t.Errorf("lcores 0, 3 and 7 are CPUs %v", cpus)
	}
	c.Stack.idle, c.Stack.logLevel, c.Stack.drain = "", "", 0
	if want := (Stack{
		TCP: "netstack", Idle: stack.IdleAdaptive, LogLevel: slog.LevelDebug, LogFile: "/tmp/log-", Drain: 5 * time.Second, ControlGroup: "ops",
		Nameservers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("[fd00::1]:5353")},
	}); !reflect.DeepEqual(c.Stack, want) {
		t.Errorf("[stack]\n%+v, want\n%+v", c.Stack, want)
	}
	if len(c.Ports) != 2 {
		t.Fatalf("%d ports, want 2", len(c.Ports))
	}
	p := c.Ports[0]
	var addrs []string
	for _, a := range p.Prefixes() {
		addrs = append(addrs, a.String())
	}
	if got, want := strings.Join(addrs, " "), "192.168.1.2/24 fd00::2/48 192.168.1.3/32 10.0.0.9/32 fd00::3/128"; got != want {
		t.Errorf("addresses of port 0: %s, want %s", got, want)
	}
	if p.Gateway.String() != "192.168.1.1" || p.Gateway6.String() != "fe80::1" || p.MTU != 9000 || p.Name != "eno7" || !reflect.DeepEqual(p.Lcores, []int{0, 2, 3}) {
		t.Errorf("port 0: %+v", p)
	}
	if p := c.Ports[1]; p.ID != 2 || p.Addr6.String() != "fd01::2/64" || p.Addr.IsValid() || !reflect.DeepEqual(p.Lcores, []int{0, 2, 3, 5}) {
		t.Errorf("port 2: %+v", p)
	}
	if v := c.Vdevs[0]; v.Name != "net_tap0" || v.Args != "iface=fstack0,mac=02:00:00:00:00:01" || v.Iface != "fstack0" || v.Netns != "fstack" || len(v.KernelAddrs) != 2 {
		t.Errorf("vdev 0: %+v", v)
	}
	if v := c.Vdevs[1]; v.Name != "virtio_user1" || v.Args != "path=/var/run/vhost,queues=2,cq=1,queue_size=512,mac=00:00:00:00:00:01" {
		t.Errorf("vdev 1: %+v", v)
	}
	if b, want := c.Bonds[0], "mode=4,slave=0000:0a:00.0,slave=0000:0a:00.1,primary=0000:0a:00.0,xmit_policy=l23,mac=f0:98:38:00:00:01,socket_id=0,lsc_poll_period_ms=100,up_delay=10,down_delay=50"; b.Name != "net_bonding0" || b.Args != want {
		t.Errorf("bond 0: %+v, want args %s", b, want)
	}
	if len(c.Sysctl) != 1 || c.Sysctl[0].Name != "net.inet.tcp.cc.algorithm" || c.Sysctl[0].Value != "cubic" || c.Sysctl[0].Line != 66 {
		t.Errorf("sysctl %+v", c.Sysctl)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings %v", c.Warnings)
	}
}

func TestEncodings(t *testing.T) {
	for name, text := range map[string]string{
		"byte order mark":  "\xef\xbb\xbf" + minimal,
		"CR LF":            strings.ReplaceAll(minimal, "\n", "\r\n"),
		"no last newline":  strings.TrimSpace(minimal),
		"colons":           strings.ReplaceAll(minimal, "=", ": "),
		"capitals":         strings.ReplaceAll(minimal, "addr", "Addr"),
		"spaces":           strings.ReplaceAll(minimal, "=", "  =\t "),
		"quotes":           strings.ReplaceAll(minimal, "192.168.1.2", `"192.168.1.2"`),
		"an empty value":   minimal + "gateway=\n",
		"only a comment":   minimal + "gateway= ; none\n",
		"comment and text": "# [port0]\n ; [port0]\n" + minimal,
	} {
		t.Run(name, func(t *testing.T) {
			if p := parse(t, text).Ports[0]; p.Addr.String() != "192.168.1.2/24" || p.Gateway.IsValid() {
				t.Errorf("port %+v", p)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.ini")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.ini") {
		t.Errorf("no such file: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
	path := filepath.Join(dir, "config.ini")
	if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || c.File != path {
		t.Errorf("Load: %+v, %v", c, err)
	}
}

// A file with the sections, keys and values that F-Stack ships starts unchanged; what has no effect is named.
func TestFStackFile(t *testing.T) {
	c, err := Load("testdata/fstack.ini")
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Ports[0]; p.Addr.String() != "192.168.1.2/24" || p.Gateway.String() != "192.168.1.1" || c.DPDK.Channels != 4 {
		t.Errorf("%+v", c)
	}
	var named []string
	for _, w := range c.Warnings {
		named = append(named, strings.TrimSpace(w.Section+" "+w.Key))
	}
	if got, want := strings.Join(named, ", "), "dpdk vlan_strip, dpdk vlan_filter, dpdk pkt_tx_delay, freebsd.boot"; got != want {
		t.Errorf("warnings of %s, want %s", got, want)
	}
	if len(c.Sysctl) != 33 {
		t.Errorf("%d sysctls, want 33", len(c.Sysctl))
	}
}

func TestFilePrefix(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "fstack",
		"[dpdk]\nfile_prefix=one\n" + minimal: "one",
		"rubbish\n[dpdk]\n file_prefix = two ; a comment\n[port0": "two",
		"[dpdk]\nfile_prefix=../x\n":                              "",
	} {
		if got, err := FilePrefix("c.ini", []byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
