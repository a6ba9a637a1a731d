package netstack

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/fstack-go/fstack/stack"
)

// watched are the events that gVisor tells of and stack.Events has.
const watched = waiter.EventIn | waiter.EventPri | waiter.EventOut | waiter.EventErr | waiter.EventHUp | waiter.EventRdHUp

// watch passes gVisor's news of a socket's readiness on to a sink.
type watch struct {
	st     *stack.Stack
	stream bool
	to     atomic.Uint64 // sink<<32 | tag
	mu     sync.Mutex    // of on and ended
	on     bool          // whether entry is registered
	ended  bool
	entry  waiter.Entry
}

// NotifyEvent implements waiter.EventListener. gVisor calls it with its locks held.
func (w *watch) NotifyEvent(ev waiter.EventMask) {
	to := w.to.Load()
	sink := stack.SinkID(to >> 32)
	if sink == stack.SinkNone {
		return
	}
	if w.stream && ev&waiter.EventIn != 0 {
		ev |= waiter.EventRdHUp // gVisor tells of the peer's end of stream as of data
	}
	w.st.Notify(sink, uint32(to), stack.Events(ev))
	w.st.Yield() // to the goroutine that the sink may have woken
	w.st.Kick()
}

// Watch implements stack.Sockets.
func (n *Netstack) Watch(h stack.Handle, sink stack.SinkID, tag uint32) stack.Events {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0
	}
	n.watch(s, sink, tag)
	return n.Events(h)
}

func (n *Netstack) watch(s *socket, sink stack.SinkID, tag uint32) {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to.Store(uint64(sink)<<32 | uint64(tag))
	if sink != stack.SinkNone && !w.on && !w.ended {
		w.st, w.stream = n.st, s.typ == unix.SOCK_STREAM
		w.entry.Init(w, watched)
		s.queue.EventRegister(&w.entry)
		w.on = true
	}
}

// end stops the news for good, before the socket closes.
func (w *watch) end(s *socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to.Store(0)
	w.ended = true
	if w.on {
		s.queue.EventUnregister(&w.entry)
		w.on = false
	}
}

// Events implements stack.Sockets.
func (n *Netstack) Events(h stack.Handle) stack.Events {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0
	}
	ev := stack.Events(s.ep.Readiness(watched) & watched)
	if s.typ != unix.SOCK_STREAM {
		switch tcpip.ShutdownFlags(s.shut.Load()) {
		case tcpip.ShutdownRead:
			ev |= stack.EventRdHup
		case tcpip.ShutdownRead | tcpip.ShutdownWrite:
			ev |= stack.EventRdHup | stack.EventHup
		}
		return ev
	}
	// gVisor answers for an ended connection that it is ready for all it was asked, urgent data and errors too.
	ev &^= stack.EventPri
	switch tcp.EndpointState(s.ep.State()) {
	case tcp.StateError:
	case tcp.StateInitial, tcp.StateBound:
		ev |= stack.EventOut // as on Linux: a send would not block, it fails
	default:
		ev &^= stack.EventErr
	}
	return ev
}
