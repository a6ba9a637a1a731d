package tcp

import (
	"encoding/binary"
	"syscall"

	"github.com/fstack-go/fstack/stack/wire"
)

// ICMP errors about our segments are read here in passing; netstack gets them too. An error counts only if it quotes a
// sequence number that is in flight (RFC 5927 §4.1): who cannot see the connection has to guess it.

// ICMP types and codes.
const (
	icmpUnreachable   = 3 // RFC 792
	icmpTimeExceeded  = 11
	icmpParameter     = 12
	icmpFragNeeded    = 4
	icmp6Unreachable  = 1 // RFC 4443
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
	icmpHead          = 8
)

// peekICMPv4 looks at an ICMP message over IPv4; b begins with the IP header.
func (t *TCP) peekICMPv4(port uint8, b []byte) {
	ip := wire.IPv4At(b)
	n, total := ip.HeaderLen(), ip.TotalLen()
	if n < wire.IPv4Len || total > len(b) || total < n+icmpHead+wire.IPv4Len || ip.Fragment()&(wire.IPv4MF|wire.IPv4OffsetMask) != 0 {
		return
	}
	icmp := b[n:total]
	if typ := icmp[0]; typ != icmpUnreachable && typ != icmpTimeExceeded && typ != icmpParameter {
		return
	}
	quote := wire.IPv4At(icmp[icmpHead:])
	q := quote.HeaderLen()
	if quote.Proto() != wire.ProtoTCP || q < wire.IPv4Len || len(icmp) < icmpHead+q+8 || quote.Fragment()&wire.IPv4OffsetMask != 0 {
		return
	}
	if !wire.Sum(0).Add(icmp).Good() {
		t.counters.DropBadICMP++
		return
	}
	k := key{
		lhi: 0, llo: mappedPrefix | uint64(binary.BigEndian.Uint32(quote.Src()[:])),
		rhi: 0, rlo: mappedPrefix | uint64(binary.BigEndian.Uint32(quote.Dst()[:])),
	}
	i, p := t.quoted(&k, icmp[icmpHead+q:])
	if i == 0 {
		return
	}
	code := icmp[1]
	switch {
	case icmp[0] == icmpUnreachable && code == icmpFragNeeded:
		mtu := uint32(binary.BigEndian.Uint16(icmp[6:8]))
		if mtu == 0 {
			mtu = plateau(uint32(quote.TotalLen())) // RFC 1191 §5: a router that does not tell
		}
		t.tooBig(i, p, mtu, uint32(quote.TotalLen()))
	case icmp[0] == icmpUnreachable && (code == 2 || code == 3):
		t.icmpHard(i, p, [...]syscall.Errno{2: syscall.ENOPROTOOPT, 3: syscall.ECONNREFUSED}[code])
	case icmp[0] == icmpUnreachable && (code == 9 || code == 10 || code == 13):
		t.icmpHard(i, p, syscall.EHOSTUNREACH)
	case icmp[0] == icmpUnreachable && (code == 0 || code == 6 || code == 11):
		t.icmpSoft(i, p, syscall.ENETUNREACH)
	case icmp[0] == icmpUnreachable && code == 5:
		t.icmpSoft(i, p, syscall.EOPNOTSUPP)
	case icmp[0] == icmpParameter:
		t.icmpSoft(i, p, syscall.EPROTO)
	default:
		t.icmpSoft(i, p, syscall.EHOSTUNREACH)
	}
}

// peekICMPv6 looks at an ICMPv6 message; b begins with the IP header.
func (t *TCP) peekICMPv6(port uint8, b []byte) {
	ip := wire.IPv6At(b)
	n := ip.PayloadLen()
	if n > len(b)-wire.IPv6Len || n < icmpHead+wire.IPv6Len+8 {
		return
	}
	icmp := b[wire.IPv6Len : wire.IPv6Len+n]
	if typ := icmp[0]; typ < icmp6Unreachable || typ > icmp6Parameter {
		return
	}
	quote := wire.IPv6At(icmp[icmpHead:])
	if quote.Next() != wire.ProtoTCP {
		return
	}
	if !wire.PseudoIPv6(ip.Src(), ip.Dst(), wire.ProtoICMPv6, n).Add(icmp).Good() {
		t.counters.DropBadICMP++
		return
	}
	k := key{
		lhi: be64(quote.Src()[0:8]), llo: be64(quote.Src()[8:16]), rhi: be64(quote.Dst()[0:8]), rlo: be64(quote.Dst()[8:16]),
	}
	if isLinkLocal(k.rhi) {
		k.scope = uint32(port) + 1
	}
	i, p := t.quoted(&k, icmp[icmpHead+wire.IPv6Len:])
	if i == 0 {
		return
	}
	switch icmp[0] {
	case icmp6TooBig:
		t.tooBig(i, p, binary.BigEndian.Uint32(icmp[4:8]), uint32(quote.PayloadLen())+wire.IPv6Len)
	case icmp6Unreachable:
		switch icmp[1] {
		case 1, 5, 6: // prohibited by policy: hard on Linux
			t.icmpHard(i, p, syscall.EACCES)
		case 4:
			t.icmpHard(i, p, syscall.ECONNREFUSED)
		case 0:
			t.icmpSoft(i, p, syscall.ENETUNREACH)
		default:
			t.icmpSoft(i, p, syscall.EHOSTUNREACH)
		}
	case icmp6Parameter:
		t.icmpSoft(i, p, syscall.EPROTO)
	default:
		t.icmpSoft(i, p, syscall.EHOSTUNREACH)
	}
}

// quoted finds the connection whose segment is quoted, by its first eight bytes at least, if its number is in flight.
func (t *TCP) quoted(k *key, tcp []byte) (uint32, *pcb) {
	k.ports = makePorts(binary.BigEndian.Uint16(tcp[0:2]), binary.BigEndian.Uint16(tcp[2:4]))
	i, p := t.table.find(k, t.table.hash(k))
	if i == 0 {
		return 0, nil
	}
	t.counters.RxICMPErrors++
	// In TIME-WAIT nothing is.
	if seq := binary.BigEndian.Uint32(tcp[4:8]); p == nil || before(seq, p.rec.Una) || afterEq(seq, p.rec.Nxt) {
		t.counters.DropICMPOutsideWindow++
		return 0, nil
	}
	return i, p
}

// icmpHard is an error that will not go away (RFC 5927 §5.2, RFC 1122 §4.2.3.9): it ends a connect, and is only noted
// on an established connection, where an attacker would like it to do more.
func (t *TCP) icmpHard(i uint32, p *pcb, errno syscall.Errno) {
	if p.state == stateSynSent && t.sys.icmpMayReset != 0 {
		t.counters.ICMPHardErrors++
		t.fail(i, p, errno)
		return
	}
	t.icmpSoft(i, p, errno)
}

// icmpSoft is an error that may pass: it is what a later timeout reports (RFC 1122 §4.2.3.9).
func (t *TCP) icmpSoft(i uint32, p *pcb, errno syscall.Errno) {
	t.counters.ICMPSoftErrors++
	if p.state == stateSynSent && t.sys.icmpMayReset != 0 && (errno == syscall.EHOSTUNREACH || errno == syscall.ENETUNREACH) {
		t.fail(i, p, errno) // as Linux: a connect is not worth waiting for
		return
	}
	p.soft = uint8(errno)
}

// tooBig is path MTU discovery (RFC 1191 §6, RFC 8201 §5, RFC 5927 §7): a packet of size bytes met a link of mtu.
func (t *TCP) tooBig(i uint32, p *pcb, mtu, size uint32) {
	if t.sys.pmtud == 0 || t.opts.at(p.opts).noPMTU == pmtuDont {
		return
	}
	least := uint32(pmtuMinV4)
	if p.flags&flagIPv6 != 0 {
		least = pmtuMinV6
	}
	if mtu >= uint32(p.pmtu) || size <= mtu && size != 0 {
		t.counters.DropICMPBadMTU++ // no news, or about a packet that would have fitted
		return
	}
	t.counters.PathMTUsReduced++
	if mtu < least {
		mtu = least
		if p.flags&flagIPv6 == 0 {
			p.flags |= flagFragment // beyond that routers shall cut
		}
	}
	d := t.destOf(p)
	d.pmtu, d.pmtuUntil = uint16(mtu), t.now+pmtuLifetime
	t.setPMTU(i, p, uint16(mtu))
}

const (
	pmtuMinV4 = 552  // as Linux: below, what is reported is taken for an attack, and DF left off
	pmtuMinV6 = 1280 // RFC 8200 §5
)

// The values of IP_MTU_DISCOVER.
const (
	pmtuDont = iota
	pmtuWant
	pmtuDo
	pmtuProbe
)

// plateau is the next lower usual MTU (RFC 1191 §7.1).
func plateau(size uint32) uint32 {
	for _, mtu := range [...]uint32{32000, 17914, 8166, 4352, 2002, 1492, 1006, 508} {
		if mtu < size {
			return mtu
		}
	}
	return 296
}

// setPMTU takes over the MTU of a path: segments in flight that are too long are sent again at once.
func (t *TCP) setPMTU(i uint32, p *pcb, mtu uint16) {
	if p.pmtu == mtu {
		return
	}
	p.pmtu = mtu
	if p.state.in(statesHalf) && p.peerMSS == 0 && p.flags&flagActive != 0 {
		return // the SYN's answer will say more
	}
	old := p.mss
	t.setMSS(p)
	if p.mss == old || !p.state.in(statesSynced) {
		return
	}
	t.rec.SetMSS(&p.rec, p.mss)
	p.flags |= flagRetransmit
	t.mark(i, p)
}

// unreachable deals with a missing route or neighbour.
func (t *TCP) unreachable(i uint32, p *pcb, errno syscall.Errno) {
	switch {
	case p.state == stateSynSent:
		t.fail(i, p, errno)
	case p.state == stateSynRcvd && p.flags&flagActive == 0:
		t.end(i, p)
	default:
		p.soft = uint8(errno)
		p.flags &^= flagAckNow
		if p.rec.Una == p.rec.Nxt && (p.snd.len > 0 || p.flags&(flagShutWr|flagFinSent) == flagShutWr) {
			p.probes++
			t.stall(i, p)
		}
	}
}
