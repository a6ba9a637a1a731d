package netstack

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/fstack-go/fstack/stack"
)

func TestPortConfigErrors(t *testing.T) {
	prefixes := func(s ...string) (p []netip.Prefix) {
		for _, x := range s {
			p = append(p, netip.MustParsePrefix(x))
		}
		return p
	}
	for _, c := range []struct {
		port int
		cfg  PortConfig
		mac  net.HardwareAddr
		want string // in the error; empty: none
	}{
		{cfg: PortConfig{}},
		{cfg: PortConfig{MTU: 1400, Addrs: prefixes("192.0.2.1/24"), Gateway4: addr("192.0.2.254"), Broadcast: addr("192.0.2.255")}},
		{cfg: PortConfig{Addrs: prefixes("2001:db8::1/64"), Gateway6: addr("fe80::1")}},
		{cfg: PortConfig{MTU: 1280, Addrs: prefixes("192.0.2.1/24")}},
		{port: 5, want: "add port 5: the stack has 1 ports"},
		{port: -1, want: "add port -1"},
		{cfg: PortConfig{MTU: 9000}, want: "MTU 9000 is not between IPv6's least, 1280, and the device's, 1500"},
		{cfg: PortConfig{MTU: 1279}, want: "MTU 1279"},
		{cfg: PortConfig{Addrs: []netip.Prefix{{}}}, want: "not valid"},
		{cfg: PortConfig{Addrs: prefixes("192.0.2.1/24", "192.0.2.1/24")}, want: "file exists"},
		{cfg: PortConfig{Addrs: prefixes("192.0.2.1/24"), Gateway4: addr("198.51.100.1")}, want: "gateway 198.51.100.1 is not in the net of [192.0.2.1/24]"},
		{cfg: PortConfig{Addrs: prefixes("192.0.2.1/24"), Gateway4: addr("2001:db8::1")}, want: "gateway 2001:db8::1 is not IPv4"},
		{cfg: PortConfig{Addrs: prefixes("192.0.2.1/24"), Gateway6: addr("192.0.2.2")}, want: "gateway 192.0.2.2 is not IPv6"},
		{cfg: PortConfig{Addrs: prefixes("2001:db8::1/64"), Gateway6: addr("2001:db8:1::2")}, want: "not in the net"},
		{cfg: PortConfig{Addrs: prefixes("192.0.2.1/24"), Broadcast: addr("192.0.2.1")}, want: "broadcast address 192.0.2.1 is not the last address"},
		{cfg: PortConfig{Name: "lo"}, want: `interface "lo"`},
		{mac: net.HardwareAddr{1, 2}, want: "no MAC address of 6 bytes"},
	} {
		st := stack.New(func() int64 { return 0 })
		dev := newFake(64, 1514, 0)
		if c.mac != nil {
			dev.info.MAC = c.mac
		}
		st.AddPort(dev)
		n, err := New(st, Config{})
		if err != nil {
			t.Fatal(err)
		}
		err = n.AddPort(c.port, c.cfg)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c.cfg, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want an error with %q", c.cfg, err, c.want)
		}
		if c.want == "" {
			if err := n.AddPort(c.port, c.cfg); err == nil || !strings.Contains(err.Error(), "added before") {
				t.Errorf("added again: %v", err)
			}
		}
		n.Destroy()
		n.Destroy() // harmless
	}
	if _, err := New(stack.New(func() int64 { return 0 }), Config{TxQueue: -1}); err == nil {
		t.Error("a transmit queue of -1 packets is taken")
	}
}

func TestMTUChanges(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{})
	before := s.Changes()
	s.ok(s.SetMTU(0, 1300))
	if r, err := s.Route(netip.Addr{}, b4); err != nil || r.MTU != 1300 || s.Changes() == before {
		t.Errorf("route %+v, %v", r, err)
	}
	for port, mtu := range map[int]int{0: 1501, 1: 1400, Loopback: 1400} {
		if err := s.SetMTU(port, mtu); err == nil {
			t.Errorf("port %d takes MTU %d", port, mtu)
		}
	}
	if err := s.SetMTU(0, 1279); err == nil {
		t.Error("MTU 1279 is taken")
	}
}

func TestStatistics(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{TCP: true})
	proto, request := echo(b4, a4, []byte("ping"))
	s.dev.receive(0, 4096, ethernet([6]byte(mac), 0x0800, ip(b4, a4, proto, request)))
	s.dev.receive(0, 4096, ethernet([6]byte(mac), 0x0800, ip(b4, a4, 143, request)))
	s.turn()
	seen := map[string]uint64{}
	s.EachStat(func(name string, v uint64) {
		if _, twice := seen[name]; twice {
			t.Errorf("%s twice", name)
		}
		seen[name] = v
	})
	for name, want := range map[string]uint64{
		"ICMP.V4.PacketsReceived.EchoRequest":        1,
		"ICMP.V4.PacketsSent.EchoReply":              1,
		"IP.PacketsReceived":                         2,
		"TCP.Retransmits":                            0,
		"UDP.PacketsSent":                            0,
		"NICs.UnknownL4ProtocolRcvdPacketCounts.143": 1,
	} {
		if got, ok := seen[name]; !ok || got != want {
			t.Errorf("%s = %d (%v), want %d", name, got, ok, want)
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d statistics", len(seen))
	}
	stack.EachCounter(Counters{}, func(name, help string, _ uint64) {
		if help == "" {
			t.Errorf("counter %s has no help", name)
		}
	})
}
