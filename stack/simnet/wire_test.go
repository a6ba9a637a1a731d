package simnet

import (
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

func TestWireDelaysKeepsOrderAndLoses(t *testing.T) {
	var now int64
	w := New(Config{Latency: time.Millisecond, Loss: 0.5, Seed: 1}, func() int64 { return now })
	for i := range 200 {
		f := w.End(0).Queue().Alloc()
		f.Len = 60
		f.Room()[0] = byte(i)
	}
	w.End(0).Flush()
	if lost := w.Lost(); lost < 70 || lost > 130 {
		t.Errorf("lost %d of 200 frames at a loss of 0.5", lost)
	}
	if w.End(1).Exchange(); len(w.End(1).Queue().Rx) != 0 {
		t.Error("a frame arrived before the latency had passed")
	}
	if next := w.Next(); next != int64(time.Millisecond) {
		t.Errorf("next arrival at %d ns, want 1 ms", next)
	}
	now = w.Next()
	got, last := 0, -1
	for {
		w.End(1).Exchange()
		rx := w.End(1).Queue().Rx
		if len(rx) == 0 {
			break
		}
		for i := range rx {
			if v := int(rx[i].Bytes()[0]); v <= last {
				t.Errorf("frame %d after %d", v, last)
			} else {
				last = v
			}
			got++
		}
	}
	if got+int(w.Lost()) != 200 {
		t.Errorf("%d arrived and %d lost of 200", got, w.Lost())
	}
}

func TestLoopSleepsAndWakes(t *testing.T) {
	base := time.Now()
	clock := func() int64 { return int64(time.Since(base)) }
	w := New(Config{}, clock)
	st := stack.New(clock)
	st.AddPort(w.End(0))
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- st.Loop(stack.IdleAdaptive, stop) }()
	for st.Counters().Sleeps == 0 {
		time.Sleep(time.Millisecond)
	}
	w.Inject(0, make([]byte, 60))
	for deadline := time.Now().Add(900 * time.Millisecond); st.Counters().DropNoLayerTookFrame == 0; {
		if time.Now().After(deadline) {
			t.Fatal("a frame did not wake the loop")
		}
		time.Sleep(100 * time.Microsecond)
	}
	fired := make(chan struct{})
	st.Clock().AfterFunc(10*time.Millisecond, func() { close(fired) })
	select {
	case <-fired:
	case <-time.After(900 * time.Millisecond):
		t.Fatal("a timer did not wake the loop")
	}
	close(stop)
	st.Kick()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
