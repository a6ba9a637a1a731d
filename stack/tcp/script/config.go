package script

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// config is what a script's --options say, on top of the addresses that all scripts have.
type config struct {
	lab       lab.Config
	remote    netip.Addr
	mapped    bool // IPv4 through an IPv6 socket
	bindPort  uint16
	peerPort  uint16 // that connect() goes to
	tolerance time.Duration
	percent   float64
	stampTick time.Duration // 0: outgoing timestamps are not checked
	scaled    bool
	strict    bool // each > is one segment
}

// ignored are options of packetdrill that mean nothing here.
var ignored = map[string]bool{
	"verbose": true, "send_omit_free": true, "dry_run": true, "debug": true, "define": true, "so_flags": true,
	"so_filename": true, "non_fatal": true, "speed": true, "mss": true, "init_scripts": true, "code_command": true,
	"code_format": true, "gateway_ip": true, "netmask_ip": true,
}

// newConfig is the script's configuration over IPv4 or IPv6. The IPv6 MTU is 20 bytes larger, so that the MSS is
// the same.
func newConfig(s *Script, v6 bool) (*config, error) {
	c := &config{bindPort: 8080, peerPort: 8080, tolerance: 4 * time.Millisecond}
	local, remote := "192.168.0.1/16", "192.0.2.1"
	c.lab.MTU = 1500
	if v6 {
		local, remote = "fd3d:a0b:17d6::1/64", "fd3d:fa7b:d17d::1"
		c.lab.MTU = 1520
	}
	c.lab.Local, c.remote = netip.MustParsePrefix(local), netip.MustParseAddr(remote)
	for _, o := range s.Options {
		if err := c.set(o); err != nil {
			return nil, &Error{File: s.File, Line: o.Line, Text: fmt.Sprintf("--%s=%s: %v", o.Name, o.Value, err)}
		}
	}
	return c, nil
}

func (c *config) set(o Option) (err error) {
	integer := func(lo, hi int64) int64 {
		v, e := strconv.ParseInt(o.Value, 0, 64)
		if e != nil || v < lo || v > hi {
			err = fmt.Errorf("want a number in %d … %d", lo, hi)
		}
		return v
	}
	switch o.Name {
	case "ip_version":
		switch o.Value {
		case "ipv4", "ipv6":
		case "ipv4-mapped-ipv6":
			c.mapped = true
		default:
			err = fmt.Errorf("want ipv4, ipv6 or ipv4-mapped-ipv6")
		}
	case "bind_port":
		c.bindPort = uint16(integer(1, 65535))
	case "connect_port":
		c.peerPort = uint16(integer(1, 65535))
	case "mtu":
		c.lab.MTU = int(integer(68, 9216))
	case "tolerance_usecs":
		c.tolerance = time.Duration(integer(1, 1e9)) * time.Microsecond
	case "tolerance_percent":
		if c.percent, err = strconv.ParseFloat(o.Value, 64); err != nil || c.percent < 0 || c.percent > 100 {
			err = fmt.Errorf("want a number in 0 … 100")
		}
	case "tcp_ts_tick_usecs":
		c.stampTick = time.Duration(integer(0, 1e6)) * time.Microsecond
	case "tcp_ts_ecr_scaled":
		c.scaled = true
	case "strict_segments":
		c.strict = true
	case "local_ip":
		var a netip.Addr
		if a, err = netip.ParseAddr(o.Value); err == nil {
			c.lab.Local = netip.PrefixFrom(a, c.lab.Local.Bits())
		}
	case "remote_ip":
		c.remote, err = netip.ParseAddr(strings.SplitN(o.Value, "/", 2)[0])
	default:
		if !ignored[o.Name] {
			err = fmt.Errorf("no such option")
		}
	}
	return err
}

// versions are the IP versions that a script runs over: what --ip_version says, else what its name ends in (v4.pkt
// or v6.pkt), else both.
func (s *Script) versions() []string {
	for _, o := range s.Options {
		if o.Name == "ip_version" {
			if o.Value == "ipv6" {
				return []string{"ipv6"}
			}
			return []string{"ipv4"}
		}
	}
	switch {
	case strings.HasSuffix(s.File, "v4.pkt"):
		return []string{"ipv4"}
	case strings.HasSuffix(s.File, "v6.pkt"):
		return []string{"ipv6"}
	}
	return []string{"ipv4", "ipv6"}
}
