package script_test

import (
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// gvisor puts a stack together that has gVisor's TCP: the reference.
func gvisor(cfg lab.Config, dev stack.Device, now func() int64) (*lab.Host, error) {
	st := stack.New(now)
	port := st.AddPort(dev)
	n, err := newNetstack(st, port, cfg, true)
	if err != nil {
		return nil, err
	}
	st.AddLayer(n)
	return &lab.Host{
		Stack: st, Sockets: n, Settle: n.Settle,
		Sysctl: func(name, value string) error {
			if name == "net.inet.tcp.cc.algorithm" && (value == "reno" || value == "newreno") {
				return nil // its default
			}
			return lab.ErrNoSysctl
		},
		Close: func() error { n.Destroy(); return nil },
	}, nil
}

func newNetstack(st *stack.Stack, port int, cfg lab.Config, tcp bool) (*netstack.Netstack, error) {
	n, err := netstack.New(st, netstack.Config{TCP: tcp})
	if err != nil {
		return nil, err
	}
	p := netstack.PortConfig{}
	p.Addrs = append(p.Addrs, cfg.Local)
	if cfg.Gateway.Is4() {
		p.Gateway4 = cfg.Gateway
	} else {
		p.Gateway6 = cfg.Gateway
	}
	if err := n.AddPort(port, p); err != nil {
		return nil, err
	}
	return n, nil
}
