package netstack

import (
	"fmt"
	"reflect"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// EachStat calls f for each of gVisor's own counters, with its path in tcpip.Stats as name: "TCP.Retransmits". Counters
// by number, as of unknown protocols, are named "NICs.UnknownL3ProtocolRcvdPacketCounts.34525".
func (n *Netstack) EachStat(f func(name string, value uint64)) {
	eachStat("", reflect.ValueOf(n.g.Stats()), f)
}

func eachStat(name string, v reflect.Value, f func(string, uint64)) {
	switch c := v.Interface().(type) {
	case *tcpip.StatCounter:
		f(name, c.Value())
		return
	case *tcpip.IntegralStatCounterMap:
		keys := c.Keys()
		slices.Sort(keys)
		for _, k := range keys {
			count, _ := c.Get(k)
			f(fmt.Sprintf("%s.%d", name, k), count.Value())
		}
		return
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		path := field.Name
		if name != "" && !field.Anonymous {
			path = name + "." + field.Name
		} else if field.Anonymous {
			path = name
		}
		eachStat(path, v.Field(i), f)
	}
}
