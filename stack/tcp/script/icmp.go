package script

import "fmt"

// icmpType is an ICMP type's number and the numbers of its codes by name.
type icmpType struct {
	number uint8
	codes  map[string]uint8
}

var icmpv4Types = map[string]icmpType{
	"echo_reply": {number: 0},
	"unreachable": {3, map[string]uint8{
		"net_unreachable": 0, "host_unreachable": 1, "protocol_unreachable": 2, "port_unreachable": 3,
		"frag_needed": 4, "source_route_failed": 5, "net_unknown": 6, "host_unknown": 7,
		"source_host_isolated": 8, "net_prohibited": 9, "host_prohibited": 10,
		"net_unreachable_for_tos": 11, "host_unreachable_for_tos": 12, "packet_filtered": 13,
		"precedence_violation": 14, "precedence_cutoff": 15,
	}},
	"source_quench": {number: 4}, "redirect": {number: 5}, "echo_request": {number: 8},
	"time_exceeded": {number: 11}, "parameter_problem": {number: 12},
}

var icmpv6Types = map[string]icmpType{
	"unreachable": {1, map[string]uint8{
		"no_route": 0, "admin_prohibited": 1, "not_neighbour": 2, "address_unreachable": 3, "port_unreachable": 4,
		"net_unreachable": 0,
	}},
	"packet_too_big":    {number: 2},
	"time_exceeded":     {3, map[string]uint8{"exceeded_hop_limit": 0, "exceeded_frag_time": 1}},
	"parameter_problem": {4, map[string]uint8{"header_field": 0, "unknown_next_header": 1, "unknown_option": 2}},
	"echo_request":      {number: 128}, "echo_reply": {number: 129},
}

// numbers are the type and code on the wire.
func (m *ICMP) numbers(v6 bool) (typ, code uint8, err error) {
	types, family := icmpv4Types, "ICMP"
	if v6 {
		types, family = icmpv6Types, "ICMPv6"
	}
	t, known := types[m.Type]
	if typ = t.number; !known {
		if n, _ := fmt.Sscanf(m.Type, "type_%d", &typ); n != 1 {
			return 0, 0, fmt.Errorf("%q is no %s type", m.Type, family)
		}
	}
	if m.Code == "" {
		return typ, 0, nil
	}
	if code, known = t.codes[m.Code]; !known {
		if n, _ := fmt.Sscanf(m.Code, "code_%d", &code); n != 1 {
			return 0, 0, fmt.Errorf("%q is no code of %s %s", m.Code, family, m.Type)
		}
	}
	return typ, code, nil
}

// String is the message as a script writes it.
func (m *ICMP) String() string {
	s := "icmp " + m.Type
	if m.Code != "" {
		s += " " + m.Code
	}
	if m.MTU >= 0 {
		s += fmt.Sprint(" mtu ", m.MTU)
	}
	if m.Quotes {
		s += fmt.Sprintf(" [%d:%d(%d)]", m.Seq, m.Seq+uint32(m.Len), m.Len)
	}
	return s
}
