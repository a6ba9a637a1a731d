package tcp

import (
	"net/netip"

	"github.com/fstack-go/fstack/stack"
)

// Connection is what the tools show of a socket or connection.
type Connection struct {
	Handle     stack.Handle // 0: no socket has it, or not yet
	State      string       // as RFC 9293 names it; CLOSED for a socket without connection
	Local      netip.AddrPort
	Remote     netip.AddrPort // not valid for a socket that is not connected
	IPv6Socket bool
	Unread     int // bytes that wait for the application; of a listener, connections
	Unacked    int // bytes written that the peer has not acknowledged; of a listener, its backlog
	Timer      string
	Due        int64 // ns until that timer, 0: none
}

// Connections fills list with those from the place at on, 0 being the first, and returns how many it filled and where
// to go on, 0 at the end. Between calls connections may come and go.
func (t *TCP) Connections(at uint32, list []Connection) (n int, next uint32) {
	t.st.Lock()
	defer t.st.Unlock()
	for i := max(at, 1); i < t.pcbs.fresh; i++ {
		p := t.pcbs.at(i)
		if p.state == stateFree {
			continue
		}
		if n == len(list) {
			return n, i
		}
		t.describe(i, p, &list[n])
		n++
	}
	for i := max(at, inTimeWait|1); i < t.waits.fresh|inTimeWait; i++ {
		w := t.waits.at(i &^ inTimeWait)
		if w.flags == 0 {
			continue
		}
		if n == len(list) {
			return n, i
		}
		t.describeTimeWait(w, &list[n])
		n++
	}
	return n, 0
}

func (t *TCP) describe(i uint32, p *pcb, c *Connection) {
	*c = Connection{
		State: p.state.String(), IPv6Socket: p.flags&flagIPv6Sock != 0, Unread: int(p.rcv.len), Unacked: int(p.snd.len),
		Local: netip.AddrPortFrom(t.local(&p.key), p.localPort()),
	}
	if p.flags&flagOpen != 0 {
		c.Handle = stack.Handle(i)
	}
	if p.lhi|p.llo == 0 {
		c.Local = netip.AddrPortFrom(netip.IPv4Unspecified(), p.localPort())
		if p.flags&flagIPv6Sock != 0 {
			c.Local = netip.AddrPortFrom(netip.IPv6Unspecified(), p.localPort())
		}
	}
	if p.state == stateListen {
		q := t.listens.at(p.ext)
		c.Unread, c.Unacked = int(q.waiting), int(q.backlog)-1
		return
	}
	if p.flags&flagInTable != 0 {
		c.Remote = netip.AddrPortFrom(t.remote(&p.key), p.remotePort())
	}
	for _, d := range [...]struct {
		name string
		at   int64
	}{{"retransmit", p.timeLoss}, {"ack", p.timeAck}, {t.keepName(p), p.timeKeep}} {
		if d.at != 0 && (c.Due == 0 || d.at-t.now < c.Due) {
			c.Timer, c.Due = d.name, max(d.at-t.now, 1)
		}
	}
}

// keepName is what the deadline of the state is for.
func (t *TCP) keepName(p *pcb) string {
	switch {
	case p.state == stateFinWait2 && p.flags&flagOrphan != 0:
		return "fin-wait-2"
	case p.flags&flagDeferred != 0:
		return "defer-accept"
	case p.flags&flagPersist != 0:
		return "persist"
	}
	return "keep-alive"
}
