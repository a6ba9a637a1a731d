package config

import (
	"strings"
	"testing"
)

// Any text is a Config or an error, and what is a Config keeps its promises. The corpus is in testdata/fuzz.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("config.ini", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "config.ini") {
				t.Fatalf("error without the file's name: %v", err)
			}
			return
		}
		if len(c.DPDK.Lcores) == 0 || len(c.Ports) == 0 {
			t.Fatalf("no lcore or port: %+v", c)
		}
		for _, p := range c.Ports {
			if len(p.Prefixes()) == 0 || p.MTU < mtuMin || p.MTU > mtuMax || len(p.Lcores) == 0 {
				t.Fatalf("port %+v", p)
			}
			if p.Gateway.IsValid() && !p.Addr.Contains(p.Gateway) {
				t.Fatalf("gateway outside the net: %+v", p)
			}
		}
		for _, v := range c.Vdevs {
			if v.Name == "" || strings.ContainsAny(v.Netns, "/\x00") {
				t.Fatalf("vdev %+v", v)
			}
		}
	})
}
