package fstack

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/stack/netstack"
)

// settings are the config that is in effect: the one of the start, with what was reloaded since.
type settings struct {
	mu     sync.Mutex
	cfg    *config.Config
	values map[config.Place]string
}

func newSettings(cfg *config.Config) *settings { return &settings{cfg: cfg, values: cfg.Values()} }

func (s *settings) config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// changeable tells whether a value can change at run time.
func changeable(p config.Place) bool {
	switch kind := strings.TrimRight(p.Section, "0123456789"); {
	case kind == "port":
		return slices.Contains([]string{"addr", "netmask", "broadcast", "gateway", "addr6", "prefix_len", "gateway6", "vip_addr", "vip_addr6", "vip_prefix_len"}, p.Key)
	case p.Section == "stack":
		return p.Key == "log_level" || p.Key == "drain"
	case p.Section == "freebsd.sysctl":
		return portSysctls[p.Key] == nil
	}
	return false
}

// difference is what another config changes: at once, and only by a restart.
func (s *settings) difference(to *config.Config) (now, restart []config.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := to.Values()
	for p, v := range values {
		if old, there := s.values[p]; there && old == v {
			continue
		}
		if changeable(p) && s.known(p) {
			now = append(now, p)
		} else {
			restart = append(restart, p)
		}
	}
	for p := range s.values {
		if _, there := values[p]; there {
			continue
		}
		if changeable(p) && s.known(p) {
			now = append(now, p)
		} else {
			restart = append(restart, p)
		}
	}
	order := func(a, b config.Place) int {
		return cmp.Or(strings.Compare(a.Section, b.Section), strings.Compare(a.Key, b.Key))
	}
	slices.SortFunc(now, order)
	slices.SortFunc(restart, order)
	return now, restart
}

// known tells whether a place belongs to what runs: a new section of a port does not.
func (s *settings) known(p config.Place) bool {
	return !strings.HasPrefix(p.Section, "port") || slices.ContainsFunc(s.cfg.Ports, func(q config.Port) bool { return fmt.Sprintf("port%d", q.ID) == p.Section })
}

// adopt makes those of another config's values that can change at run time the ones in effect.
func (s *settings) adopt(to *config.Config) {
	now, _ := s.difference(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	merged, values := *s.cfg, to.Values()
	for _, p := range now {
		if v, there := values[p]; there {
			s.values[p] = v
		} else {
			delete(s.values, p)
		}
	}
	merged.Ports = slices.Clone(s.cfg.Ports)
	for i := range merged.Ports {
		m := &merged.Ports[i]
		if j := slices.IndexFunc(to.Ports, func(q config.Port) bool { return q.ID == m.ID }); j >= 0 {
			q := to.Ports[j]
			m.Addr, m.Addr6, m.Gateway, m.Gateway6, m.VIPs = q.Addr, q.Addr6, q.Gateway, q.Gateway6, q.VIPs
		}
	}
	merged.Sysctl, merged.Stack.LogLevel, merged.Stack.Drain = to.Sysctl, to.Stack.LogLevel, to.Stack.Drain
	s.cfg = &merged
}

// report says what a reload has changed and what it has not.
func report(now, restart []config.Place) (lines []string) {
	name := func(places []config.Place) string {
		var names []string
		for _, p := range places {
			names = append(names, p.String())
		}
		return strings.Join(names, ", ")
	}
	if len(now) > 0 {
		lines = append(lines, "changed: "+name(now))
	}
	if len(restart) > 0 {
		lines = append(lines, "needs a restart: "+name(restart))
	}
	if lines == nil {
		lines = []string{"nothing has changed"}
	}
	return lines
}

// reread loads the config file that cfg came from once more.
func reread(cfg *config.Config, path string) (*config.Config, error) {
	if path == "" {
		return nil, fmt.Errorf("%s is no file that could have changed", cmp.Or(cfg.File, "the program's own config"))
	}
	return config.Load(path)
}

// fileOf is the whole name of a config's file, or nothing.
func fileOf(cfg *config.Config) string {
	path, err := filepath.Abs(cfg.File)
	if cfg.Text == nil || err != nil {
		return ""
	}
	if b, err := os.ReadFile(path); err != nil || len(b) == 0 { // the built-in one
		return ""
	}
	return path
}

// reload changes what another config changes at run time, or, with an error, nothing.
func (e *engine) reload(to *config.Config) ([]string, error) {
	now, restart := e.settings.difference(to)
	if err := e.resetSysctls(now, to); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(now, func(p config.Place) bool { return strings.HasPrefix(p.Section, "port") }) {
		if err := e.readdress(to); err != nil {
			return nil, err
		}
	}
	e.log.level.Set(to.Stack.LogLevel)
	e.settings.adopt(to)
	lines := report(now, restart)
	for _, l := range lines {
		e.log.Info("config read again", "file", to.File, "result", l)
	}
	return lines, nil
}

// resetSysctls sets those sysctls that changed; one whose line is gone gets the value back that it had before any line. If
// one is wrong, those before it get their values back.
func (e *engine) resetSysctls(changed []config.Place, to *config.Config) error {
	type earlier struct{ name, value string }
	var undo []earlier
	for _, p := range changed {
		if p.Section != "freebsd.sysctl" {
			continue
		}
		l, old := e.sysctl(p.Key)
		if l == nil {
			continue
		}
		s := config.Setting{Name: p.Key, Value: e.defaults[p.Key]}
		if i := slices.IndexFunc(to.Sysctl, func(s config.Setting) bool { return s.Name == p.Key }); i >= 0 {
			s = to.Sysctl[i]
		}
		if err := e.setSysctl(l, s); err != nil {
			for _, u := range slices.Backward(undo) {
				l, _ := e.sysctl(u.name)
				l.SetSysctl(u.name, u.value)
			}
			return &config.Error{File: to.File, Line: s.Line, Section: "freebsd.sysctl", Key: s.Name, Value: s.Value, Want: err.Error()}
		}
		undo = append(undo, earlier{p.Key, old})
	}
	return nil
}

// readdress gives the ports their new addresses and gateways: what is new comes before what is old goes.
func (e *engine) readdress(to *config.Config) error {
	var errs []error
	for i, old := range e.settings.config().Ports {
		j := slices.IndexFunc(to.Ports, func(p config.Port) bool { return p.ID == old.ID })
		if j < 0 {
			continue
		}
		was, is := old.Prefixes(), to.Ports[j].Prefixes()
		add, remove := without(is, was), without(was, is)
		for _, p := range remove { // one whose net changes cannot be there twice
			if slices.ContainsFunc(add, func(q netip.Prefix) bool { return q.Addr() == p.Addr() }) {
				errs = append(errs, e.net.RemoveAddr(i, p))
			}
		}
		for _, p := range add {
			errs = append(errs, e.net.AddAddr(i, p))
		}
		for _, g := range []struct{ was, is netip.Addr }{{old.Gateway, to.Ports[j].Gateway}, {old.Gateway6, to.Ports[j].Gateway6}} {
			if g.was == g.is {
				continue
			}
			if g.was.IsValid() {
				errs = append(errs, e.net.RemoveRoute(defaultRoute(i, g.was)))
			}
			if g.is.IsValid() {
				errs = append(errs, e.net.AddRoute(defaultRoute(i, g.is)))
			}
		}
		for _, p := range remove {
			if !slices.ContainsFunc(add, func(q netip.Prefix) bool { return q.Addr() == p.Addr() }) {
				errs = append(errs, e.net.RemoveAddr(i, p))
			}
		}
	}
	return errors.Join(errs...)
}

func defaultRoute(port int, gateway netip.Addr) netstack.Route {
	any4, any6 := netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if gateway.Is4() {
		return netstack.Route{Dst: any4, Gateway: gateway, Port: port}
	}
	return netstack.Route{Dst: any6, Gateway: gateway, Port: port}
}

func without(all, others []netip.Prefix) (rest []netip.Prefix) {
	for _, p := range all {
		if !slices.Contains(others, p) {
			rest = append(rest, p)
		}
	}
	return rest
}
