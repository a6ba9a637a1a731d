package cc

import (
	"fmt"
	"strings"
)

// ID names a registered algorithm in State. It is stable for the life of the process.
type ID uint8

var registry []Algorithm

// Register adds an algorithm, before the first connection is made (from an init function).
func Register(a Algorithm) ID {
	if _, err := Lookup(a.Name()); err == nil {
		panic("cc: algorithm " + a.Name() + " registered twice")
	}
	registry = append(registry, a)
	return ID(len(registry) - 1)
}

// Default is the algorithm of connections that ask for none.
var Default = Cubic

// Lookup finds an algorithm by the name that TCP_CONGESTION and net.inet.tcp.cc.algorithm use: BSD's names, and
// Linux's reno for newreno.
func Lookup(name string) (ID, error) {
	if name == "reno" {
		name = "newreno"
	}
	for id, a := range registry {
		if a.Name() == name {
			return ID(id), nil
		}
	}
	return 0, fmt.Errorf("congestion control: no algorithm %q; there are %s", name, strings.Join(Names(), ", "))
}

// Names lists the registered algorithms, for net.inet.tcp.cc.available.
func Names() []string {
	names := make([]string, len(registry))
	for i, a := range registry {
		names[i] = a.Name()
	}
	return names
}

// Name is the algorithm's name.
func (id ID) Name() string { return registry[id].Name() }

// Traits are the algorithm's.
func (id ID) Traits() Traits { return registry[id].Traits() }
