package script

import (
	"fmt"
	"strings"
)

// String is the packet in a script's words.
func (k *Packet) String() string {
	var b strings.Builder
	b.WriteByte('<')
	if k.Out {
		b.Reset()
		b.WriteByte('>')
	}
	b.WriteString(k.IP.String())
	if k.ICMP != nil {
		b.WriteString(" " + k.ICMP.String())
		return b.String()
	}
	if k.SrcPort != 0 || k.DstPort != 0 {
		fmt.Fprintf(&b, " %d>%d", k.SrcPort, k.DstPort)
	}
	fmt.Fprintf(&b, " %s %d:%d(%d)", k.flagString(), k.Seq, k.Seq+uint32(k.Len), k.Len)
	if k.Flags&flagACK != 0 {
		fmt.Fprintf(&b, " ack %d", k.Ack)
	}
	if k.Window >= 0 {
		fmt.Fprintf(&b, " win %d", k.Window)
	}
	if k.Urgent != 0 {
		fmt.Fprintf(&b, " urg %d", k.Urgent)
	}
	if k.AnyOptions {
		b.WriteString(" <...>")
	} else if len(k.Options) > 0 {
		var list []string
		for _, o := range k.Options {
			list = append(list, o.String())
		}
		b.WriteString(" <" + strings.Join(list, ",") + ">")
	}
	return b.String()
}

func (k *Packet) flagString() string {
	s := ""
	for _, f := range flagLetters {
		if k.Flags&f.flag != 0 && !(k.ACE && f.flag&(flagECE|flagCWR|flagAE) != 0) {
			s += string(f.letter)
		}
	}
	if k.ACE {
		s += fmt.Sprint(k.ace())
	}
	if s == "" {
		return "-"
	}
	return s
}

// ace is the counter of accurate ECN: AE, CWR and ECE as one number.
func (k *Packet) ace() int {
	n := 0
	for bit, flag := range []uint16{flagECE, flagCWR, flagAE} {
		if k.Flags&flag != 0 {
			n |= 1 << bit
		}
	}
	return n
}

// String is " (…)" or nothing.
func (i IPInfo) String() string {
	var list []string
	switch i.Check {
	case TOSECN:
		list = append(list, [...]string{"noecn", "ect1", "ect0", "ce"}[i.TOS&3])
	case TOSECT01:
		list = append(list, "ect01")
	case TOSAll:
		list = append(list, fmt.Sprintf("tos %#x", i.TOS))
	}
	if i.TTL != 0 {
		list = append(list, fmt.Sprint("ttl ", i.TTL))
	}
	if i.FlowLabel != 0 {
		list = append(list, fmt.Sprintf("flowlabel %#x", i.FlowLabel))
	}
	if list == nil {
		return ""
	}
	return " [" + strings.Join(list, ", ") + "]"
}
