//go:build !nodpdk

package dpdk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stopIn stops the worker's process while it is at that place of an exchange, and leaves it stopped.
func (w *process) stopIn(t *testing.T, p *Port, slot int, at uint32) {
	t.Helper()
	pid := w.cmd.Process.Pid
	for start := time.Now(); ; {
		syscall.Kill(pid, syscall.SIGSTOP)
		for stopped := false; !stopped; {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				t.Fatal(err)
			}
			_, state, _ := strings.Cut(string(b), ") ")
			stopped = strings.HasPrefix(state, "T") && allStopped(pid)
		}
		if placeOf(p, slot) == at {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("worker %d is never at place %d", slot, at)
		}
		syscall.Kill(pid, syscall.SIGCONT)
		time.Sleep(100 * time.Microsecond)
	}
}

// allStopped tells whether all threads of a process are.
func allStopped(pid int) bool {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, thread := range threads {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, thread.Name()))
		if _, state, _ := strings.Cut(string(b), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// driverTest kills workers inside the driver's code. After each kill both queues receive and send, and the other worker
// goes on.
func driverTest(t *testing.T, m *Mesh, p *Port, told []progress, end wire, out func(slot int) uint64, restarts int, start func(slot int) *process) {
	t.Helper()
	ws := []*process{start(0), start(1)}
	stop := pump(told, end)
	var longest time.Duration
	works := func(when string) {
		t.Helper()
		for slot := range ws {
			handed, sent := atomic.LoadUint64(&told[slot].handed), out(slot)
			patiently(t, fmt.Sprintf("queue %d to receive, %s", slot, when), func() bool { return atomic.LoadUint64(&told[slot].handed) > handed+100 })
			patiently(t, fmt.Sprintf("queue %d to send, %s", slot, when), func() bool { return out(slot) > sent+100 })
		}
	}
	works("at first")
	first, _ := p.Mbufs()
	n := kills(6)
	for i := range n {
		slot := i % 2
		ws[slot].stopIn(t, p, slot, inDriver)
		ws[slot].kill()
		m.Down(slot)
		if err := Forget(ws[slot].cmd.Process.Pid); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(runtimeDir(eal.config.prefix()) + fmt.Sprintf("/*_%d*", ws[slot].cmd.Process.Pid)); len(left) > 0 {
			t.Errorf("files of a dead process: %v", left)
		}
		began := time.Now()
		r, err := m.Reclaim(slot)
		longest = max(longest, time.Since(began))
		if err != nil || !r.InDriver || r.Restarted != restarts {
			t.Fatalf("kill %d: %+v, %v; want it in the driver, and %d restarts", i, r, err, restarts)
		}
		sent := out(1 - slot)
		patiently(t, "the other worker to send", func() bool { return out(1-slot) > sent })
		ws[slot] = start(slot)
		works(fmt.Sprintf("after kill %d", i))
	}
	last, total := p.Mbufs()
	t.Logf("%d kills inside the driver; the longest reclaim took %v; mbufs in use: %d at first, %d at the end, of %d", n, longest, first, last, total)
	atomic.StoreUint64(&told[testSlots-1].turns, quiet)
	for slot, w := range ws {
		w.finish(t)
		if _, err := m.Reclaim(slot); err != nil {
			t.Error(err)
		}
		if c := p.SlotCounters(slot); told[slot].bad != 0 || c.DropRingWord != 0 {
			t.Errorf("slot %d: %+v, %+v", slot, told[slot], c)
		}
	}
	if in, out, bad := stop(); bad > 0 {
		t.Errorf("%d packets in, %d out, %d of them not as sent", in, out, bad)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestKillInDriver kills workers inside net_tap's code, whose queues go on as they are.
func TestKillInDriver(t *testing.T) {
	if os.Getenv(child) == "" {
		needTun(t)
	}
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, k := openSharedTAP(t, m)
	driverTest(t, m, p, told, k, func(slot int) uint64 { return atomic.LoadUint64(&told[slot].turns) }, 0,
		func(slot int) *process { return startWorker(t, prefix, slot, Direct(slot), "busy") })
}

// TestKillInVirtio kills workers inside virtio's code: the device is started anew.
func TestKillInVirtio(t *testing.T) {
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, w := openSharedVirtio(t, m)
	driverTest(t, m, p, told, w, func(slot int) uint64 { return w.out[slot].Load() }, 1,
		func(slot int) *process { return startWorker(t, prefix, slot, Direct(slot), "busy") })
}

// TestReclaimBesideStopped kills a worker in virtio's code while another is stopped there: the device cannot be started
// anew until that goes on. Reclaim says so within its time, and does it later.
func TestReclaimBesideStopped(t *testing.T) {
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, w := openSharedVirtio(t, m)
	ws := []*process{startWorker(t, prefix, 0, Direct(0), "busy"), startWorker(t, prefix, 1, Direct(1), "busy")}
	stop := pump(told, w)
	ws[0].stopIn(t, p, 0, inDriver)
	ws[1].stopIn(t, p, 1, inDriver)
	ws[1].kill()
	m.Down(1)
	for range 3 {
		if _, err := m.Reclaim(1); !errors.Is(err, syscall.ETIMEDOUT) && !errors.Is(err, syscall.EAGAIN) {
			t.Fatalf("with a process that stands still: %v", err)
		}
	}
	syscall.Kill(ws[0].cmd.Process.Pid, syscall.SIGCONT)
	var r Reclaimed
	patiently(t, "the other worker to go on", func() (ok bool) {
		var err error
		r, err = m.Reclaim(1)
		return err == nil
	})
	if r.Restarted != 1 {
		t.Errorf("%+v; want the device started anew", r)
	}
	ws[1] = startWorker(t, prefix, 1, Direct(1))
	for slot := range ws {
		sent, handed := w.out[slot].Load(), atomic.LoadUint64(&told[slot].handed)
		patiently(t, "both queues to go on", func() bool { return w.out[slot].Load() > sent && atomic.LoadUint64(&told[slot].handed) > handed })
	}
	atomic.StoreUint64(&told[testSlots-1].turns, quiet)
	for _, w := range ws {
		w.finish(t)
	}
	if _, _, bad := stop(); bad > 0 || told[0].bad+told[1].bad > 0 {
		t.Errorf("%d packets were not as sent", bad)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
