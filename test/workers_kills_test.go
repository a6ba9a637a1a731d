//go:build !nodpdk

package test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestKills kills workers at random moments under load, FSTACK_KILLS times. Connections of those that live do not fail,
// and no mbuf is lost.
func TestKills(t *testing.T) {
	for _, tt := range []struct {
		name  string
		n     int
		held  int // mbufs that the driver may keep when they are sent: virtio's, a ring of 256 for each queue
		start func(t *testing.T) *process
	}{
		{"two over TAP", 2, 0, func(t *testing.T) *process {
			needsHuge(t, 200)
			return workers(t, 2)
		}},
		{"four over TAP", 4, 0, func(t *testing.T) *process {
			needsHuge(t, 300)
			return workers(t, 4)
		}},
		{"six, of which two reach it by way of others", 6, 0, func(t *testing.T) *process {
			needsHuge(t, 300)
			return workers(t, 6)
		}},
		{"two over virtio_user", 2, 2 * 256, func(t *testing.T) *process {
			needsHuge(t, 400)
			p := prepare(t, "server")
			p.onSocket(t, "path="+vhost(t, p.netns, 2), "queues=2", "mac=02:00:00:00:00:02")
			p.start(t)
			return p
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { testKills(t, tt.start(t), tt.n, tt.held) })
	}
}

func testKills(t *testing.T, p *process, n, held int) {
	kills := 3
	if n, err := strconv.Atoi(os.Getenv("FSTACK_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	first := p.serving(t, n)
	if kills > 4 { // or the run is given up: none has ever served for a while
		time.Sleep(6 * time.Second)
	}
	wrong, lost := 0, 0
	for range kills {
		all := p.hold(t, 20*n)
		ctx, stop := context.WithCancel(context.Background())
		failed := load(ctx, all)
		time.Sleep(time.Duration(100+random.IntN(200)) * time.Millisecond)
		victim := p.mustStatus(t).Workers[random.IntN(n)]
		if victim.PID == 0 {
			t.Fatalf("worker %+v", victim)
		}
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		awaitOther(t, p, n, victim.Index, victim.PID)
		stop()
		for pid, count := range failed() {
			if pid == victim.PID {
				lost += count
			} else {
				wrong += count
			}
		}
		for _, h := range all {
			h.conn.Close()
		}
		if count := p.shares(t, 50*n); !fair(count, n) {
			t.Errorf("after the kill of worker %d, connections by worker: %v", victim.Index, count)
		}
		if kills > 4 { // more than five seconds of service for each, so that back-off forgets
			time.Sleep(3 * time.Second)
		}
	}
	t.Logf("%d kills: %d connections of those that were killed failed, %d of others", kills, lost, wrong)
	if wrong > 0 {
		t.Errorf("%d connections of workers that lived failed in %d kills", wrong, kills)
	}
	if lost == 0 {
		t.Error("no connection of a killed worker failed: nothing was tested")
	}
	first.Workers[0].MbufsInUse += held
	p.settle(t, first)
}

// awaitOther waits until another process is the worker that was killed, and all serve.
func awaitOther(t *testing.T, p *process, n, index, pid int) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if s := p.serving(t, n); s.Workers[index].PID != pid {
			return
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("process %d is still worker %d", pid, index)
		}
	}
}
