package tcp

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"github.com/fstack-go/fstack/stack"
)

// destCache remembers by remote address what new connections would otherwise ask the network layer for each time,
// and the path MTU, which belongs to the path and not to a connection (RFC 1191 §6.3). Entries overwrite each other:
// it has a fixed size, and losing one costs only a question.
type destCache struct{ entries []dest }

type dest struct {
	rhi, rlo, lhi, llo uint64
	scope              uint32
	gen                uint32 // 0: the route is unknown
	mac                [6]byte
	port               uint8
	loopback           bool
	mtu                uint16 // of the route
	pmtu               uint16 // found by ICMP, 0: none
	pmtuUntil          int64
}

const (
	destSlots    = 1024
	pmtuLifetime = 10 * 60 * 1e9 // RFC 1191 §6.3
)

func (c *destCache) at(k *key, secret uint64) *dest {
	if c.entries == nil {
		c.entries = make([]dest, destSlots)
	}
	h := (k.rhi ^ k.rlo*0x9e3779b97f4a7c15 ^ secret) * 0xff51afd7ed558ccd
	return &c.entries[h>>32%destSlots]
}

// purge forgets all; connections that are there keep what they have.
func (c *destCache) purge() { clear(c.entries) }

func (d *dest) is(k *key) bool {
	return d.rhi == k.rhi && d.rlo == k.rlo && d.lhi == k.lhi && d.llo == k.llo && d.scope == k.scope
}

// isLocal is Network.IsLocal with the last address that was remembered: nearly all new connections come to it.
func (t *TCP) isLocal(k *key) bool {
	if k.llo == t.ours.llo && k.lhi == t.ours.lhi && k.scope == t.ours.scope && t.oursGen == t.gen {
		return true
	}
	if !t.net.IsLocal(t.local(k)) {
		return false
	}
	t.ours, t.oursGen = *k, t.gen
	return true
}

// way is what asking for a route came to.
type way uint8

const (
	wayReady way = iota
	wayWait      // the neighbour is being asked for its link address
	wayNone      // there is none; the errno says why
)

// route sees to it that the PCB's route and link address are those of now.
func (t *TCP) route(i uint32, p *pcb) (way, syscall.Errno) {
	if p.gen == t.gen {
		return wayReady, 0
	}
	d := t.destOf(p)
	if d.gen != t.gen {
		if w, err := t.ask(&p.key, d); w != wayReady {
			return w, err
		}
	}
	p.mac, p.port, p.gen = d.mac, d.port, d.gen
	if d.loopback && !t.loop.ready() {
		p.gen = 0
		return wayNone, syscall.ENOMEM
	}
	t.setPMTU(i, p, d.limit(t.now))
	return wayReady, 0
}

// destOf is the entry of a PCB's peer, which takes the place of another's if need be.
func (t *TCP) destOf(p *pcb) *dest {
	d := t.dests.at(&p.key, t.secret.port[0])
	if !d.is(&p.key) {
		*d = dest{rhi: p.rhi, rlo: p.rlo, lhi: p.lhi, llo: p.llo, scope: p.scope}
	}
	return d
}

// limit is the MTU of the path as far as it is known.
func (d *dest) limit(now int64) uint16 {
	if d.pmtu != 0 && now >= d.pmtuUntil {
		d.pmtu = 0
	}
	if d.pmtu != 0 && d.pmtu < d.mtu {
		return d.pmtu
	}
	return d.mtu
}

// ask fills in a route from the network layer.
func (t *TCP) ask(k *key, d *dest) (way, syscall.Errno) {
	r := &t.asked
	var err error
	if *r, err = t.net.Route(t.local(k), t.remote(k)); err != nil {
		t.counters.DropNoRoute++
		if errno, ok := err.(syscall.Errno); ok {
			return wayNone, errno
		}
		return wayNone, syscall.ENETUNREACH
	}
	d.loopback = r.Loopback
	if r.Loopback {
		d.port, d.mac, d.mtu = portLoop, [6]byte{}, uint16(min(max(r.MTU, 1280), loopMTU))
		d.gen = t.gen
		return wayReady, 0
	}
	mac, state := t.net.Resolve(r)
	switch state {
	case stack.Resolved:
		d.port, d.mac, d.mtu = uint8(r.Port), mac, uint16(min(max(r.MTU, 68), 65535))
		d.gen = t.gen
		return wayReady, 0
	case stack.Resolving:
		return wayWait, 0
	}
	t.counters.DropNeighbourUnreachable++
	return wayNone, syscall.EHOSTUNREACH
}

// confirmEvery is how often forward progress of a connection is told to the neighbour cache, in ms.
const confirmEvery = 5000

// confirmRoute tells the network layer that the next hop was reached (RFC 4861 §7.3.1).
func (t *TCP) confirmRoute(i uint32, p *pcb) {
	p.confirm = t.nowMS
	if p.has(flagLoopback) {
		return
	}
	// RFC 1191 §6.3: what was learnt of the path grows old; then longer packets may try again.
	if d := t.dests.at(&p.key, t.secret.port[0]); d.is(&p.key) && d.pmtu != 0 && d.gen == t.gen {
		t.setPMTU(i, p, d.limit(t.now))
	}
	var err error
	if t.asked, err = t.net.Route(t.local(&p.key), t.remote(&p.key)); err == nil {
		t.net.Confirm(&t.asked)
	}
}

func (t *TCP) local(k *key) netip.Addr  { return t.join(k.lhi, k.llo, k.scope) }
func (t *TCP) remote(k *key) netip.Addr { return t.join(k.rhi, k.rlo, k.scope) }

const mappedPrefix = 0xffff << 32 // ::ffff:0:0/96 in the low half

// join makes a netip.Addr of halves, an IPv4 one of a mapped one.
func (t *TCP) join(hi, lo uint64, scope uint32) netip.Addr {
	if hi == 0 && lo>>32 == 0xffff {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[0:8], hi)
	binary.BigEndian.PutUint64(b[8:16], lo)
	a := netip.AddrFrom16(b)
	if scope != 0 {
		return a.WithZone(t.zone(scope))
	}
	return a
}

func isLinkLocal(hi uint64) bool { return hi>>54 == 0xfe80>>6 }
