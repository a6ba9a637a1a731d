package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// inside runs load with a server in its process.
func (b *bench) inside(r *row) (result, error) {
	out, err := b.output(b.loadInside(r, 1))
	if err != nil {
		return result{}, err
	}
	return parseLoad(out)
}

func (b *bench) loadInside(r *row, cpu int) *exec.Cmd {
	args := []string{
		"-device", "memory", "-tcp", r.system.tcp, "-lcore", strconv.Itoa(cpu), "-from", "10.1.0.1", "-to", "10.0.0.1:80", "-mode", r.load.mode,
		"-conns", strconv.Itoa(r.conns), "-idle-conns", strconv.Itoa(r.idle), "-time", b.span.String(), "-warmup", warmup.String(), "-timeout", "60s",
	}
	return b.onOneCPU("load", append(args, r.args...)...)
}

// onOneCPU is one of the programs with a single thread for Go.
func (b *bench) onOneCPU(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(b.programs, program), args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return cmd
}

func (b *bench) output(cmd *exec.Cmd) (string, error) {
	var says strings.Builder
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLine(says.String()))
	}
	return string(out), nil
}

// pair runs bulk with both ends in its process.
func (b *bench) pair(r *row) (result, error) {
	out, err := b.output(b.onOneCPU("bulk", append(r.args, "-cpu", "1", "-time", b.span.String())...))
	if err != nil {
		return result{}, err
	}
	return parseBulk(out)
}

// processes runs n at once, each on its CPU, and before that each alone.
func (b *bench) processes(r *row, n int) (sum result, err error) {
	var alone float64
	for cpu := range n {
		out, err := b.output(b.loadInside(r, cpu))
		if err != nil {
			return sum, err
		}
		one, err := parseLoad(out)
		if err != nil {
			return sum, err
		}
		alone += one.Rate
		if n == 1 {
			one.Share = 1
			return one, nil
		}
	}
	type answer struct {
		result
		error
	}
	answers := make(chan answer)
	for cpu := range n {
		go func() {
			out, err := b.output(b.loadInside(r, cpu))
			var one result
			if err == nil {
				one, err = parseLoad(out)
			}
			answers <- answer{one, err}
		}()
	}
	for range n {
		a := <-answers
		err = errors.Join(err, a.error)
		sum.Rate += a.Rate
		sum.Requests += a.Requests
		sum.PerCPU += a.PerCPU / float64(n)
		sum.Errors += a.Errors
	}
	sum.Share = sum.Rate / alone
	return sum, err
}
