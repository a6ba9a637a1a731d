//go:build !nodpdk

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Each row is a program started wrongly, and what it must say. All must end at once and leave nothing.
func TestWrongStart(t *testing.T) {
	needs(t)
	for _, tt := range []struct {
		name  string
		extra []string
		want  []string
	}{
		{"mask is not hexadecimal", []string{"lcore_mask=g"}, []string{"config.ini:2: [dpdk] lcore_mask=g", "hexadecimal"}},
		{"lcore that is not there", []string{"lcore_mask=80000000000000000000000000000000"}, []string{"lcore 127", "no such CPU"}},
		{"address", []string{"addr=192.168.1.256"}, []string{"config.ini:13: [port0] addr=192.168.1.256", "IPv4"}},
		{"netmask", []string{"netmask=255.255.0.255"}, []string{"[port0] netmask=255.255.0.255", "ones followed by zeros"}},
		{"gateway outside the net", []string{"gateway=10.0.0.1"}, []string{"[port0] gateway=10.0.0.1", "outside the port's net 192.168.1.0/24"}},
		{"MTU", []string{"netmask=255.255.255.0\nmtu=100"}, []string{"[port0] mtu=100", "1280 to 9600"}},
		{"key twice", []string{"netmask=255.255.255.0\naddr=192.168.1.3"}, []string{"[port0] addr", "more than once"}},
		{"port that is not there", []string{"port_list=7", "nb_vdev=1\n[port7]\naddr=10.0.0.1\nnetmask=255.0.0.0"}, []string{"[port7]", "port 7", "no such device", "ports in all: 1"}},
		{"driver that is not there", []string{"devargs=net_nosuch0,iface=x"}, []string{"net_nosuch0", "rte_eal_hotplug_add"}},
		{"device string that the driver refuses", []string{"devargs=net_af_packet0,iface=nosuch"}, []string{"rte_eal_hotplug_add net_af_packet0", "SIOCGIFINDEX"}},
		{"device string that the driver does not know", []string{"devargs=net_tap0,iface=x,bogus=1"}, []string{"net_tap0", "bogus=1", "net_tap takes iface"}},
		{"tcp that is not there", []string{"tcp=other"}, []string{"[stack] tcp=other", "netstack"}},
		{"sysctl", []string{"net.inet6.ip6.dad_count=no"}, []string{"[freebsd.sysctl] net.inet6.ip6.dad_count=no", "must be a number"}},
		{"sysctl of TCP", []string{"tcp=fstack", "net.inet6.ip6.dad_count=0\nnet.inet.tcp.sendspace=no"}, []string{"config.ini:26: [freebsd.sysctl] net.inet.tcp.sendspace=no", "not a number"}},
		{"hugepages wanted and too few", []string{"no_huge=0\nmemory=1000000"}, []string{"dpdk-hugepages.py --setup"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := prepare(t, "http", tt.extra...).fails(t)
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in what the program says:\n%s", want, said)
				}
			}
		})
	}
}

func TestNoConfigFile(t *testing.T) {
	needs(t)
	p := prepare(t, "http")
	p.cmd.Args[2] = "/nonexistent/config.ini"
	if said := p.fails(t); !strings.Contains(said, "/nonexistent/config.ini") || !strings.Contains(said, "no such file") {
		t.Error(said)
	}
}

func TestNoRoot(t *testing.T) {
	needs(t)
	p := prepare(t, "http")
	os.Chmod(filepath.Dir(p.cmd.Args[2]), 0o755)
	os.Chmod(filepath.Dir(filepath.Dir(p.cmd.Args[2])), 0o755)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if said := p.fails(t); !strings.Contains(said, "run as root") {
		t.Errorf("no word of root in\n%s", said)
	}
}

// TestNoTun starts the program where /dev/net is empty.
func TestNoTun(t *testing.T) {
	needs(t, "unshare")
	p := prepare(t, "http")
	p.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$0" "$@"`, p.cmd.Path, "-c", p.cmd.Args[2])
	if said := p.fails(t); !strings.Contains(said, "/dev/net/tun") || !strings.Contains(said, "modprobe tun") {
		t.Error(said)
	}
}

// TestNoHugepages starts the program where the kernel shows no hugepages.
func TestNoHugepages(t *testing.T) {
	needs(t, "unshare")
	hidden := func(extra string) *process {
		p := prepare(t, "http", extra)
		p.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none /sys/kernel/mm/hugepages && exec "$0" "$@"`, p.cmd.Path, "-c", p.cmd.Args[2])
		return p
	}
	if said := hidden("no_huge=0").fails(t); !strings.Contains(said, "no free hugepages") || !strings.Contains(said, "dpdk-hugepages.py --setup") {
		t.Error(said)
	}
	p := hidden("no_huge=auto")
	p.start(t)
	p.ready(t, "try: ")
	if said := p.out.String(); !strings.Contains(said, "running without hugepages") {
		t.Error(said)
	}
	if text, err := get(p.client(t), "http://"+addr4+"/live"); err != nil || !strings.Contains(text, "ordinary pages") {
		t.Error(text, err)
	}
}

func TestSecondInstance(t *testing.T) {
	needs(t)
	p := serve(t, "http")
	second := p.again()
	second.start(t)
	if !second.ended(10e9) || second.err == nil {
		t.Fatalf("a second instance runs under the same prefix\n%s", second.out)
	}
	if said := second.out.String(); !strings.Contains(said, "file_prefix") || !strings.Contains(said, fmt.Sprint(p.cmd.Process.Pid)) {
		t.Error(said)
	}
	if text, err := get(p.client(t), "http://"+addr4+"/live"); err != nil || text == "" {
		t.Error("the first instance does not serve any more: ", err)
	}
}

// TestTwoInstances run beside each other, under prefixes and namespaces of their own.
func TestTwoInstances(t *testing.T) {
	needs(t)
	for _, p := range []*process{serve(t, "http"), serve(t, "http")} {
		if text, err := get(p.client(t), "http://"+addr4+"/live"); err != nil || !strings.Contains(text, fmt.Sprint("process ", p.cmd.Process.Pid)) {
			t.Error(text, err)
		}
	}
}

func TestFlags(t *testing.T) {
	needs(t)
	p := prepare(t, "http")
	p.cmd.Args = []string{p.cmd.Path, "-bogus"}
	if said := p.fails(t); !strings.Contains(said, "-bogus") || !strings.Contains(said, "-config file") {
		t.Error(said)
	}
}

// TestNoLibdpdk: without the library, make says what to install.
func TestNoLibdpdk(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make")
	}
	cmd := exec.Command("make", "-C", "..", "--no-print-directory", "build")
	cmd.Env = append(os.Environ(), "PKG_CONFIG_LIBDIR=/nonexistent", "PKG_CONFIG_PATH=")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "apt-get install libdpdk-dev") {
		t.Errorf("%v\n%s", err, out)
	}
}
