//go:build !nodpdk

package test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/fstack-go/fstack/control"
)

// TestOneListens: what only one worker listens on is served by that, wherever its packets arrive, also after another
// worker has died.
func TestOneListens(t *testing.T) {
	needsHuge(t, 300)
	p := workers(t, 4)
	const one = 2
	if text, err := get(p.clientOf(t, one), "http://"+addr4+"/listen?port=81"); err != nil {
		t.Fatal(err)
	} else if text != "0.0.0.0:81" && text != "[::]:81" {
		t.Fatal(text)
	}
	pid := p.serving(t, 4).Workers[one].PID
	reach := func() {
		t.Helper()
		for _, addr := range []string{addr4 + ":81", "[" + addr6 + "]:81"} {
			for range 40 {
				c, err := p.dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				if index, who, err := askWho(c); err != nil || index != one || who != pid {
					t.Errorf("a connection to %s was served by worker %d, process %d: %v", addr, index, who, err)
				}
				c.Close()
			}
		}
	}
	reach()
	for _, addr := range []string{addr4 + ":82"} { // and nobody listens here
		if c, err := p.dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("somebody listens on %s", addr)
		}
	}
	p.killWorker(t, 0)
	p.serving(t, 4)
	reach()
}

// TestRunsEnd: two applications under prefixes of their own. One ends and starts again while the other one is under load,
// which does not notice; then the other one.
func TestRunsEnd(t *testing.T) {
	needsHuge(t, 400)
	runs := []*process{workers(t, 2), workers(t, 2)}
	for i, p := range runs {
		other := runs[1-i]
		ctx, stop := context.WithCancel(context.Background())
		failed := load(ctx, other.hold(t, 40))
		if _, err := p.command(control.CommandStop); err != nil {
			t.Error(err)
		}
		if !p.ended(20*time.Second) || p.err != nil {
			t.Fatalf("run %d ended with %v\n%s", i, p.err, p.out)
		}
		if left := leftovers(p.prefix); len(left) > 0 {
			t.Errorf("run %d has left %v", i, left)
		}
		again := p.again()
		again.start(t)
		again.serving(t, 2)
		runs[i] = again
		if count := again.shares(t, 100); !fair(count, 2) {
			t.Errorf("run %d, started again: connections by worker: %v", i, count)
		}
		stop()
		if lost := failed(); len(lost) > 0 {
			t.Errorf("run %d ended, and connections of the other one failed: %v", i, lost)
		}
		for _, w := range other.serving(t, 2).Workers {
			if w.Restarts != 0 {
				t.Errorf("run %d ended, and of the other one worker %+v", i, w)
			}
		}
	}
}

// TestOtherAddresses: workers find the memory wherever the supervisor has it.
func TestOtherAddresses(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2, "nb_vdev=1\nbase_virtaddr=0x30000000000")
	if count := p.shares(t, 100); !fair(count, 2) {
		t.Errorf("connections by worker: %v", count)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.serving(t, 2).Workers[1].PID))
	if err != nil || !regexp.MustCompile(`(?m)^300[0-9a-f]{8}-.*map_`).Match(maps) {
		t.Errorf("a worker has no hugepages there: %v\n%s", err, maps)
	}
}

// killWorker kills a worker, and waits until it is known to be gone.
func (p *process) killWorker(t *testing.T, index int) (pid int) {
	t.Helper()
	pid = p.serving(t, len(p.mustStatus(t).Workers)).Workers[index].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if w := p.mustStatus(t).Workers[index]; w.PID != pid {
			return pid
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("process %d is still worker %d", pid, index)
		}
	}
}

func (p *process) mustStatus(t *testing.T) *control.Status {
	t.Helper()
	s, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
