package stack

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// watched is a table of which only Watch is used.
type watched struct {
	Sockets
	sink SinkID
	tag  uint32
}

func (t *watched) Watch(_ Handle, sink SinkID, tag uint32) Events {
	t.sink, t.tag = sink, tag
	return 0
}

// clocked returns a stack on a clock that the test sets.
func clocked() (*Stack, *atomic.Int64) {
	now := new(atomic.Int64)
	return New(now.Load), now
}

// waits starts a goroutine that waits, and returns where its result comes, once it is parked.
func waits(t *testing.T, w *Waiter, d Direction) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- w.Wait(d) }()
	for start := time.Now(); w.sides[d].state.Load() != sideParked; runtime.Gosched() {
		if time.Since(start) > 5*time.Second {
			t.Fatal("the goroutine did not park")
		}
	}
	return result
}

func want(t *testing.T, result <-chan error, err error) {
	t.Helper()
	select {
	case got := <-result:
		if !errors.Is(got, err) {
			t.Errorf("Wait returned %v, want %v", got, err)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("Wait did not return; want %v", err)
	}
}

func still(t *testing.T, result <-chan error) {
	t.Helper()
	select {
	case err := <-result:
		t.Errorf("Wait returned %v, want it to go on", err)
	case <-time.After(20 * time.Millisecond):
	}
}

func TestWaiterEventsWakeTheirDirection(t *testing.T) {
	for _, c := range []struct {
		name    string
		ev      Events
		in, out bool
	}{
		{"in", EventIn, true, false},
		{"urgent", EventPri, true, false},
		{"out", EventOut, false, true},
		{"peer done", EventRdHup, true, false},
		{"error", EventErr, true, true},
		{"hang-up", EventHup, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, _ := clocked()
			var w Waiter
			w.Init(st)
			in, out := waits(t, &w, Receiving), waits(t, &w, Sending)
			w.Notify(c.ev)
			if !st.yield.Load() {
				t.Error("a goroutine was woken and the loop was not asked to let it run")
			}
			for _, side := range []struct {
				result <-chan error
				woken  bool
			}{{in, c.in}, {out, c.out}} {
				if side.woken {
					want(t, side.result, nil)
				} else {
					still(t, side.result)
				}
			}
			w.Close()
		})
	}
}

func TestWaiterKeepsNewsOfBefore(t *testing.T) {
	st, _ := clocked()
	var w Waiter
	w.Init(st)
	w.Notify(EventIn)
	w.Notify(EventIn)
	if st.yield.Load() {
		t.Error("the loop was asked to yield and nobody was waiting")
	}
	if err := w.Wait(Receiving); err != nil {
		t.Fatal(err)
	}
	r := waits(t, &w, Receiving) // two pieces of news are one token
	w.Notify(EventIn)
	want(t, r, nil)
}

func TestWaiterTimeout(t *testing.T) {
	st, now := clocked()
	var w Waiter
	w.Init(st)
	if err := w.SetTimeout(Receiving, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	r := waits(t, &w, Receiving)
	now.Store(int64(10*time.Second) - 1)
	st.Poll(now.Load())
	still(t, r)
	now.Add(1)
	st.Poll(now.Load())
	want(t, r, os.ErrDeadlineExceeded)
	if err := w.Check(Receiving); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the timeout Check returns %v", err)
	}
	if err := w.Check(Sending); err != nil {
		t.Errorf("the other direction timed out as well: %v", err)
	}
	if err := w.ClearTimeout(Receiving); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(Receiving); err != nil {
		t.Errorf("after ClearTimeout Check returns %v", err)
	}
}

func TestWaiterTimeoutMovesWithoutTimer(t *testing.T) {
	st, now := clocked()
	var w Waiter
	w.Init(st)
	w.SetTimeout(Sending, time.Second)
	first := st.clock.next()
	r := waits(t, &w, Sending)
	for range 5 {
		now.Add(int64(time.Second) / 10)
		st.clock.set(now.Load())
		w.SetTimeout(Sending, time.Second)
	}
	if at := st.clock.next(); at != first {
		t.Errorf("a timeout that moved off moved its timer from %d to %d", first, at)
	}
	now.Store(first)
	st.Poll(first)
	still(t, r)
	if at := st.clock.next(); at != int64(1500*time.Millisecond) {
		t.Errorf("the early timer was set again to %d, want 1.5 s", at)
	}
	w.SetTimeout(Sending, 100*time.Millisecond) // nearer: the timer must move
	now.Store(int64(1100 * time.Millisecond))
	st.Poll(now.Load())
	want(t, r, os.ErrDeadlineExceeded)
}

func TestWaiterTimeoutCountsFromTheSource(t *testing.T) {
	st, now := clocked()
	var w Waiter
	w.Init(st)
	now.Store(int64(5 * time.Second)) // the loop did not turn for 5 s
	w.SetTimeout(Receiving, time.Second)
	st.Poll(now.Load())
	if err := w.Check(Receiving); err != nil {
		t.Errorf("one second after now, set when the turn's time was 5 s behind, gave %v at once", err)
	}
	now.Store(int64(6 * time.Second))
	st.Poll(now.Load())
	if err := w.Check(Receiving); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a second later Check returns %v", err)
	}
}

func TestWaiterTimeoutExtremes(t *testing.T) {
	st, now := clocked()
	now.Store(int64(time.Hour))
	var w Waiter
	w.Init(st)
	r := waits(t, &w, Receiving)
	w.SetTimeout(Receiving, 1<<63-1)
	st.Poll(now.Load())
	still(t, r)
	w.SetTimeout(Receiving, -1<<63)
	want(t, r, os.ErrDeadlineExceeded)
	w.SetTimeout(Receiving, 0)
	if err := w.Wait(Receiving); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a timeout of 0 gave %v", err)
	}
}

func TestWaiterClose(t *testing.T) {
	st, _ := clocked()
	var w Waiter
	w.Init(st)
	w.SetTimeout(Receiving, time.Minute)
	in, out := waits(t, &w, Receiving), waits(t, &w, Sending)
	if !w.Close() {
		t.Error("the first Close returned false")
	}
	want(t, in, net.ErrClosed)
	want(t, out, net.ErrClosed)
	if w.Close() {
		t.Error("the second Close returned true")
	}
	if st.clock.next() != Never {
		t.Error("the timer of a closed waiter is still set")
	}
	if err := w.SetTimeout(Receiving, time.Second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetTimeout after Close returned %v", err)
	}
	if err := w.ClearTimeout(Receiving); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ClearTimeout after Close returned %v", err)
	}
	if err := w.Wait(Sending); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Wait after Close returned %v", err)
	}
}

// TestWaiterLosesNoNews has a producer and a consumer that waits whenever there is nothing.
func TestWaiterLosesNoNews(t *testing.T) {
	st, now := clocked()
	var w Waiter
	w.Init(st)
	var made atomic.Int64
	const all = 20_000
	go func() {
		for range all {
			made.Add(1)
			w.Notify(EventIn)
			if made.Load()%64 == 0 { // timeouts are moved meanwhile, and fire early
				w.SetTimeout(Receiving, time.Minute)
				st.Poll(now.Add(int64(time.Second)))
			}
		}
	}()
	stop := time.AfterFunc(10*time.Second, func() { w.Close() })
	defer stop.Stop()
	for took := int64(0); took < all; {
		if n := made.Load(); n > took {
			took = n
			continue
		}
		if err := w.Wait(Receiving); err != nil {
			t.Fatalf("after %d of %d: %v", took, all, err)
		}
	}
}

func TestWaitersRouteByTag(t *testing.T) {
	st, _ := clocked()
	k := NewWaiters(st)
	const many = 300 // more than the first slots
	ws := make([]Waiter, many)
	tags := make(map[uint32]int)
	var table watched
	for i := range ws {
		ws[i].Init(st)
		tag := k.Watch(&table, 1, &ws[i])
		if j, twice := tags[tag]; twice {
			t.Fatalf("waiters %d and %d have tag %d", j, i, tag)
		}
		if tags[tag] = i; table.tag != tag {
			t.Fatalf("the table was told tag %d, the caller %d", table.tag, tag)
		}
	}
	for tag, i := range tags {
		r := waits(t, &ws[i], Receiving)
		st.Notify(table.sink, tag, EventIn)
		want(t, r, nil)
	}
	for tag := range tags {
		k.Forget(tag)
		st.Notify(table.sink, tag, EventIn) // late news are for nobody
	}
	st.Notify(table.sink, 1<<31, EventIn) // nor those for tags never given
	k.Drain()                             // has nothing to wait for
	var w Waiter
	w.Init(st)
	if _, old := tags[k.Watch(&table, 1, &w)]; !old {
		t.Error("a tag given back was not used again")
	}
}

func TestWaitersDrain(t *testing.T) {
	st, _ := clocked()
	k := NewWaiters(st)
	ws := make([]Waiter, 3)
	tags := make([]uint32, len(ws))
	for i := range ws {
		ws[i].Init(st)
		ws[i].Owner = i
		tags[i] = k.Watch(new(watched), 1, &ws[i])
	}
	var seen []any
	k.Each(func(w *Waiter) { seen = append(seen, w.Owner) })
	if len(seen) != 3 || k.Watched() != 3 {
		t.Errorf("Each saw %v of 3, Watched says %d", seen, k.Watched())
	}
	drained := make(chan error)
	go func() { k.Drain(); close(drained) }()
	for _, tag := range tags {
		still(t, drained)
		k.Forget(tag)
	}
	want(t, drained, nil)
}

func TestWaitersGrowWhileNotified(t *testing.T) {
	st, _ := clocked()
	k := NewWaiters(st)
	var table watched
	var first Waiter
	first.Init(st)
	tag := k.Watch(&table, 1, &first)
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !done.Load() {
			k.Notify(tag, EventIn)
		}
	})
	ws := make([]Waiter, 1000)
	for i := range ws {
		ws[i].Init(st)
		k.Watch(new(watched), 1, &ws[i])
	}
	for range 3 { // the notifier goes on in the new slots
		if err := first.Wait(Receiving); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	wg.Wait()
}

func TestWaiterAllocatesNothing(t *testing.T) {
	st, now := clocked()
	var w Waiter
	w.Init(st)
	k := NewWaiters(st)
	var table watched
	tag := k.Watch(&table, 1, &w)
	goes := make(chan struct{})
	go func() { // the loop's part: wakes whoever parks
		for range goes {
			for w.sides[Receiving].state.Load() != sideParked {
				runtime.Gosched()
			}
			k.Notify(tag, EventIn)
		}
	}()
	defer close(goes)
	turn := func() {
		w.SetTimeout(Receiving, time.Second)
		goes <- struct{}{}
		if err := w.Wait(Receiving); err != nil {
			t.Error(err)
		}
		st.Poll(now.Add(int64(300 * time.Millisecond)))
	}
	turn()
	if n := testing.AllocsPerRun(200, turn); n != 0 {
		t.Errorf("a timeout, a wait and a wake-up allocate %v times, want 0", n)
	}
}

func BenchmarkWaiterWake(b *testing.B) {
	st, _ := clocked()
	var w Waiter
	w.Init(st)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for w.Wait(Receiving) == nil {
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		w.Notify(EventIn)
		runtime.Gosched()
	}
	w.Close()
	<-done
}

func BenchmarkWaiterTimeoutPerRequest(b *testing.B) {
	st, now := clocked()
	var w Waiter
	w.Init(st)
	b.ReportAllocs()
	for b.Loop() {
		w.SetTimeout(Receiving, time.Second)
		now.Add(1000)
	}
}
