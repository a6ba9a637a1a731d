//go:build !nodpdk

package test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fstack-go/fstack/control"
)

// held is a connection that is kept, and asks who serves it now and then.
type held struct {
	conn       net.Conn
	index, pid int
}

// hold opens n connections and notes who serves them.
func (p *process) hold(t *testing.T, n int) (all []held) {
	t.Helper()
	for range n {
		c, err := p.dial("tcp", addr4+":80")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		index, pid, err := askWho(c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, held{c, index, pid})
	}
	return all
}

// load has all held connections ask without end until ctx is done, and counts those that fail, by their worker's process.
func load(ctx context.Context, all []held) (failed func() map[int]int) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	count := map[int]int{}
	for _, h := range all {
		asking.Go(func() {
			for ctx.Err() == nil {
				if _, pid, err := askWho(h.conn); err != nil || pid != h.pid {
					mu.Lock()
					count[h.pid]++
					mu.Unlock()
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() map[int]int {
		asking.Wait()
		return count
	}
}

// TestKillWorker kills one of two workers under load. The other's connections do not notice, new ones are served a moment
// later by the other, and the dead one is started again and has its share back.
func TestKillWorker(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	first := p.serving(t, 2)
	all := p.hold(t, 100)
	ctx, stop := context.WithCancel(context.Background())
	failed := load(ctx, all)
	time.Sleep(300 * time.Millisecond)

	victim, survivor := first.Workers[1].PID, first.Workers[0].PID
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	p.ready(t, "taken over in") // within 100 ms, see below
	var slowest time.Duration
	for range 50 {
		start := time.Now()
		if _, _, err := p.who(); err != nil {
			t.Errorf("%v after the kill: %v", start.Sub(at), err)
		}
		slowest = max(slowest, time.Since(start))
	}
	t.Logf("50 new connections from then on: the slowest took %v", slowest)
	if slowest > 900*time.Millisecond { // a SYN that was lost is sent again after a second
		t.Errorf("a new connection took %v: its first packet was lost", slowest)
	}
	s := p.serving(t, 2)
	t.Logf("%v after the kill both serve", time.Since(at))
	if w := s.Workers[1]; w.Restarts != 1 || w.PID == victim || !strings.Contains(w.Error, "killed") {
		t.Errorf("the worker that was killed: %+v", w)
	}
	if w := s.Workers[0]; w.Restarts != 0 || w.PID != survivor {
		t.Errorf("the other one: %+v", w)
	}
	if count := p.shares(t, 300); !fair(count, 2) {
		t.Errorf("after that, connections by worker: %v", count)
	}
	stop()
	lost := failed()
	t.Logf("connections that failed, by process: %v (killed: %d)", lost, victim)
	if lost[survivor] > 0 {
		t.Errorf("%d connections of the worker that lives failed", lost[survivor])
	}
	if lost[victim] == 0 {
		t.Error("no connection of the killed worker failed: nothing was tested")
	}
	if took := regexp.MustCompile(`taken over in"?=([^ ]+)`).FindStringSubmatch(p.out.String()); took == nil {
		t.Error("the log does not say how long it took")
	} else if d, err := time.ParseDuration(took[1]); err != nil || d > 100*time.Millisecond {
		t.Errorf("the take-over took %s", took[1])
	} else {
		t.Logf("the flows had a new owner %v after the process was gone", d)
	}
	for _, h := range all {
		h.conn.Close()
	}
	p.settle(t, first)
}

// TestAskedWorker: a worker that gets SIGTERM finishes and is started again at once.
func TestAskedWorker(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	pid := p.serving(t, 2).Workers[0].PID
	syscall.Kill(pid, syscall.SIGTERM)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if s := p.serving(t, 2); s.Workers[0].PID != pid {
			break
		}
		if time.Since(start) > 15*time.Second {
			t.Fatal("it was not started again")
		}
	}
	if count := p.shares(t, 100); !fair(count, 2) {
		t.Errorf("connections by worker: %v", count)
	}
}

// TestSupervisorKilled: the workers serve on. A new start names them and touches nothing; when they have ended, it works,
// and removes what was left.
func TestSupervisorKilled(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	s := p.serving(t, 2)
	all := p.hold(t, 20)
	p.cmd.Process.Kill()
	<-p.exited
	time.Sleep(200 * time.Millisecond)
	pid := s.Workers[0].PID
	p.root = pid
	for _, h := range all {
		if _, pid, err := askWho(h.conn); err != nil || pid != h.pid {
			t.Errorf("a connection of process %d: served by %d, %v", h.pid, pid, err)
		}
	}
	if count := p.shares(t, 200); !fair(count, 2) {
		t.Errorf("connections by worker: %v", count)
	}
	if said := p.out.String(); strings.Count(said, "the supervisor is gone; serving on") != 2 || !strings.Contains(said, fmt.Sprintf("kill %d", pid)) {
		t.Error("the workers do not say what has happened")
	}
	if _, err := p.status(); err == nil || !strings.Contains(err.Error(), "no program runs under file_prefix") {
		t.Errorf("status: %v", err)
	}
	before := leftovers(p.prefix)
	second := p.again()
	second.start(t)
	if !second.ended(20*time.Second) || second.err == nil {
		t.Fatalf("a new start while workers serve:\n%s", second.out)
	}
	for _, w := range s.Workers {
		if want := fmt.Sprintf("pid %d (lcore %d)", w.PID, w.Lcore); !strings.Contains(second.out.String(), want) {
			t.Errorf("no %q in\n%s", want, second.out)
		}
	}
	if after := leftovers(p.prefix); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("the new start has changed what is there:\n%v\n%v", before, after)
	}
	if count := p.shares(t, 50); !fair(count, 2) {
		t.Errorf("after that, connections by worker: %v", count)
	}
	for _, w := range s.Workers {
		syscall.Kill(w.PID, syscall.SIGTERM)
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if exec.Command("kill", "-0", strconv.Itoa(s.Workers[0].PID)).Run() != nil && exec.Command("kill", "-0", strconv.Itoa(s.Workers[1].PID)).Run() != nil {
			break
		}
		if time.Since(start) > 15*time.Second {
			t.Fatalf("the workers do not end\n%s", p.out)
		}
	}
	third := p.again()
	third.start(t)
	third.serving(t, 2)
	if count := third.shares(t, 50); !fair(count, 2) {
		t.Errorf("of the new run, connections by worker: %v", count)
	}
	if _, err := third.command(control.CommandStop); err != nil {
		t.Error(err)
	}
	if !third.ended(15*time.Second) || third.err != nil {
		t.Errorf("it ended with %v\n%s", third.err, third.out)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPanicEverywhere: a program that panics in each process ends with that, and leaves nothing.
func TestPanicEverywhere(t *testing.T) {
	needsHuge(t, 200)
	p := prepare(t, "server", "tcp=fstack", "no_huge=0", "lcore_mask=3")
	p.cmd.Args = append(p.cmd.Args, "-panic")
	p.start(t)
	if !p.ended(60*time.Second) || p.err == nil {
		t.Fatalf("the program did not end, or with success\n%s", p.out)
	}
	if said := p.out.String(); !strings.Contains(said, "panic: as it was asked to") || !strings.Contains(said, "worker on lcore") {
		t.Error(said)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
