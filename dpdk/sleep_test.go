//go:build !nodpdk

package dpdk

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// counting is a layer that counts frames.
type counting struct{ told *progress }

func (c counting) Deliver(_ int, frame []stack.Frame) bool {
	if check(frame[0].Bytes()) {
		atomic.AddUint64(&c.told.got, 1)
	}
	return true
}
func (counting) Advance(int64)    {}
func (counting) Exhale(int64) int { return 0 }
func (counting) Next() int64      { return stack.Never }
func (counting) Pending() bool    { return false }

// loopWorker is a worker with a stack's own loop, which sleeps when it is idle: it tells how often as its turns.
func loopWorker(t *testing.T, m *Mesh, q *QueuePair, told *progress, ended func() bool) {
	if q.RxFD() < 0 {
		t.Error("the worker has no descriptor to wait on")
	}
	epoch := time.Now()
	st := stack.New(func() int64 { return int64(time.Since(epoch)) })
	st.AddPort(q)
	st.AddLayer(counting{told})
	st.AddSleeper(m.Sleeper(q.Slot()))
	stop, stopped := make(chan struct{}), make(chan error)
	go func() { stopped <- st.Loop(stack.IdleAdaptive, stop) }()
	before := atomic.LoadUint64(&told.turns)
	for !ended() {
		atomic.StoreUint64(&told.turns, before+st.Counters().Sleeps)
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	st.Kick()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// sleeps checks that workers sleep while nothing comes, and that each frame wakes the one that it is for.
func sleeps(t *testing.T, told []progress, send func()) {
	t.Helper()
	var before [2]uint64
	for i := range before {
		before[i] = atomic.LoadUint64(&told[i].turns)
	}
	time.Sleep(time.Second)
	for i := range before {
		// A loop without a descriptor looks 2000 times a second, others once and when the kernel has something to say.
		slept := atomic.LoadUint64(&told[i].turns) - before[i]
		t.Logf("worker %d slept %d times in a second without a frame", i, slept)
		if slept > 200 {
			t.Errorf("worker %d was woken %d times in a second without a frame", i, slept)
		}
	}
	got := atomic.LoadUint64(&told[0].got) + atomic.LoadUint64(&told[1].got)
	for i := range uint64(20) {
		send()
		patiently(t, "a frame", func() bool { return atomic.LoadUint64(&told[0].got)+atomic.LoadUint64(&told[1].got) > got+i })
	}
}

// TestSleep has two workers sleep on the queues of a TAP, also one that was started in a dead one's place.
func TestSleep(t *testing.T) {
	if os.Getenv(child) == "" {
		needTun(t)
	}
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, k := openSharedTAP(t, m)
	ws := []*process{startWorker(t, prefix, 0, Direct(0), "loop"), startWorker(t, prefix, 1, Direct(1), "loop")}
	n := uint32(0)
	send := func() {
		k.put(numbered(n))
		n++
	}
	sleeps(t, told, send)
	ws[0].kill()
	m.Down(0)
	if _, err := m.Reclaim(0); err != nil {
		t.Fatal(err)
	}
	ws[0] = startWorker(t, prefix, 0, Direct(0), "loop")
	sleeps(t, told, send)
	for _, w := range ws {
		w.finish(t)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestSleepVirtio is TestSleep over virtio_user.
func TestSleepVirtio(t *testing.T) {
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, w := openSharedVirtio(t, m)
	ws := []*process{startWorker(t, prefix, 0, Direct(0), "loop"), startWorker(t, prefix, 1, Direct(1), "loop")}
	n := uint32(0)
	sleeps(t, told, func() {
		w.put(numbered(n))
		w.get()
		n++
	})
	for _, w := range ws {
		w.finish(t)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
