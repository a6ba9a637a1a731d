package posix

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/fstack-go/fstack"
)

// ErrStop is what the function given to Run returns to end it without an error.
var ErrStop = errors.New("posix: stop")

// Run starts the stack as fstack.Run does, from the config file and command line that it reads, and calls loop once
// a turn of the stack's loop, on the loop's own goroutine, until it returns an error. The functions of this package
// work meanwhile, and none of them blocks: the first call of loop makes the sockets, and EpollWait in each returns
// what is ready.
//
//	posix.Run(func() error {
//		n, err := posix.EpollWait(epfd, events, -1)
//		…
//	})
//
// The stack rests, if the config lets it, while loop gets nothing to do from EpollWait, Poll, Select, Accept or a
// receive; loop is then called when something happens, and once a second. Run returns loop's error (nil for
// ErrStop), or nil when the program was asked to end by SIGINT or SIGTERM; in both cases all descriptors are closed,
// as Close does. When another version of the program has taken over in an upgrade, loop is called on until its
// connections have ended, or the config's [stack] drain has passed: no new ones come.
func Run(loop func() error) error {
	return fstack.Run(func() error {
		st, tcp, other := fstack.Sockets()
		t := New(st, tcp, other)
		Use(t)
		return t.run(fstack.Context(), loop)
	})
}

// run calls loop from the stack's loop until one of both ends.
func (t *Table) run(ctx context.Context, loop func() error) error {
	result := make(chan error, 1)
	var replaced atomic.Bool
	var next int64 // time to look at the connections again
	t.Serve(func() error {
		if replaced.Load() {
			if now := t.stack.Clock().Now(); now >= next {
				if next = now + int64(50*time.Millisecond); !t.connected() {
					return ErrStop
				}
			}
		}
		return loop()
	}, func(err error) { result <- err })
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), fstack.ErrReplaced) {
			replaced.Store(true)
			err = <-result
		} else {
			t.stopServing()
		}
	}
	t.closeAll()
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Serve has the stack's loop call loop once a turn, and stop with the first error that it returns, after which it is
// not called again. From then on no call on the table blocks. loop runs on the stack's goroutine; Serve may be called
// from any.
func (t *Table) Serve(loop func() error, stop func(error)) {
	t.loop.Store(true)
	turn := func() bool {
		if err := loop(); err != nil {
			t.stack.Serve = nil
			stop(err)
			return true
		}
		if t.busy.Load() {
			t.busy.Store(false)
			return true
		}
		return false
	}
	t.onLoop(func() { t.stack.Serve = turn })
}

// stopServing has the stack's loop no longer call what Serve told it to, and returns when it does not.
func (t *Table) stopServing() {
	done := make(chan struct{})
	t.onLoop(func() {
		t.stack.Serve = nil
		close(done)
	})
	<-done
}

// onLoop runs f on the stack's goroutine, to which Stack.Serve belongs while the loop runs.
func (t *Table) onLoop(f func()) { t.stack.Clock().AfterFunc(0, f) }

// connected tells whether there is a socket that is connected.
func (t *Table) connected() bool {
	for _, fd := range t.descriptors() {
		if t.state(fd)&streaming == 0 {
			continue
		}
		if _, err := t.Getpeername(fd); err == nil {
			return true
		}
	}
	return false
}

// descriptors are those that are open.
func (t *Table) descriptors() (open []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for fd := range 64 * len(t.used.levels[0]) {
		if t.state(fd).kind() != kindNone {
			open = append(open, fd)
		}
	}
	return open
}

func (t *Table) closeAll() {
	for _, fd := range t.descriptors() {
		t.Close(fd)
	}
}
