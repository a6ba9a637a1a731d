//go:build !nodpdk

package test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sleeps tells how often each worker's loop has slept so far.
func (p *process) sleeps(t *testing.T, n int) (all []uint64) {
	t.Helper()
	for i := range n {
		for where, v := range p.stats(t, p.clientOf(t, i)).Counters {
			if strings.HasSuffix(where, " Sleeps") {
				all = append(all, v)
			}
		}
	}
	if len(all) != n {
		t.Fatalf("%d workers tell how often they slept, want %d", len(all), n)
	}
	return all
}

// idle checks that workers sleep on their queues while nothing comes, instead of looking again and again.
func (p *process) idle(t *testing.T, n int) {
	t.Helper()
	const seconds = 1
	s := p.serving(t, n)
	before, used := p.sleeps(t, n), cpu(t, s.Workers[0].PID)
	time.Sleep(seconds * time.Second)
	used = cpu(t, s.Workers[0].PID) - used
	for i, v := range p.sleeps(t, n) {
		// One that looks twice a millisecond does so 2000 times.
		t.Logf("worker %d slept %d times in %d s without traffic", i, v-before[i], seconds)
		if v-before[i] > 200 {
			t.Errorf("worker %d was woken %d times in %d s without traffic", i, v-before[i], seconds)
		}
	}
	t.Logf("CPU time of worker 0: %v", used)
}

// cpu is the CPU time that a process has used.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestIdleWorkers: workers without traffic sleep, and so do those started in a dead one's place, and those of an upgrade.
func TestIdleWorkers(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	p.idle(t, 2)
	if err := syscall.Kill(p.serving(t, 2).Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	restarted(t, p, 2, 0)
	p.idle(t, 2)
	if said, err := p.command("upgrade"); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	p.serving(t, 2)
	p.idle(t, 2)
}

// restarted waits until a worker that was killed serves again.
func restarted(t *testing.T, p *process, n, index int) {
	t.Helper()
	for start := time.Now(); p.serving(t, n).Workers[index].Restarts == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("worker %d is not started again", index)
		}
	}
}
