package stack

import (
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeDevice gives the frames of next, once each, and counts those sent.
type fakeDevice struct {
	queue Queue
	next  []Frame
	sent  int
	stuck atomic.Bool // takes nothing
}

func newFakeDevice(slots int) *fakeDevice {
	tx := make([]Frame, slots)
	for i := range tx {
		tx[i] = MakeFrame(make([]byte, 64), 0)
	}
	return &fakeDevice{queue: MakeQueue(tx)}
}

func (d *fakeDevice) Queue() *Queue    { return &d.queue }
func (d *fakeDevice) Info() DeviceInfo { return DeviceInfo{Name: "fake"} }
func (d *fakeDevice) Close() error     { return nil }

func (d *fakeDevice) Exchange() {
	d.Flush()
	d.queue.Rx, d.next = d.next, nil
}

func (d *fakeDevice) Flush() {
	if d.stuck.Load() {
		return
	}
	d.sent += len(d.queue.Taken())
	d.queue.Sent(len(d.queue.Taken()))
}

// fakeLayer takes frames whose first byte is its own and answers each with one frame.
type fakeLayer struct {
	first  byte
	dev    *fakeDevice
	got    [][]Frame
	owed   int
	events []string
}

func (l *fakeLayer) Deliver(_ int, f []Frame) bool {
	if f[0].Bytes()[0] != l.first {
		return false
	}
	l.got = append(l.got, f)
	l.owed++
	l.events = append(l.events, "deliver")
	return true
}

func (l *fakeLayer) Advance(int64) { l.events = append(l.events, "advance") }

func (l *fakeLayer) Exhale(int64) (n int) {
	l.events = append(l.events, "exhale")
	for ; l.owed > 0 && l.dev.queue.Alloc() != nil; l.owed-- {
		n++
	}
	return n
}

func (l *fakeLayer) Next() int64   { return Never }
func (l *fakeLayer) Pending() bool { return l.owed > 0 }

func frames(first ...byte) (fs []Frame) {
	for _, b := range first {
		fs = append(fs, MakeFrame([]byte{b, 0, 0}, 0))
	}
	return fs
}

func TestPollWalksInOrderAndCounts(t *testing.T) {
	d := newFakeDevice(2)
	st := New(func() int64 { return 0 })
	st.AddPort(d)
	a, b := &fakeLayer{first: 'a', dev: d}, &fakeLayer{first: 'b', dev: d}
	st.AddLayer(a)
	st.AddLayer(b)
	st.Serve = func() bool { a.events = append(a.events, "serve"); return false }
	d.next = frames('a', 'b', 'x', 'b')
	d.next[1].Flags |= More // the second and third slot are one frame
	if st.Poll(1) == 0 {
		t.Error("a turn with frames says that it did nothing")
	}
	if got := strings.Join(a.events, " "); got != "deliver advance serve exhale" {
		t.Errorf("order of a turn: %s", got)
	}
	if len(b.got) != 2 || len(b.got[0]) != 2 || len(b.got[1]) != 1 {
		t.Errorf("second layer got %v, want one frame of two pieces and one of one", b.got)
	}
	if !b.Pending() {
		t.Fatal("three answers found room in a queue of two")
	}
	if next := st.Next(); next > 0 {
		t.Errorf("with output pending the loop would rest until %d", next)
	}
	st.Poll(2)
	st.Poll(3)
	if d.sent != 3 || b.Pending() {
		t.Errorf("sent %d of 3 answers", d.sent)
	}
	d.next = frames('z')
	st.Poll(4)
	c := st.Counters()
	want := Counters{Turns: 4, RxFrames: 4, RxBytes: 15, TxFrames: 3, DropNoLayerTookFrame: 1, BusyNanos: c.BusyNanos, IdleTurns: c.IdleTurns}
	if c != want {
		t.Errorf("counters %+v, want %+v", c, want)
	}
}

// TestStuckDeviceLetsTheLoopRest: frames that a device does not take, as a vhost peer that is gone, are no work; they
// leave when it takes them again.
func TestStuckDeviceLetsTheLoopRest(t *testing.T) {
	base := time.Now()
	d := newFakeDevice(2)
	d.stuck.Store(true)
	st := New(func() int64 { return int64(time.Since(base)) })
	st.AddPort(d)
	st.AddLayer(&fakeLayer{first: 'a', dev: d, owed: 5, events: make([]string, 0, 1<<16)})
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- st.Loop(IdleAdaptive, stop) }()
	end := time.Now().Add(5 * time.Second)
	for st.Counters().Sleeps < 10 {
		if time.Now().After(end) {
			t.Fatalf("no rest with a device that takes nothing: %+v", st.Counters())
		}
		time.Sleep(time.Millisecond)
	}
	d.stuck.Store(false)
	for st.Counters().TxFrames < 5 {
		if time.Now().After(end) {
			t.Fatalf("the frames stay although the device takes them again: %+v", st.Counters())
		}
		time.Sleep(time.Millisecond)
	}
	close(stop)
	st.Kick()
	if err := <-done; err != nil || d.sent != 5 {
		t.Errorf("%d of 5 frames sent, %v", d.sent, err)
	}
}

func TestIdleTurnDoesNotAllocate(t *testing.T) {
	d := newFakeDevice(4)
	st := New(func() int64 { return 0 })
	st.AddPort(d)
	st.AddLayer(&fakeLayer{dev: d, events: make([]string, 0, 1<<16)})
	var now int64
	if n := testing.AllocsPerRun(1000, func() { now++; st.Poll(now) }); n != 0 {
		t.Errorf("%v allocations in an idle turn", n)
	}
}

func TestTimersFireOnceInOrderFromPoll(t *testing.T) {
	st := New(func() int64 { return 0 })
	c := st.Clock()
	var got []string
	add := func(name string, d time.Duration) *Timer {
		return c.AfterFunc(d, func() { got = append(got, name) })
	}
	add("c", 30)
	b := add("b", 20)
	add("a", 10)
	late := add("never", 25)
	if !late.Stop() || late.Stop() {
		t.Error("Stop does not tell whether the timer was set")
	}
	b.Reset(40)
	far := add("far", 1<<63-1)
	if st.Next() != 10 {
		t.Errorf("next timer at %d, want 10", st.Next())
	}
	for now := int64(0); now <= 50; now += 5 {
		st.Poll(now)
	}
	if want := []string{"a", "c", "b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("fired %v, want %v", got, want)
	}
	if !far.Stop() || st.Next() != Never {
		t.Error("a timer in the far future fired or was lost")
	}
	again := 0
	var tm *Timer
	tm = c.AfterFunc(0, func() { // a timer may set itself again
		if again++; again < 3 {
			tm.Reset(1)
		}
	})
	for now := int64(51); now < 60; now++ {
		st.Poll(now)
	}
	if again != 3 {
		t.Errorf("a timer that sets itself again fired %d times, want 3", again)
	}
}

func TestEveryCounterHasHelp(t *testing.T) {
	n := 0
	EachCounter(Counters{Turns: 7}, func(name, help string, v uint64) {
		n++
		if help == "" {
			t.Errorf("counter %s has no help", name)
		}
		if name == "Turns" && v != 7 {
			t.Errorf("Turns is %d, want 7", v)
		}
	})
	if n == 0 {
		t.Error("no counters")
	}
}

func TestParseIdle(t *testing.T) {
	if i, err := ParseIdle("adaptive"); i != IdleAdaptive || err != nil {
		t.Errorf("adaptive: %v, %v", i, err)
	}
	if _, err := ParseIdle("sleepy"); err == nil || !strings.Contains(err.Error(), "poll") {
		t.Errorf("a wrong policy's error is %v: it does not say what would be right", err)
	}
}

func BenchmarkIdleTurn(b *testing.B) {
	d := newFakeDevice(4)
	st := New(func() int64 { return 0 })
	st.AddPort(d)
	b.ReportAllocs()
	base := time.Now()
	for b.Loop() {
		st.Poll(int64(time.Since(base)))
	}
}
