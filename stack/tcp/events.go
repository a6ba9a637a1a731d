package tcp

import (
	"github.com/fstack-go/fstack/stack"
)

// Events implements stack.Sockets.
func (t *TCP) Events(h stack.Handle) stack.Events {
	t.st.Lock()
	defer t.st.Unlock()
	_, p, err := t.get(h)
	if err != nil {
		return 0
	}
	return t.events(p)
}

// events is the readiness as Linux's poll has it.
func (t *TCP) events(p *pcb) (ev stack.Events) {
	if p.err != 0 {
		ev |= stack.EventErr
	}
	switch p.state {
	case stateListen:
		if t.listens.at(p.ext).waiting > 0 {
			ev |= stack.EventIn
		}
		return ev
	case stateSynSent:
		return ev
	case stateSynRcvd:
		return ev
	case stateClosed:
		ev |= stack.EventHup
	}
	if p.flags&(flagShutRd|flagShutWr) == flagShutRd|flagShutWr {
		ev |= stack.EventHup
	}
	if p.flags&flagShutRd != 0 {
		ev |= stack.EventIn | stack.EventRdHup
	}
	if p.rcv.len >= t.opts.at(p.opts).lowat {
		ev |= stack.EventIn
	}
	if p.flags&flagShutWr != 0 || p.writable() && t.belowNotSent(p) {
		ev |= stack.EventOut
	}
	if p.urg == urgHere {
		ev |= stack.EventPri
	}
	return ev
}

// writable tells whether there is room worth telling of: a third of the queue, as on Linux.
func (p *pcb) writable() bool { return p.snd.len <= p.sndBuf-p.sndBuf/3 }

// Watch implements stack.Sockets.
func (t *TCP) Watch(h stack.Handle, sink stack.SinkID, tag uint32) stack.Events {
	t.st.Lock()
	defer t.st.Unlock()
	_, p, err := t.get(h)
	if err != nil {
		return 0
	}
	p.sink, p.tag = sink, tag
	return t.events(p)
}

// notify tells the socket layer that a socket became ready.
func (t *TCP) notify(p *pcb, ev stack.Events) {
	if p.sink != stack.SinkNone {
		t.st.Notify(p.sink, p.tag, ev)
	}
}
