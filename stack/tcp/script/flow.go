package script

import (
	"fmt"
	"net/netip"
)

// flowState follows a connection as far as the script's packets tell.
type flowState uint8

const (
	flowNew             flowState        = iota // socket() was called
	flowListening                               // listen() was called
	flowConnecting                              // connect() was called
	flowSYNSent                                 // the script has its SYN
	flowSYNAcked                                // the script has the peer's SYN-ACK
	flowPassive                                 // the script has the peer's first segment
	flowPassiveSYNACK                           // the stack has sent its SYN-ACK
	flowPassiveACKed                            // the peer has acknowledged it
	ephemeral           = uint16(40_000)        // the peer's first port
	patternIn, patternO = 0x5bd1, 0x9e37        // of the two directions' data
)

// flow is the connection that a script's packets belong to, with what maps its numbers to those on the wire.
//
// A script counts as tcpdump does: the numbers of a segment with SYN are absolute, those of all others relative to
// the first SYN. The peer's initial sequence number is the script's own; the stack's is learned from its SYN.
type flow struct {
	state         flowState
	local, remote netip.AddrPort

	scriptISN, localISN uint32 // the stack's, as the script says and on the wire
	reopened            bool   // the peer has sent another SYN: the next SYN-ACK may begin a new connection
	remoteISN           uint32

	stamps     map[uint32]uint32 // outgoing timestamps: script to wire
	firstStamp [2]uint32         // the first of them, script and wire

	readTo, wroteTo uint32 // relative sequence numbers of the next byte to read and to write
	unordered       bool   // urgent or peeked data: what is read is not checked
}

func (f *flow) localOffset(syn bool) uint32 {
	if syn {
		return f.localISN - f.scriptISN
	}
	return f.localISN
}

func (f *flow) remoteOffset(syn bool) uint32 {
	if syn {
		return 0
	}
	return f.remoteISN
}

// toWire maps an incoming packet's numbers from the script's to the wire's.
func (f *flow) toWire(k Packet, scaled bool) (Packet, error) {
	if k.ICMP != nil {
		m := *k.ICMP
		m.Seq += f.localOffset(false)
		k.ICMP = &m
		return k, nil
	}
	syn := k.Flags&flagSYN != 0
	k.Seq += f.remoteOffset(syn)
	k.Ack += f.localOffset(syn)
	k.Options = cloneOptions(k.Options)
	for _, o := range k.Options {
		o.shift(f.localOffset(syn))
		val, ecr, ok := o.timestamp()
		if !ok || k.Flags&flagACK == 0 {
			continue
		}
		wire, known := f.stamps[ecr]
		switch {
		case known:
		case scaled && f.stamps != nil:
			wire = ecr - f.firstStamp[0] + f.firstStamp[1]
		default:
			return k, fmt.Errorf("TS ecr %d: no outgoing segment of the script had that TS val", ecr)
		}
		o.setTimestamp(val, wire)
	}
	return k, nil
}

// toScript maps a packet that the stack has sent from the wire's numbers to the script's.
func (f *flow) toScript(k Packet) Packet {
	k.SrcPort, k.DstPort = 0, 0
	syn := k.Flags&flagSYN != 0
	k.Seq -= f.localOffset(syn)
	if k.Flags&flagACK != 0 {
		k.Ack -= f.remoteOffset(syn)
	}
	k.Options = cloneOptions(k.Options)
	for _, o := range k.Options {
		o.shift(-f.remoteOffset(syn))
	}
	return k
}

// learnStamps notes which timestamp the script expects where k has its own, and puts k's on the script's scale.
func (f *flow) learnStamps(want, k *Packet) {
	for _, w := range want.Options {
		val, _, ok := w.timestamp()
		if !ok {
			continue
		}
		for _, o := range k.Options {
			if wire, ecr, ok := o.timestamp(); ok {
				if f.stamps == nil {
					f.stamps = map[uint32]uint32{}
					f.firstStamp = [2]uint32{val, wire}
				}
				f.stamps[val] = wire
				o.setTimestamp(wire-f.firstStamp[1]+f.firstStamp[0], ecr)
			}
		}
	}
}

func cloneOptions(options []TCPOption) []TCPOption {
	out := make([]TCPOption, len(options))
	for i, o := range options {
		out[i] = TCPOption{o.Kind, append([]byte(nil), o.Data...)}
	}
	return out
}

// pattern is the stream's byte at a relative sequence number; each direction has its own salt, so that data which
// lands in the wrong place, or is sent back, is seen.
func pattern(salt, at uint32) byte {
	x := (at ^ salt) * 0x9e3779b1
	return byte(x >> 24)
}

func fill(b []byte, salt, at uint32) []byte {
	for i := range b {
		b[i] = pattern(salt, at+uint32(i))
	}
	return b
}

// differs is the index of the first byte that is not the stream's, -1 if all are.
func differs(b []byte, salt, at uint32) int {
	for i := range b {
		if b[i] != pattern(salt, at+uint32(i)) {
			return i
		}
	}
	return -1
}

// data is the payload of an incoming segment with the script's numbers.
func (f *flow) data(k *Packet) []byte {
	at := k.Seq
	if k.Flags&flagSYN != 0 {
		at = k.Seq + 1 - f.remoteISN // the SYN has the first number
	}
	return fill(make([]byte, k.Len), patternIn, at)
}
