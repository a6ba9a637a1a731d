package netstack

import (
	"errors"
	"syscall"
	"testing"
)

func TestSysctls(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{TCP: true})
	values := map[string][]string{
		"net.inet.tcp.cc.algorithm":  {"newreno", "cubic", "newreno"},
		"net.inet.icmp.icmplim":      {"0", "200"},
		"net.inet.ip.portrange.last": {"50000", "60000"},
	}
	for _, name := range s.Sysctls() {
		was, err := s.Sysctl(name)
		s.ok(err)
		if err := s.SetSysctl(name, was); err != nil && !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s set to what it is, %q: %v", name, was, err)
		} else if err != nil {
			continue // read only
		}
		if err := s.SetSysctl(name, "nonsense"); err == nil {
			t.Errorf("%s takes nonsense", name)
		}
		try := values[name]
		switch {
		case try != nil:
		case was == "0" || was == "1":
			try = []string{"1", "0"}
		case len(was) < 4:
			try = []string{"32", "64"}
		default:
			try = []string{"20000", "10000"}
		}
		for _, v := range try {
			if err := s.SetSysctl(name, v); err != nil {
				t.Errorf("%s=%s: %v", name, v, err)
			} else if got, _ := s.Sysctl(name); got != v {
				t.Errorf("%s is %s after it was set to %s", name, got, v)
			}
		}
		s.ok(s.SetSysctl(name, was))
	}
	for _, bad := range []struct{ name, value string }{{"net.inet.tcp.cc.algorithm", "nonesuch"}, {"net.inet.ip.ttl", "256"}, {"net.inet.ip.ttl", "0"}, {"net.inet.tcp.sack.enable", "2"}} {
		if err := s.SetSysctl(bad.name, bad.value); err == nil {
			t.Errorf("%s takes %s", bad.name, bad.value)
		}
	}
	without := newSolo(t, newFake(64, 1514, 0), Config{})
	for _, name := range []string{"net.inet.tcp.cc.algorithm", "no.such.thing"} {
		if _, err := without.Sysctl(name); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s without TCP: %v", name, err)
		}
		if err := without.SetSysctl(name, "1"); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s set without TCP: %v", name, err)
		}
	}
}
