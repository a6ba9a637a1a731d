package fstack

import (
	"errors"
	"strconv"
	"strings"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/stack/netstack"
)

// sysctler is a layer that has sysctls. Sysctl's error says that it does not know the name.
type sysctler interface {
	Sysctl(name string) (string, error)
	SetSysctl(name, value string) error
}

// portSysctls are the sysctls that netstack's ports are made by.
var portSysctls = map[string]func(*netstack.PortConfig, int){
	"net.inet6.ip6.dad_count":    func(p *netstack.PortConfig, n int) { p.DAD = n > 0 },
	"net.inet6.ip6.accept_rtadv": func(p *netstack.PortConfig, n int) { p.SLAAC = n > 0 },
}

// portSysctl applies them to a port that is to be made.
func (e *engine) portSysctl(p *netstack.PortConfig) error {
	p.DAD = true // RFC 4862 §5.4
	for _, s := range e.cfg.Sysctl {
		if set := portSysctls[s.Name]; set != nil {
			n, err := strconv.Atoi(s.Value)
			if err != nil || n < 0 {
				return e.wrongSysctl(s, errors.New("must be a number, 0 for off"))
			}
			set(p, n)
		}
	}
	return nil
}

// setSysctls hands the others to the layers that know them, and warns of the rest.
func (e *engine) setSysctls() error {
	var unknown []string
	for _, s := range e.cfg.Sysctl {
		if portSysctls[s.Name] != nil {
			continue
		}
		if l, _ := e.sysctl(s.Name); l == nil {
			unknown = append(unknown, s.Name)
		} else if err := e.setSysctl(l, s); err != nil {
			return e.wrongSysctl(s, err)
		}
	}
	if len(unknown) > 0 {
		e.log.Warn(e.cfg.File + ": [freebsd.sysctl]: these have no effect with tcp=" + e.cfg.Stack.TCP + ": " + strings.Join(unknown, ", "))
	}
	return nil
}

// sysctl returns the layer that has a sysctl, nil if none does, and its value.
func (e *engine) sysctl(name string) (sysctler, string) {
	for _, l := range e.sysctlers {
		if value, err := l.Sysctl(name); err == nil {
			return l, value
		}
	}
	return nil, ""
}

// setSysctl sets a sysctl, and remembers what it was before the first time.
func (e *engine) setSysctl(l sysctler, s config.Setting) error {
	before, _ := l.Sysctl(s.Name)
	if err := l.SetSysctl(s.Name, s.Value); err != nil {
		return err
	}
	if _, known := e.defaults[s.Name]; !known {
		if e.defaults == nil {
			e.defaults = map[string]string{}
		}
		e.defaults[s.Name] = before
	}
	return nil
}

func (e *engine) wrongSysctl(s config.Setting, err error) error {
	return &config.Error{File: e.cfg.File, Line: s.Line, Section: "freebsd.sysctl", Key: s.Name, Value: s.Value, Want: err.Error()}
}
