package script

import (
	"math"
	"strings"
)

// packet: direction [(IP info)] [port > port] flags start:end(length) [ack N] [win N] [urg N] [<options>]
// or: direction [(IP info)] icmp type [code] [mtu N] [[start:end(length)]]
func (p *parser) packet() (*Packet, error) {
	first := p.next()
	k := &Packet{Out: first.text == ">", Window: -1}
	if err := p.ipInfo(k); err != nil {
		return nil, err
	}
	switch t := p.peek(); t.text {
	case "icmp":
		p.pos++
		return k, p.icmp(k)
	case "udp", "ipv4", "ipv6", "gre", "GREv0", "mpls", "encap":
		return nil, p.fail(t, "%s packets are not supported: only TCP segments and ICMP messages are", t.text)
	}
	if t := p.peek(); t.kind == tokInt {
		src, err := p.integer("source port", 0, math.MaxUint16)
		if err != nil {
			return nil, err
		}
		if err := p.expect(">"); err != nil {
			return nil, err
		}
		dst, err := p.integer("destination port", 0, math.MaxUint16)
		if err != nil {
			return nil, err
		}
		k.SrcPort, k.DstPort = uint16(src), uint16(dst)
	}
	if err := p.flags(k); err != nil {
		return nil, err
	}
	var err error
	if k.Seq, k.Len, err = p.sequence(); err != nil {
		return nil, err
	}
	number := func(name string, hi int64) (v int64, found bool, err error) {
		if !p.accept(name) {
			return 0, false, nil
		}
		v, err = p.integer(name, 0, hi)
		return v, err == nil, err
	}
	if v, _, err := number("ack", math.MaxUint32); err != nil {
		return nil, err
	} else {
		k.Ack = uint32(v)
	}
	if v, found, err := number("win", math.MaxUint16); err != nil {
		return nil, err
	} else if found {
		k.Window = int(v)
	}
	if v, _, err := number("urg", math.MaxUint16); err != nil {
		return nil, err
	} else {
		k.Urgent = uint16(v)
	}
	if p.accept("<") {
		if err := p.options(k); err != nil {
			return nil, err
		}
	}
	if !k.Out && k.Window < 0 {
		return nil, p.fail(first, "an incoming segment needs a window: win N")
	}
	if !k.Out && k.AnyOptions {
		return nil, p.fail(first, "<...> is only for outgoing segments")
	}
	return k, nil
}

func (p *parser) ipInfo(k *Packet) error {
	end := ")"
	if !p.accept("(") {
		if !p.accept("[") {
			return nil
		}
		end = "]"
	}
	for {
		t := p.next()
		switch t.text {
		case "noecn":
			k.IP.Check, k.IP.TOS = TOSECN, 0
		case "ect1":
			k.IP.Check, k.IP.TOS = TOSECN, 1
		case "ect0":
			k.IP.Check, k.IP.TOS = TOSECN, 2
		case "ce":
			k.IP.Check, k.IP.TOS = TOSECN, 3
		case "ect01":
			if k.IP.Check = TOSECT01; !k.Out {
				return p.fail(t, "ect01 is only for outgoing packets")
			}
		case "tos":
			v, err := p.integer("type of service", 0, 255)
			if err != nil {
				return err
			}
			k.IP.Check, k.IP.TOS = TOSAll, uint8(v)
		case "ttl":
			v, err := p.integer("time to live", 1, 255)
			if err != nil {
				return err
			}
			k.IP.TTL = uint8(v)
		case "flowlabel":
			v, err := p.integer("flow label", 0, 0xfffff)
			if err != nil {
				return err
			}
			if k.IP.FlowLabel = uint32(v); k.Out {
				return p.fail(t, "flowlabel is only for incoming packets: the stack chooses its own")
			}
		default:
			return p.fail(t, "expected noecn, ect0, ect1, ect01, ce, tos, ttl or flowlabel, found %v", t)
		}
		if p.accept(end) {
			return nil
		}
		if err := p.expect(","); err != nil {
			return err
		}
	}
}

// flags: letters and a dot for ACK, then a digit for the ACE counter; or - for none.
func (p *parser) flags(k *Packet) error {
	t := p.next()
	text := t.text
	switch {
	case t.kind == tokPunct && text == "-":
		return nil
	case t.kind == tokWord:
		if n := p.peek(); n.tied && (n.kind == tokPunct && n.text == "." || n.kind == tokFloat) {
			text += p.next().text
		}
	case t.kind == tokPunct && text == ".", t.kind == tokFloat:
	default:
		return p.fail(t, "expected TCP flags, found %v", t)
	}
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '7' && !k.ACE && k.Flags&(flagECE|flagCWR|flagAE) == 0 {
			k.ACE = c != '0' // as packetdrill has it
			for bit, flag := range []uint16{flagECE, flagCWR, flagAE} {
				if (c-'0')>>bit&1 != 0 {
					k.Flags |= flag
				}
			}
			continue
		}
		at := strings.IndexByte("FSRPUEWA.", c)
		if at < 0 || k.ACE && at >= 5 && c != '.' {
			return p.fail(t, "%q is no TCP flag here: flags are F S R P . U E W A, or a digit for E, W and A", c)
		}
		k.Flags |= flagLetters[at].flag
	}
	return nil
}

// sequence: start:end(length)
func (p *parser) sequence() (start uint32, length int, err error) {
	at := p.peek()
	from, err := p.integer("sequence number", 0, math.MaxUint32)
	if err != nil {
		return 0, 0, err
	}
	if err := p.expect(":"); err != nil {
		return 0, 0, err
	}
	to, err := p.integer("sequence number", 0, math.MaxUint32)
	if err != nil {
		return 0, 0, err
	}
	if err := p.expect("("); err != nil {
		return 0, 0, err
	}
	n, err := p.integer("payload length", 0, math.MaxUint16-100)
	if err != nil {
		return 0, 0, err
	}
	if to != from+n {
		return 0, 0, p.fail(at, "%d:%d(%d): the end is not start + length", from, to, n)
	}
	return uint32(from), int(n), p.expect(")")
}

// options: option, … > after the opening angle.
func (p *parser) options(k *Packet) error {
	first := p.peek()
	if p.accept("...") {
		k.AnyOptions = true
		return p.expect(">")
	}
	length := 0
	for {
		o, err := p.tcpOption()
		if err != nil {
			return err
		}
		k.Options = append(k.Options, o)
		length += o.length()
		if p.accept(">") {
			break
		}
		if err := p.expect(","); err != nil {
			return err
		}
	}
	if length%4 != 0 || length > 40 {
		return p.fail(first, "the TCP options have %d bytes: at most 40 and a multiple of 4 (nop fills up) fit", length)
	}
	return nil
}

// icmp is what follows the word icmp.
func (p *parser) icmp(k *Packet) error {
	t := p.next()
	if t.kind != tokWord {
		return p.fail(t, "expected an ICMP type, found %v", t)
	}
	m := &ICMP{Type: t.text, MTU: -1}
	if n := p.peek(); n.kind == tokWord && n.text != "mtu" && n.text != "id" {
		m.Code = p.next().text
	}
	if _, _, err := m.numbers(false); err != nil {
		if _, _, err6 := m.numbers(true); err6 != nil {
			return p.fail(t, "%v, and %v", err, err6)
		}
	}
	if p.accept("mtu") {
		v, err := p.integer("MTU", 0, math.MaxUint32)
		if err != nil {
			return err
		}
		m.MTU = v
	}
	if p.peek().text == "id" {
		return p.fail(p.peek(), "ICMP echo is not supported: only errors about a segment are")
	}
	if p.accept("[") {
		var err error
		if m.Seq, m.Len, err = p.sequence(); err != nil {
			return err
		}
		m.Quotes = true
		if err := p.expect("]"); err != nil {
			return err
		}
	}
	k.ICMP = m
	return nil
}
