package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// options are what the flags string says.
type options struct {
	lab     lab.Config
	gvisor  bool
	sysctls []sysctl // in their order
}

type sysctl struct{ name, value string }

// parseFlags reads name=value,name=value.
func parseFlags(flags string) (*options, error) {
	o := &options{lab: lab.Config{Local: netip.MustParsePrefix("192.168.0.1/16"), MTU: 1500}}
	for flag := range strings.SplitSeq(flags, ",") {
		if flag = strings.TrimSpace(flag); flag == "" {
			continue
		}
		name, value, ok := strings.Cut(flag, "=")
		if !ok {
			return nil, fmt.Errorf("flag %q is not name=value", flag)
		}
		if err := o.set(name, value); err != nil {
			return nil, fmt.Errorf("flag %q: %w", flag, err)
		}
	}
	if g := o.lab.Gateway; g.IsValid() && g.Is4() != o.lab.Local.Addr().Is4() {
		return nil, fmt.Errorf("gateway_ip %v and local_ip %v are not of one family", g, o.lab.Local)
	}
	return o, nil
}

func (o *options) set(name, value string) (err error) {
	switch name {
	case "tcp":
		if value != "fstack" && value != "netstack" {
			return fmt.Errorf("want fstack or netstack")
		}
		o.gvisor = value == "netstack"
	case "local_ip":
		if o.lab.Local, err = netip.ParsePrefix(value); err != nil {
			return fmt.Errorf("want an address with its prefix length, as 192.168.0.1/16: %w", err)
		}
	case "gateway_ip":
		o.lab.Gateway, err = netip.ParseAddr(value)
	case "mtu":
		if o.lab.MTU, err = strconv.Atoi(value); err != nil || o.lab.MTU < 576 || o.lab.MTU > 9216 {
			return fmt.Errorf("want 576 … 9216")
		}
	default:
		if !strings.Contains(name, ".") {
			return fmt.Errorf("want tcp, local_ip, gateway_ip, mtu or the name of a setting as net.inet.tcp.sack.enable")
		}
		o.sysctls = append(o.sysctls, sysctl{name, value})
	}
	return err
}
