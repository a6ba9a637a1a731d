package posix

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack"
	"github.com/fstack-go/fstack/stack"
)

func TestRunCallsTheLoopUntilItFails(t *testing.T) {
	table, f := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	var turns atomic.Int64
	failure := errors.New("enough")
	err := table.run(context.Background(), func() error {
		if turns.Add(1) == 1 {
			l, sa := r.listener(unix.AF_INET)
			r.must(table.SetNonblock(l, false))
			if _, _, err := table.Accept4(l, 0); err != syscall.EAGAIN { // it does not block
				return err
			}
			c := r.socket(unix.AF_INET, unix.SOCK_STREAM)
			if err := table.Connect(c, sa); err != syscall.EINPROGRESS {
				return err
			}
			ep, _ := table.EpollCreate1(0)
			if n, err := table.EpollWait(ep, make([]EpollEvent, 1), -1); n != 0 || err != nil {
				return err
			}
			if n, err := table.Poll(nil, -1); n != 0 || err != nil {
				return err
			}
			return nil
		}
		if turns.Load() == 100 {
			return failure
		}
		table.progress() // so that the loop does not rest
		return nil
	})
	if err != failure || turns.Load() != 100 {
		t.Errorf("run: %v after %d turns, want %v after 100", err, turns.Load(), failure)
	}
	if f.opened != f.closed {
		t.Errorf("%d sockets opened, %d closed", f.opened, f.closed)
	}
	if err := table.Close(3); err != syscall.EBADF {
		t.Errorf("Close of the first descriptor: %v, want EBADF", err)
	}
	time.Sleep(5 * time.Millisecond)
	if turns.Load() != 100 {
		t.Error("the loop was called after it had failed")
	}
}

func TestRunEnds(t *testing.T) {
	t.Run("by ErrStop", func(t *testing.T) {
		table, _ := newFakeTable(t)
		if err := table.run(context.Background(), func() error { return ErrStop }); err != nil {
			t.Error(err)
		}
	})
	t.Run("when asked to", func(t *testing.T) {
		table, _ := newFakeTable(t)
		ctx, cancel := context.WithCancel(context.Background())
		var turns atomic.Int64
		soon(t, "run", func() {
			err := table.run(ctx, func() error {
				if turns.Add(1) == 3 {
					cancel()
				}
				table.progress()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		n := turns.Load()
		time.Sleep(5 * time.Millisecond)
		if turns.Load() != n {
			t.Error("the loop was called after run had returned")
		}
	})
}

// The stack may rest when the loop had nothing to do, and must not when it had.
func TestServeTellsWhetherItWorked(t *testing.T) {
	now := int64(0)
	st := stack.New(func() int64 { return now })
	ready := stack.Events(0)
	table := New(st, nothing{events: &ready})
	ep, fd, tag := watchedSocket(table, unix.EPOLLIN)
	events, read := make([]EpollEvent, 4), false
	table.Serve(func() error {
		if n, _ := table.EpollWait(ep, events, -1); n > 0 && read {
			ready = 0
			table.Read(fd, make([]byte, 1))
		}
		return nil
	}, func(err error) { t.Error(err) })
	st.Poll(now)
	if st.Poll(now) > 0 {
		t.Error("a turn without events counts as work")
	}
	ready = stack.EventIn
	(*tableSink)(table).Notify(tag, ready)
	for range 3 { // level-triggered, and nobody reads
		if st.Poll(now) == 0 {
			t.Error("a turn with an event counts as none")
		}
	}
	read = true
	if st.Poll(now) == 0 {
		t.Error("a turn with a read counts as none")
	}
	st.Poll(now)
	if st.Poll(now) > 0 {
		t.Error("turns after that count as work")
	}
}

// TestRunFinishesWhenReplaced: loop goes on until its connections have ended.
func TestRunFinishesWhenReplaced(t *testing.T) {
	table, _ := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	ctx, cancel := context.WithCancelCause(context.Background())
	var after, fd int
	err := table.run(ctx, func() error {
		table.progress()
		switch {
		case fd == 0:
			_, sa := r.listener(unix.AF_INET)
			fd = r.socket(unix.AF_INET, unix.SOCK_STREAM)
			table.Connect(fd, sa)
			cancel(fstack.ErrReplaced)
		case ctx.Err() != nil:
			time.Sleep(10 * time.Millisecond)
			if after++; after == 20 {
				r.must(table.Close(fd))
			}
		}
		return nil
	})
	if err != nil || after < 20 || after > 100 {
		t.Errorf("run: %v, %d turns after another version has taken over", err, after)
	}
}
