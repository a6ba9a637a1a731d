package script

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// settle is what passes before a script begins: duplicate address detection of IPv6 takes its time.
const settle = 10 * time.Second

// patience is how long after its time an outgoing packet is waited for.
const (
	patience    = 2 * time.Second
	patienceAny = 10 * time.Minute // with *
)

// Run plays the script against a fresh stack, over IPv4 or IPv6. What differs is an *Error.
func (s *Script) Run(factory lab.Factory, v6 bool) (err error) {
	cfg, err := newConfig(s, v6)
	if err != nil {
		return err
	}
	l, err := lab.New(cfg.lab, factory)
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	defer func() {
		if e := l.Close(); err == nil && e != nil {
			err = fmt.Errorf("%s: closing the stack: %w", s.File, e)
		}
	}()
	r := &runner{script: s, cfg: cfg, lab: l, fds: map[int64]*descriptor{}, vars: map[string]float64{}, port: ephemeral}
	return r.run()
}

// runner plays one script.
type runner struct {
	script *Script
	cfg    *config
	lab    *lab.Lab

	zero int64  // the lab's time when the script began
	ev   *Event // being played
	last *Event // played before
	base int64  // when last was due, in script time
	due  int64  // when ev is, in script time

	flow    *flow // that packets belong to
	fds     map[int64]*descriptor
	vars    map[string]float64 // of code
	port    uint16             // the peer's next one
	pending *pendingCall
	rfc1323 rfc1323

	sent  []*Packet // by the stack, not yet looked at
	other int       // packets that are not the flow's
}

// descriptor is what a script's number stands for.
type descriptor struct {
	fd   int   // the lab's
	flow *flow // of a socket
}

func (r *runner) run() error {
	if err := r.commands(r.script.Init); err != nil {
		return r.fail(1, "%v", err)
	}
	if err := r.lab.Advance(r.lab.Now() + int64(settle)); err != nil {
		return r.fail(1, "%v", err)
	}
	r.zero = r.lab.Now()
	for i := range r.script.Events {
		r.ev = &r.script.Events[i]
		if err := r.event(); err != nil {
			return err
		}
		r.last, r.base = r.ev, r.due
	}
	if err := r.await(r.now() + int64(time.Second)); err != nil {
		return err
	}
	return nil
}

// fail is an error at a line.
func (r *runner) fail(line int, format string, args ...any) error {
	e := &Error{File: r.script.File, Line: line, Text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			e.Err = err
		}
	}
	return e
}

// now is the script's time.
func (r *runner) now() int64 { return r.lab.Now() - r.zero }

// event plays one line. Times count from the line before: from its end, or between two incoming packets from its
// due time, as packetdrill does.
func (r *runner) event() error {
	e := r.ev
	r.due = e.Time.At
	if k := e.Time.Kind; k == Relative || k == RelativeRange || k == Any {
		from := r.now()
		if r.last != nil && e.incoming() && r.last.incoming() {
			from = r.base
		}
		r.due += from
	}
	if r.last != nil && r.due < r.base {
		return r.fail(e.Line, "time goes back from %s to %s", seconds(r.base), seconds(r.due))
	}
	if e.Packet != nil && e.Packet.Out {
		return r.expect(e.Packet)
	}
	if err := r.sleep(r.due); err != nil {
		return err
	}
	switch {
	case e.Packet != nil:
		return r.inject(e.Packet)
	case e.Call != nil:
		return r.call(e.Call)
	case e.Code != nil:
		return r.code(e.Code)
	}
	if err := r.commands(e.Command); err != nil {
		return r.fail(e.Line, "%v", err)
	}
	return nil
}

func (e *Event) incoming() bool { return e.Packet != nil && !e.Packet.Out }

// sleep lets the script's time pass until due.
func (r *runner) sleep(due int64) error {
	if d := due - r.now(); d > 0 {
		if err := r.lab.Advance(r.zero + due); err != nil {
			return r.fail(r.ev.Line, "%v", err)
		}
	} else if d < -int64(r.cfg.tolerance) {
		return r.fail(r.ev.Line, "due at %s, but it is %s already", seconds(due), seconds(r.now()))
	}
	return r.checkPending()
}

// turn has the stack do what there is to do now.
func (r *runner) turn() error {
	if err := r.lab.Turn(); err != nil {
		return r.fail(r.ev.Line, "%v", err)
	}
	return r.checkPending()
}

// inject gives the stack a packet.
func (r *runner) inject(k *Packet) error {
	r.adopt(k)
	f := r.flow
	switch tcp := k.ICMP == nil; {
	case f.state == flowPassiveSYNACK && tcp && k.Flags&flagACK != 0:
		f.state = flowPassiveACKed
	case f.state == flowPassiveACKed && tcp && k.Flags&flagSYN != 0:
		f.reopened = true
	case f.state == flowSYNSent && tcp && k.Flags&flagSYN != 0: // its own SYN too: simultaneous open
		f.state, f.remoteISN = flowSYNAcked, k.Seq
	}
	if k.Flags&flagURG != 0 {
		f.unordered = true
	}
	wire, err := f.toWire(*k, r.cfg.scaled)
	if err != nil {
		return r.fail(r.ev.Line, "%v", err)
	}
	src, dst := f.remote, f.local
	if k.SrcPort != 0 {
		src = netip.AddrPortFrom(src.Addr(), k.SrcPort)
	}
	if k.DstPort != 0 {
		dst = netip.AddrPortFrom(dst.Addr(), k.DstPort)
	}
	b, err := wire.encode(src, dst, f.data(k))
	if err != nil {
		return r.fail(r.ev.Line, "%v", err)
	}
	r.lab.Inject(b)
	return r.turn()
}

// adopt makes the flow that an incoming packet begins: one to a listener, to a socket that does nothing yet, or to
// nobody.
func (r *runner) adopt(k *Packet) {
	if f := r.flow; f != nil && f.state != flowListening && f.state != flowNew {
		return
	}
	r.flow = &flow{
		state:     flowPassive,
		local:     netip.AddrPortFrom(r.cfg.lab.Local.Addr(), r.cfg.bindPort),
		remote:    netip.AddrPortFrom(r.cfg.remote, r.port),
		remoteISN: k.Seq, readTo: 1, wroteTo: 1,
	}
	r.port++
}

// pump moves what the stack has sent from the lab and keeps the flow's.
func (r *runner) pump() {
	for {
		b, at, ok := r.lab.Sent()
		if !ok {
			return
		}
		if k := decode(b, at-r.zero); k != nil && r.mine(k) {
			r.sent = append(r.sent, k)
		} else {
			r.other++
		}
	}
}

// mine tells whether a packet from the stack is the flow's; a SYN to where connect() goes begins it.
func (r *runner) mine(k *Packet) bool {
	f := r.flow
	if f == nil {
		return false
	}
	if k.problem != "" && k.SrcPort == 0 { // whose it is cannot be told
		return true
	}
	if k.dst != f.remote.Addr() {
		return false
	}
	if k.ICMP != nil {
		return true
	}
	if f.state == flowConnecting || f.state == flowSYNSent && f.local.Port() == 0 {
		if k.Flags&(flagSYN|flagACK) != flagSYN || k.DstPort != f.remote.Port() {
			return false
		}
		f.local, f.localISN = netip.AddrPortFrom(k.src, k.SrcPort), k.Seq
		return true
	}
	return k.src == f.local.Addr() && k.SrcPort == f.local.Port() && k.DstPort == f.remote.Port()
}

// receive takes the flow's next packet, waiting until the script's time until.
func (r *runner) receive(until int64) (*Packet, error) {
	r.pump()
	if len(r.sent) == 0 {
		_, err := r.lab.Wait(r.zero+until, func() bool { r.pump(); return len(r.sent) > 0 })
		if err != nil {
			return nil, r.fail(r.ev.Line, "%v", err)
		}
		if err := r.checkPending(); err != nil {
			return nil, err
		}
	}
	if len(r.sent) == 0 {
		return nil, nil
	}
	k := r.sent[0]
	r.sent = r.sent[1:]
	return k, nil
}

// seconds prints a script's time.
func seconds(t int64) string {
	s := fmt.Sprintf("%.6f", float64(t)/1e9)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " s"
}
