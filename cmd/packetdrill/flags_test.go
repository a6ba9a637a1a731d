package main

import (
	"net/netip"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	o, err := parseFlags("")
	if err != nil || o.gvisor || o.lab.Local != netip.MustParsePrefix("192.168.0.1/16") || o.lab.MTU != 1500 {
		t.Errorf("no flags: %+v, %v", o, err)
	}
	o, err = parseFlags("tcp=netstack, local_ip=fd00::1/64,gateway_ip=fd00::9,mtu=1520,net.inet.tcp.sack.enable=0,a.b=c d")
	if err != nil {
		t.Fatal(err)
	}
	if !o.gvisor || o.lab.Local.String() != "fd00::1/64" || o.lab.Gateway.String() != "fd00::9" || o.lab.MTU != 1520 {
		t.Errorf("%+v", o)
	}
	if len(o.sysctls) != 2 || o.sysctls[0] != (sysctl{"net.inet.tcp.sack.enable", "0"}) || o.sysctls[1] != (sysctl{"a.b", "c d"}) {
		t.Errorf("settings %+v", o.sysctls)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for flags, want := range map[string]string{
		"tcp":                       `flag "tcp" is not name=value`,
		"tcp=linux":                 "want fstack or netstack",
		"local_ip=1.2.3.4":          "want an address with its prefix length",
		"gateway_ip=x":              `flag "gateway_ip=x"`,
		"gateway_ip=fd00::1":        "are not of one family",
		"mtu=100":                   "want 576 … 9216",
		"mtu=x":                     "want 576 … 9216",
		"sack=1":                    "want tcp, local_ip, gateway_ip, mtu or the name of a setting",
		"tcp=fstack,mtu=9000,=,mtu": `flag "="`,
	} {
		if _, err := parseFlags(flags); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nsays    %v\nand not %s", flags, err, want)
		}
	}
	if _, err := newPlugin("net.inet.tcp.nothing=1"); err == nil || !strings.Contains(err.Error(), "net.inet.tcp.nothing=1: ") {
		t.Errorf("a setting that is not there: %v", err)
	}
}
