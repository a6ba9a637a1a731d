package tcp_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
	"github.com/fstack-go/fstack/stack/tcp/script"
	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// ours puts a stack together that has our TCP over netstack.
func ours(cfg lab.Config, dev stack.Device, now func() int64) (*lab.Host, error) {
	st := stack.New(now)
	port := st.AddPort(dev)
	n, err := netstack.New(st, netstack.Config{})
	if err != nil {
		return nil, err
	}
	p := netstack.PortConfig{Addrs: append([]netip.Prefix(nil), cfg.Local)}
	if cfg.Gateway.Is4() {
		p.Gateway4 = cfg.Gateway
	} else {
		p.Gateway6 = cfg.Gateway
	}
	if err := n.AddPort(port, p); err != nil {
		return nil, err
	}
	t, err := tcp.New(st, n, tcp.Config{Connections: 1 << 12, Memory: 64 << 20})
	if err != nil {
		return nil, err
	}
	st.AddLayer(t)
	st.AddLayer(n)
	return &lab.Host{
		Stack: st, Sockets: t, Settle: n.Settle, Sysctl: t.SetSysctl,
		Close: func() error { n.Destroy(); return t.Destroy() },
	}, nil
}

// TestRules plays the scripts of package script.
func TestRules(t *testing.T) {
	files, err := filepath.Glob("script/testdata/*.pkt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".pkt"), func(t *testing.T) { script.Run(t, f, ours) })
	}
}
