package lab

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// Config says which addresses a stack has. All are of one family.
type Config struct {
	Local   netip.Prefix // the stack's own address and its link's prefix
	Gateway netip.Addr   // the default route's next hop, on the link; the zero value: the address after Local
	MTU     int          // bytes of IP packet; 0: 1500
	// NewFD, if set, gives a number to each new descriptor that no other has; without it they count from 1000.
	NewFD func() (int, error)
}

// Host is a stack that was put together for a lab.
type Host struct {
	Stack   *stack.Stack
	Sockets stack.Sockets
	// Sysctl sets an option by its FreeBSD name. ErrNoSysctl: there is no such name.
	Sysctl func(name, value string) error
	// Settle, if set, waits until the goroutines that a turn has woken are at rest.
	Settle func()
	// Close, if set, gives back what the stack holds.
	Close func() error
}

// Factory puts a stack together: its port is dev, its clock now (monotonic nanoseconds).
type Factory func(cfg Config, dev stack.Device, now func() int64) (*Host, error)

// Lab is a stack on the bench.
type Lab struct {
	host  *Host
	newFD func() (int, error)
	port  *port
	now   int64
	files map[int]*file
	calls []*Call
	sink  *sink
	sinks stack.SinkID
}

const (
	start    = int64(1000 * time.Second) // when a lab's clock begins
	maxTurns = 100_000                   // turns at one time after which a stack is said never to rest
)

// New puts a stack on the bench at the address of cfg.
func New(cfg Config, factory Factory) (*Lab, error) {
	if !cfg.Local.IsValid() {
		return nil, fmt.Errorf("lab: local address %v is not an address and prefix", cfg.Local)
	}
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	if !cfg.Gateway.IsValid() {
		cfg.Gateway = cfg.Local.Addr().Next()
	}
	l := &Lab{now: start, files: map[int]*file{}, sink: &sink{ready: map[uint32]stack.Events{}}}
	if l.newFD = cfg.NewFD; l.newFD == nil {
		l.newFD = l.lowestFD
	}
	l.port = newPort(cfg, l.Now)
	host, err := factory(cfg, l.port, l.Now)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	l.host = host
	l.sinks = host.Stack.AddSink(l.sink)
	return l, l.Turn()
}

// Now is the lab's time in monotonic nanoseconds.
func (l *Lab) Now() int64 { return l.now }

// Sysctl sets an option of the stack.
func (l *Lab) Sysctl(name, value string) error {
	if l.host.Sysctl == nil {
		return ErrNoSysctl
	}
	return l.host.Sysctl(name, value)
}

// Inject has the stack receive an IP packet; the next turn takes it in.
func (l *Lab) Inject(packet []byte) { l.port.inject(packet) }

// Sent takes the next IP packet that the stack has sent, with the time when it did.
func (l *Lab) Sent() (packet []byte, at int64, ok bool) { return l.port.sent() }

// Turn has the stack do all that there is to do now. Calls that were waiting return when they can.
func (l *Lab) Turn() error {
	for range maxTurns {
		busy := l.host.Stack.Poll(l.now) > 0
		if l.host.Settle != nil {
			l.host.Settle()
		}
		if l.retry() {
			busy = true
		}
		if !busy && l.port.quiet() {
			return nil
		}
	}
	return fmt.Errorf("lab: the stack did not come to rest in %d turns", maxTurns)
}

// Advance lets time pass until to, with each timer at its time.
func (l *Lab) Advance(to int64) error {
	_, err := l.Wait(to, func() bool { return false })
	return err
}

// Wait lets time pass until done or until to, and returns whether it is done. done is asked after each turn.
func (l *Lab) Wait(to int64, done func() bool) (bool, error) {
	for {
		if err := l.Turn(); err != nil {
			return false, err
		}
		if done() {
			return true, nil
		}
		next := max(l.next(), l.now+int64(time.Microsecond)) // at least a step: no stack can hold the clock
		if l.now >= to || next > to {
			break
		}
		l.now = next
	}
	if l.now >= to {
		return false, nil
	}
	l.now = to
	err := l.Turn()
	return err == nil && done(), err
}

// next is when something happens next by itself: a timer of the stack or a waiting call's deadline.
func (l *Lab) next() int64 {
	next := l.host.Stack.Next()
	for _, c := range l.calls {
		next = min(next, c.deadline)
	}
	return next
}

// Close closes all descriptors and the stack.
func (l *Lab) Close() error {
	for fd := range l.files {
		l.CloseFD(fd)
	}
	if l.host.Close != nil {
		return l.host.Close()
	}
	return nil
}
