package script_test

import (
	"fmt"
	"strings"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp"
	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// fstackTCP puts a stack together that has our TCP over netstack.
func fstackTCP(cfg lab.Config, dev stack.Device, now func() int64) (*lab.Host, error) {
	st := stack.New(now)
	port := st.AddPort(dev)
	n, err := newNetstack(st, port, cfg, false)
	if err != nil {
		return nil, err
	}
	t, err := tcp.New(st, n, tcp.Config{Connections: 1 << 10, Memory: 64 << 20, Secret: [32]byte{1}})
	if err != nil {
		return nil, err
	}
	st.AddLayer(t)
	st.AddLayer(n)
	return &lab.Host{
		Stack: st, Sockets: t,
		Sysctl: func(name, value string) error {
			err := t.SetSysctl(name, value)
			if err != nil && strings.Contains(err.Error(), "no setting") {
				return fmt.Errorf("%w: %w", lab.ErrNoSysctl, err)
			}
			return err
		},
		Close: func() error { t.Destroy(); n.Destroy(); return nil },
	}, nil
}
