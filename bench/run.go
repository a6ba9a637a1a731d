package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// run is the set-up of a benchmark: servers in their namespaces, each with a client namespace at the other end.
type run struct {
	dir, server string
	span        time.Duration
	conns       int
	systems     []*system
	undo        []func() error
}

// system is a server on one stack.
type system struct {
	name   string
	kernel bool   // on the kernel's stack
	client string // namespace that the load comes from
	addr   string
}

// load is a way to ask.
type load struct {
	name  string
	port  int
	close bool // a connection for each request
}

var loads = []load{
	{"net/http, keep-alive", 80, false},
	{"conn loop, keep-alive", 81, false},
	{"conn loop, connect each", 81, true},
}

// row is one line of the table.
type row struct {
	system  *system
	load    load
	results []result
	busy    []float64 // nanoseconds per request
}

func (b *run) start() error {
	for _, s := range []*system{
		{name: "kernel over veth", kernel: true},
		{name: "fstack over TAP, tcp=netstack"},
	} {
		open := b.startFstack
		if s.kernel {
			open = b.startKernel
		}
		if err := open(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.systems = append(b.systems, s)
	}
	return nil
}

func (b *run) stop() error {
	var errs []error
	for i := len(b.undo) - 1; i >= 0; i-- {
		errs = append(errs, b.undo[i]())
	}
	return errors.Join(errs...)
}

func (b *run) ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// startKernel joins two namespaces by a veth pair and starts the server in one.
//
//	fst-bench-N-s (server, 10.10.0.2) s0 ── c0 (wrk, 10.10.0.1) fst-bench-N-c
func (b *run) startKernel(s *system) error {
	prefix := fmt.Sprintf("fst-bench-%d-", os.Getpid())
	server, client := prefix+"s", prefix+"c"
	for _, ns := range []string{server, client} {
		if err := b.ip("netns", "add", ns); err != nil {
			return err
		}
		b.undo = append(b.undo, func() error { return b.ip("netns", "del", ns) })
	}
	for _, args := range [][]string{
		{"-n", server, "link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", client},
		{"-n", server, "addr", "add", "10.10.0.2/24", "dev", "s0"},
		{"-n", client, "addr", "add", "10.10.0.1/24", "dev", "c0"},
		{"-n", server, "link", "set", "s0", "up"},
		{"-n", client, "link", "set", "c0", "up"},
	} {
		if err := b.ip(args...); err != nil {
			return err
		}
	}
	s.client, s.addr = client, "10.10.0.2"
	cmd := exec.Command("ip", "netns", "exec", server, "taskset", "-c", "0", b.server, "-on", "kernel")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return b.serve(cmd)
}

// startFstack starts the server on a TAP, whose kernel end is in a namespace that the server makes.
func (b *run) startFstack(s *system) error {
	s.client, s.addr = fmt.Sprintf("fst-bench-%d-t", os.Getpid()), "10.10.1.2"
	path := filepath.Join(b.dir, "config.ini")
	text := fmt.Sprintf("[dpdk]\nlcore_mask=1\nno_huge=auto\nfile_prefix=%[1]s\nnb_vdev=1\n[stack]\nidle=adaptive\nlog_level=warn\n[port0]\naddr=%[2]s\nnetmask=255.255.255.0\n"+
		"[vdev0]\ndevargs=net_tap0,iface=t0\nnetns=%[1]s\nkernel_addr=10.10.1.1/24\n", s.client, s.addr)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return b.serve(exec.Command(b.server, "-on", "fstack", "-c", path))
}

// serve starts a server, waits until it is ready, and ends it with the benchmark.
func (b *run) serve(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the driver, which ends its servers
	if err := cmd.Start(); err != nil {
		return err
	}
	b.undo = append(b.undo, func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil && err.Error() != "signal: terminated" {
			return fmt.Errorf("%s: %w", cmd.Path, err)
		}
		return nil
	})
	word := make([]byte, 5)
	if _, err := io.ReadFull(out, word); err != nil || string(word) != "ready" {
		return fmt.Errorf("the server did not start (%q, %w)", word, err)
	}
	go io.Copy(io.Discard, out)
	return nil
}

// measure runs wrk once, on the second CPU, and takes the server's busy time around it.
func (b *run) measure(r *row) error {
	args := []string{"netns", "exec", r.system.client, "taskset", "-c", "1", "wrk", "--latency", "-t1", fmt.Sprintf("-c%d", b.conns), fmt.Sprintf("-d%dms", b.span.Milliseconds())}
	args[len(args)-1] = fmt.Sprintf("-d%ds", max(1, int(b.span.Seconds())))
	if r.load.close {
		args = append(args, "-H", "Connection: close")
	}
	args = append(args, fmt.Sprintf("http://%s:%d/", r.system.addr, r.load.port))
	before, err := b.busy(r.system)
	if err != nil {
		return err
	}
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("wrk: %w\n%s", err, out)
	}
	res, err := parseWrk(string(out))
	if err != nil {
		return err
	}
	after, err := b.busy(r.system)
	if err != nil {
		return err
	}
	r.results = append(r.results, res)
	r.busy = append(r.busy, float64(after-before)/float64(max(res.Requests, 1)))
	return nil
}

// busy asks a server for its busy time so far, in nanoseconds.
func (b *run) busy(s *system) (int64, error) {
	out, err := exec.Command("ip", "netns", "exec", s.client, "curl", "-sS", "--max-time", "5", fmt.Sprintf("http://%s:82/", s.addr)).Output()
	if err != nil {
		return 0, fmt.Errorf("busy time: %w", err)
	}
	var stats struct{ BusyNanos int64 }
	if err := json.Unmarshal(out, &stats); err != nil {
		return 0, fmt.Errorf("busy time: %w", err)
	}
	return stats.BusyNanos, nil
}
