package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fstack-go/fstack/bench/core"
)

// process is a server that runs.
type process struct {
	cmd    *exec.Cmd
	exited chan error

	served time.Time     // when it said that it is serving
	before time.Duration // CPU time until then

	mu  sync.Mutex
	out bytes.Buffer
}

// Write takes what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// startProcess starts a server and waits until it says that it is serving, in each of its workers.
func startProcess(cmd *exec.Cmd, workers int) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // Ctrl-C is for the driver
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.exited <- cmd.Wait() }()
	for start := time.Now(); strings.Count(p.said(), "serving") < workers; {
		select {
		case err := <-p.exited:
			return nil, fmt.Errorf("%s: %w: %s", cmd.Path, err, lastLine(p.said()))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Since(start) > 10*time.Second {
			return nil, errors.Join(fmt.Errorf("%s does not serve: %s", cmd.Path, lastLine(p.said())), p.stop())
		}
	}
	p.served, p.before = time.Now(), core.TimeOf(p.cmd.Process.Pid)
	return p, nil
}

// stop ends the server and waits for it. The kernel's has no more to say than that it was terminated.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.exited:
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
			return nil
		}
		return err
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		return errors.Join(fmt.Errorf("%s did not end", p.cmd.Path), <-p.exited)
	}
}

// share is the part of the time since it serves in which the process had a CPU, of one that never rests.
func (p *process) share() float64 {
	return min(1, (core.TimeOf(p.cmd.Process.Pid)-p.before).Seconds()/time.Since(p.served).Seconds())
}

// loopBusy is the time of the stack's loop in turns in which something happened, with the application, by its log.
func (p *process) loopBusy() time.Duration {
	return time.Duration(p.counted("loop", "BusyNanos"))
}

// counted is a counter at the end, of all workers, by the log.
func (p *process) counted(where, name string) (sum uint64) {
	line := regexp.MustCompile(fmt.Sprintf(`where=%s name=%s value=(\d+)`, regexp.QuoteMeta(where), name))
	for _, m := range line.FindAllStringSubmatch(p.said(), -1) {
		n, _ := strconv.ParseUint(m[1], 10, 64)
		sum += n
	}
	return sum
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
