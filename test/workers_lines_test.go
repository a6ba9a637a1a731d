//go:build !nodpdk

package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const cacheLine = 64

// sharedMemory maps the hugepages of a run, which its processes share.
func (p *process) sharedMemory(t *testing.T) (pieces [][]byte) {
	t.Helper()
	files, _ := filepath.Glob("/dev/hugepages/" + p.prefix + "map_*")
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(name, ": ", err)
		}
		t.Cleanup(func() { unix.Munmap(b) })
		pieces = append(pieces, b)
	}
	if len(pieces) == 0 {
		t.Fatal("the run has no hugepages in /dev/hugepages")
	}
	return pieces
}

// changed adds the lines of memory that a function changes to a set of them.
func changed(memory [][]byte, lines map[*byte]bool, f func()) {
	before := make([][]byte, len(memory))
	for i, b := range memory {
		before[i] = bytes.Clone(b)
	}
	f()
	for i, b := range memory {
		const page = 4096 // most of them are as before
		for at := 0; at < len(b); at += page {
			if bytes.Equal(b[at:at+page], before[i][at:at+page]) {
				continue
			}
			for l := at; l < at+page; l += cacheLine {
				if !bytes.Equal(b[l:l+cacheLine], before[i][l:l+cacheLine]) {
					lines[&b[l]] = true
				}
			}
		}
	}
}

// TestNoLineOfTwo serves by one worker while the other is stopped, and then the other way round, and counts the cache lines
// of all their shared memory that both have written. There must be none: then they can not slow each other down.
func TestNoLineOfTwo(t *testing.T) {
	needsHuge(t, 300)
	p := workers(t, 2)
	s := p.serving(t, 2)
	clients := [2]*http.Client{p.clientOf(t, 0), p.clientOf(t, 1)}
	ask := func(c *http.Client, n int) {
		for range n {
			if _, err := get(c, "http://"+addr4+"/"); err != nil {
				t.Fatal(err)
			}
		}
	}
	memory := p.sharedMemory(t)
	var lines [2]map[*byte]bool
	for i, c := range clients {
		ask(clients[0], 50) // TAP learns which queue has which connection
		ask(clients[1], 50)
		lines[i] = map[*byte]bool{}
		other := s.Workers[1-i].PID
		if err := syscall.Kill(other, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(other, syscall.SIGCONT) })
		stopped(t, other)
		for n := range 6 { // what has another value at the end of a round has been written; each ends elsewhere
			changed(memory, lines[i], func() { ask(c, 50+n) })
		}
		syscall.Kill(other, syscall.SIGCONT)
	}
	both := 0
	for l := range lines[0] {
		if lines[1][l] {
			both++
		}
	}
	t.Logf("lines written by worker 0: %d, by worker 1: %d, by both: %d", len(lines[0]), len(lines[1]), both)
	if both > 0 || len(lines[0]) < 12 || len(lines[1]) < 12 {
		t.Errorf("%d lines are written by both workers, want none; %d and %d by one of them", both, len(lines[0]), len(lines[1]))
	}
}

// stopped waits until all threads of a process are.
func stopped(t *testing.T, pid int) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		running := false
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, name := range tasks {
			b, _ := os.ReadFile(name)
			if at := bytes.LastIndexByte(b, ')'); at > 0 && b[at+2] != 'T' {
				running = true
			}
		}
		if !running && len(tasks) > 0 {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("process %d does not stop", pid)
		}
	}
}
