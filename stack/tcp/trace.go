package tcp

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/wire"
)

// tracer writes down what happens to chosen connections. Others pay for one bit that is looked at.
type tracer struct{ w io.Writer }

// TraceEvent is one line of a trace. Sequence numbers are relative to the initial ones, times are microseconds of the
// stack's clock, amounts bytes.
type TraceEvent struct {
	Time     int64  `json:"t"`
	Event    string `json:"event"` // received, send, send-syn, retransmit, recovery, established, time-wait, closed, end
	Local    string `json:"local"`
	Remote   string `json:"remote"`
	State    string `json:"state"`
	Flags    string `json:"flags,omitempty"` // of a received segment, as the next four
	Seq      uint32 `json:"seq,omitempty"`
	Ack      uint32 `json:"ack,omitempty"`
	Len      int    `json:"len,omitempty"`
	Window   uint32 `json:"window,omitempty"`
	Una      uint32 `json:"una"`
	Nxt      uint32 `json:"nxt"`
	RcvNxt   uint32 `json:"rcvnxt"`
	SndWnd   uint32 `json:"sndwnd"`
	Cwnd     uint32 `json:"cwnd"`
	Ssthresh uint32 `json:"ssthresh"`
	InFlight uint32 `json:"inflight"`
	Lost     uint32 `json:"lost"`
	SRTT     uint32 `json:"srtt"`
	RTO      uint32 `json:"rto"`
	Phase    uint8  `json:"phase"` // as tcpi_ca_state
	Unsent   uint32 `json:"unsent"`
	Unread   uint32 `json:"unread"`
}

// SetTraceWriter says where the lines go. It is written to with the stack's lock held and must not call the stack.
func (t *TCP) SetTraceWriter(w io.Writer) {
	t.st.Lock()
	t.trace.w = w
	t.st.Unlock()
}

// Trace switches the trace of a socket on or off. Connections accepted from a traced listener are traced.
func (t *TCP) Trace(h stack.Handle, on bool) error {
	t.st.Lock()
	defer t.st.Unlock()
	_, p, err := t.get(h)
	if err != nil {
		return err
	}
	p.setTrace(on)
	return nil
}

// TraceFlow does it for a connection by its addresses.
func (t *TCP) TraceFlow(local, remote netip.AddrPort, on bool) error {
	t.st.Lock()
	defer t.st.Unlock()
	var k key
	k.lhi, k.llo = split(local.Addr())
	k.rhi, k.rlo = split(remote.Addr())
	k.ports = makePorts(local.Port(), remote.Port())
	if isLinkLocal(k.rhi) {
		k.scope = t.scopeOf(remote.Addr().Zone())
	}
	i, p := t.table.find(&k, t.table.hash(&k))
	if i == 0 {
		return fmt.Errorf("trace: no connection from %v to %v", local, remote)
	}
	if p != nil {
		p.setTrace(on)
		return nil
	}
	w := t.waits.at(i &^ inTimeWait)
	if w.flags &^= uint32(flagTrace); on {
		w.flags |= uint32(flagTrace)
	}
	return nil
}

func (p *pcb) setTrace(on bool) {
	p.flags &^= flagTrace
	if on {
		p.flags |= flagTrace
	}
}

func (tr *tracer) event(t *TCP, p *pcb, what string) TraceEvent {
	n := t.rec.Info(&p.rec)
	return TraceEvent{
		Time: t.now / 1e3, Event: what, State: p.state.String(),
		Local:  netip.AddrPortFrom(t.local(&p.key), p.localPort()).String(),
		Remote: netip.AddrPortFrom(t.remote(&p.key), p.remotePort()).String(),
		Una:    p.rec.Una - p.iss, Nxt: p.rec.Nxt - p.iss, RcvNxt: p.rcvNxt - p.irs, SndWnd: p.sndWnd,
		Cwnd: n.Cwnd, Ssthresh: n.Ssthresh, InFlight: n.InFlight, Lost: n.Lost, SRTT: n.RTT, RTO: n.RTO, Phase: uint8(n.Phase),
		Unsent: p.unsent(), Unread: p.rcv.len,
	}
}

func (tr *tracer) write(e *TraceEvent) {
	if b, err := json.Marshal(e); err == nil {
		tr.w.Write(append(b, '\n'))
	}
}

// step writes a line about something that was done.
func (tr *tracer) step(t *TCP, i uint32, p *pcb, what string) {
	if p.flags&flagTrace == 0 || tr.w == nil {
		return
	}
	e := tr.event(t, p, what)
	tr.write(&e)
}

// segment writes a line about a received segment.
func (tr *tracer) segment(t *TCP, i uint32, p *pcb, s *segment) {
	if tr.w == nil {
		return
	}
	e := tr.event(t, p, "received")
	e.Flags, e.Seq, e.Ack, e.Len, e.Window = flagString(s.flags), s.seq-p.irs, s.ack-p.iss, int(s.text()), s.wnd<<p.sndScale
	tr.write(&e)
}

// flagString writes flags as tcpdump does.
func flagString(f uint8) string {
	var b []byte
	for _, c := range [...]struct {
		bit  uint8
		name byte
	}{{wire.SYN, 'S'}, {wire.FIN, 'F'}, {wire.RST, 'R'}, {wire.PSH, 'P'}, {wire.URG, 'U'}, {wire.ECE, 'E'}, {wire.CWR, 'W'}, {wire.ACK, '.'}} {
		if f&c.bit != 0 {
			b = append(b, c.name)
		}
	}
	return string(b)
}
