package script

import (
	"fmt"
	"time"
)

// expect waits for an outgoing packet and compares it with what the script says.
func (r *runner) expect(want *Packet) error {
	f := r.flow
	switch syn := want.ICMP == nil && want.Flags&flagSYN != 0; {
	case f == nil:
		return r.fail(r.ev.Line, "an outgoing packet before any socket or incoming packet")
	case f.state == flowConnecting && syn && want.Flags&flagACK == 0:
		f.state, f.scriptISN = flowSYNSent, want.Seq
	case f.state == flowPassive && syn:
		f.scriptISN = want.Seq
	}
	end := r.due
	if k := r.ev.Time.Kind; k == AbsoluteRange || k == RelativeRange {
		end += r.ev.Time.End - r.ev.Time.At
	}
	limit := end + int64(patience)
	if r.ev.Time.Kind == Any {
		limit = r.now() + int64(patienceAny)
	}
	got, err := r.gather(want, limit)
	if err != nil {
		return err
	}
	if difference := r.compare(want, got); difference != "" {
		return r.fail(r.ev.Line, "%s\n\texpected %s %v\n\tseen     %s %v", difference, when(r.ev.Time.Kind, r.due, end), want,
			seconds(got.at), r.shown(want, got))
	}
	if r.ev.Time.Kind == Any {
		r.due = r.now()
		return nil
	}
	slack := r.slack(r.due)
	if got.at < r.due-slack || got.at > end+slack {
		return r.fail(r.ev.Line, "sent at %s and not at %s (±%v)\n\tpacket %v", seconds(got.at), when(r.ev.Time.Kind, r.due, end),
			time.Duration(slack), want)
	}
	return nil
}

func when(kind TimeKind, from, to int64) string {
	if kind == Any {
		return "at any time"
	}
	if from == to {
		return seconds(from)
	}
	return seconds(from) + " … " + seconds(to)
}

// slack is how far a time may be from due: the tolerance, or its percentage of the time since the event before.
func (r *runner) slack(due int64) int64 {
	return max(int64(r.cfg.tolerance), int64(r.cfg.percent/100*float64(due-r.base)))
}

// gather takes the next packet. What the script shows as one segment may come as several: they are joined, since
// scripts written for a stack with segmentation offload show them so.
func (r *runner) gather(want *Packet, limit int64) (*Packet, error) {
	first, err := r.one(want, limit)
	if err != nil || want.ICMP != nil || r.cfg.strict {
		return first, err
	}
	whole := first
	for whole.Len > 0 && whole.Len < want.Len {
		k, err := r.one(want, limit)
		if err != nil {
			return nil, err
		}
		if k.Seq != whole.Seq+uint32(whole.Len) || k.ICMP != nil || k.Flags&(flagSYN|flagRST) != 0 || k.Ack != whole.Ack {
			return nil, r.fail(r.ev.Line, "the segments sent do not make up the one expected\n\texpected %v\n\tseen     %v\n\tand then %v",
				want, r.shown(want, whole), r.shown(want, k))
		}
		joined := *k
		joined.Seq, joined.Len, joined.at, joined.joined = whole.Seq, whole.Len+k.Len, k.at, true
		joined.payload = append(append([]byte(nil), whole.payload...), k.payload...)
		whole = &joined
	}
	return whole, nil
}

// one takes the next packet and learns the stack's initial sequence number.
func (r *runner) one(want *Packet, limit int64) (*Packet, error) {
	k, err := r.receive(limit)
	if err != nil {
		return nil, err
	}
	if k == nil {
		note := ""
		if r.other > 0 {
			note = fmt.Sprintf(" (%d packets of other flows were ignored)", r.other)
		}
		return nil, r.fail(r.ev.Line, "nothing was sent until %s%s\n\texpected %v", seconds(r.now()), note, want)
	}
	if k.problem != "" {
		return nil, r.fail(r.ev.Line, "%s\n\tseen %v", k.problem, k)
	}
	if f := r.flow; k.ICMP == nil && k.Flags&(flagSYN|flagACK) == flagSYN|flagACK {
		switch {
		case f.state == flowPassive:
			f.state, f.localISN = flowPassiveSYNACK, k.Seq
		case f.reopened: // its number is the script's from here on, and the old relative numbers go on
			f.reopened, f.localISN = false, k.Seq-want.Seq+f.scriptISN
		}
	}
	return k, nil
}

// shown is a packet from the stack with as much of it as the script speaks of.
func (r *runner) shown(want, k *Packet) *Packet {
	s := r.flow.toScript(*k)
	r.flow.learnStamps(want, &s)
	s.IP.Check = want.IP.Check
	if s.IP.Check == TOSECN || s.IP.Check == TOSECT01 {
		s.IP.Check = TOSECN
	}
	if want.IP.TTL == 0 {
		s.IP.TTL = 0
	}
	s.IP.FlowLabel = 0
	s.ACE = want.ACE
	return &s
}

// compare tells in which way a packet is not the one expected; "": in none.
func (r *runner) compare(want, got *Packet) string {
	if d := compareIP(want.IP, got.IP); d != "" {
		return d
	}
	if want.ICMP != nil || got.ICMP != nil {
		return r.compareICMP(want, got)
	}
	k := r.flow.toScript(*got)
	r.flow.learnStamps(want, &k)
	ecn := uint16(flagECE | flagCWR | flagAE)
	if got.joined { // whether a run of segments has PSH, and where, depends on offloads and not on the protocol
		k.Flags = k.Flags&^flagPSH | want.Flags&flagPSH
	}
	switch {
	case want.Flags&^ecn != k.Flags&^ecn:
		return "the flags differ"
	case want.Flags&ecn != k.Flags&ecn:
		return "the ECN flags differ"
	case want.Seq != k.Seq:
		return "the sequence numbers differ"
	case want.Len != k.Len:
		return "the payload lengths differ"
	case want.Flags&flagACK != 0 && want.Ack != k.Ack:
		return "the acknowledgment numbers differ"
	case want.Window >= 0 && want.Window != k.Window:
		return "the windows differ"
	case want.Urgent != k.Urgent:
		return "the urgent pointers differ"
	}
	if !want.AnyOptions {
		if d := r.compareOptions(want.Options, k.Options); d != "" {
			return d
		}
	}
	if syn := k.Flags&flagSYN != 0; !syn {
		if i := differs(k.payload, patternO, k.Seq); i >= 0 {
			return fmt.Sprintf("byte %d of the payload is not what was written", i)
		}
	}
	return ""
}

func compareIP(want, got IPInfo) string {
	ecn := got.TOS & 3
	switch {
	case want.Check == TOSECN && want.TOS != ecn:
		return "the ECN bits of the IP header differ"
	case want.Check == TOSECT01 && ecn != 1 && ecn != 2:
		return "the ECN bits of the IP header are neither ECT(0) nor ECT(1)"
	case want.Check == TOSAll && want.TOS != got.TOS:
		return "the types of service differ"
	case want.TTL != 0 && want.TTL != got.TTL:
		return "the times to live differ"
	}
	return ""
}

func (r *runner) compareICMP(want, got *Packet) string {
	if want.ICMP == nil || got.ICMP == nil {
		return "one is an ICMP message and one is not"
	}
	v6 := r.cfg.lab.Local.Addr().Is6()
	typ, code, err := want.ICMP.numbers(v6)
	if err != nil {
		return err.Error()
	}
	if t, c, _ := got.ICMP.numbers(v6); t != typ || c != code {
		return "the ICMP types or codes differ"
	}
	return ""
}

func (r *runner) compareOptions(want, got []TCPOption) string {
	if len(want) != len(got) {
		return "the TCP options differ"
	}
	for i, w := range want {
		wantVal, wantEcr, stamp := w.timestamp()
		val, ecr, ok := got[i].timestamp()
		switch {
		case !stamp && !w.equal(got[i]):
			return fmt.Sprintf("TCP option %d differs", i+1)
		case !stamp:
		case !ok:
			return fmt.Sprintf("TCP option %d differs", i+1)
		case ecr != wantEcr:
			return "the echoed timestamps differ"
		case r.cfg.stampTick > 0:
			off := time.Duration(int32(val-wantVal)) * r.cfg.stampTick
			if slack := time.Duration(r.slack(r.due)); off.Abs() > slack {
				return fmt.Sprintf("the timestamp is off by %v", off)
			}
		}
	}
	return ""
}
