package fstack

import (
	"strings"
	"syscall"
	"testing"

	"github.com/fstack-go/fstack/config"
)

// Each row is what a reload changes in a config, and what is said of it.
func TestDifference(t *testing.T) {
	const text = "[dpdk]\ntso=0\n[stack]\nlog_level=info\n[port0]\naddr=10.0.0.2\nnetmask=255.255.255.0\nmtu=1500\n[freebsd.sysctl]\nnet.inet.tcp.sendspace=16384\n"
	parse := func(text string) *config.Config {
		c, err := config.Parse("c.ini", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tt := range []struct{ old, new, want string }{
		{"", "", "nothing has changed"},
		{"addr=10.0.0.2", "addr=10.0.0.3", "changed: [port0] addr"},
		{"mtu=1500", "gateway=10.0.0.1\nvip_addr=10.0.0.9", "changed: [port0] gateway, [port0] vip_addr; needs a restart: [port0] mtu"},
		{"tso=0", "tso=1\nlcore_mask=3", "needs a restart: [dpdk] lcore_mask, [dpdk] tso"},
		{"log_level=info", "log_level=debug\ndrain=5", "changed: [stack] drain, [stack] log_level"},
		{"sendspace=16384", "sendspace=32768\nnet.inet.tcp.recvspace=32768\nnet.inet6.ip6.dad_count=0", "changed: [freebsd.sysctl] net.inet.tcp.recvspace, [freebsd.sysctl] net.inet.tcp.sendspace; needs a restart: [freebsd.sysctl] net.inet6.ip6.dad_count"},
		{"net.inet.tcp.sendspace=16384\n", "", "changed: [freebsd.sysctl] net.inet.tcp.sendspace"},
		{"tso=0", "port_list=0,1\n[port1]\naddr=10.1.0.2\nnetmask=255.255.255.0", "needs a restart: [dpdk] port_list, [dpdk] tso, [port1] addr, [port1] netmask"},
	} {
		s := newSettings(parse(text))
		to := parse(strings.Replace(text, tt.old, tt.new, 1))
		if got := strings.Join(report(s.difference(to)), "; "); got != tt.want {
			t.Errorf("%q for %q:\n got %s\nwant %s", tt.new, tt.old, got, tt.want)
		}
		// What needs a restart is still said the next time, what was done is not.
		s.adopt(to)
		_, restart, _ := strings.Cut("; "+tt.want, "; needs")
		want := "nothing has changed"
		if restart != "" {
			want = "needs" + restart
		}
		if got := strings.Join(report(s.difference(to)), "; "); got != want {
			t.Errorf("%q for %q, a second time:\n got %s\nwant %s", tt.new, tt.old, got, want)
		}
		if c := s.config(); tt.new == "addr=10.0.0.3" && c.Ports[0].Addr.String() != "10.0.0.3/24" {
			t.Errorf("the address in effect is %s", c.Ports[0].Addr)
		}
	}
}

// fakeSysctls are a layer's; values must be digits.
type fakeSysctls map[string]string

func (f fakeSysctls) Sysctl(name string) (string, error) {
	if v, ok := f[name]; ok {
		return v, nil
	}
	return "", syscall.ENOENT
}

func (f fakeSysctls) SetSysctl(name, value string) error {
	if strings.Trim(value, "0123456789") != "" {
		return syscall.EINVAL
	}
	f[name] = value
	return nil
}

// TestResetSysctls: a line that goes brings the default back, and a wrong one changes nothing.
func TestResetSysctls(t *testing.T) {
	values := fakeSysctls{"net.a": "1", "net.b": "2", "net.c": "3"}
	parse := func(text string) *config.Config {
		c, err := config.Parse("c.ini", []byte("[port0]\naddr=10.0.0.2\nnetmask=255.255.255.0\n[freebsd.sysctl]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	e := &engine{cfg: parse("net.a=10\n"), sysctlers: []sysctler{values}}
	e.settings = newSettings(e.cfg)
	if err := e.setSysctls(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ text, want string }{
		{"net.a=11\nnet.b=20", "11 20 3"},
		{"net.b=21\nnet.c=x", "11 20 3"}, // refused
		{"net.b=21", "1 21 3"},
		{"net.c=30", "1 2 30"},
		{"", "1 2 3"},
	} {
		to := parse(step.text)
		now, _ := e.settings.difference(to)
		err := e.resetSysctls(now, to)
		if refused := strings.Contains(step.text, "x"); (err != nil) != refused {
			t.Errorf("%q: %v", step.text, err)
		}
		if err == nil {
			e.settings.adopt(to)
		}
		if got := values["net.a"] + " " + values["net.b"] + " " + values["net.c"]; got != step.want {
			t.Errorf("%q: %s, want %s", step.text, got, step.want)
		}
	}
}
