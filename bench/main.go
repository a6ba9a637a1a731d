// Command bench prints, in tables, what requests, connections and bytes cost on this stack, with gVisor's TCP under the
// same loop, and on the kernel's stack, measured alternately in one run: one CPU for the server, another for the load.
//
//	sudo bench [-all] [-rounds 3] [-time 1s] [-only regexp] [-million]
//
//	kernel:  server ─ kernel's stack ─ veth ─ kernel's stack ─ wrk
//	TAP:     server ─ stack ─ TAP ─ kernel's stack ─ wrk
//	virtio:  server ─ stack ─ virtio_user ─ vhost ─ load
//	memory:  server ─ stack ─ memory ─ load, all in one process; the server's part of the time is told apart
//
// Each measurement starts its server anew, in network namespaces that are removed afterwards. Rows that are compared
// stand next to each other and are measured one after another, in each round; the table has medians, and in brackets
// the least and the greatest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	var b bench
	flag.IntVar(&b.rounds, "rounds", 3, "how often each row is measured; the median counts")
	flag.DurationVar(&b.span, "time", time.Second, "how long each measurement takes, in whole seconds")
	flag.BoolVar(&b.all, "all", false, "measure all rows: 1, 64, 256 and 1024 connections on each system")
	flag.BoolVar(&b.million, "million", false, "with a million idle connections, too (needs 1 GiB)")
	only := flag.String("only", "", "measure only the rows whose text this `regexp` matches, of all of them")
	flag.Parse()
	err := b.check(*only)
	if err == nil {
		err = b.run()
	}
	if err != nil {
		log.Fatal("bench: ", err)
	}
}

// bench is one run of the benchmarks.
type bench struct {
	rounds       int
	span         time.Duration
	all, million bool
	only         *regexp.Regexp // nil: no choice was made
	programs     string         // directory of server, epoll, load and bulk
	dir          string         // for config files and sockets
}

func (b *bench) check(only string) (err error) {
	if only != "" {
		if b.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if b.rounds < 1 || b.span < time.Second || b.span%time.Second != 0 {
		return errors.New("-rounds must be at least 1, -time whole seconds")
	}
	if os.Getuid() != 0 {
		return errors.New("needs root for network namespaces and TAP devices")
	}
	for _, p := range []string{"ip", "wrk", "taskset"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("needs the program %s; scripts/deps test installs it", p)
		}
	}
	self, err := os.Executable()
	b.programs = filepath.Dir(self)
	return err
}

func (b *bench) run() error {
	var err error
	if b.dir, err = os.MkdirTemp("", "fst-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)

	groups := b.groups()
	if len(groups) == 0 {
		return errors.New("-only matches no row")
	}
	b.printMachine(os.Stdout)
	for _, g := range groups {
		for round := range b.rounds {
			for _, r := range g.rows {
				select {
				case <-interrupted:
					g.print(os.Stdout) // what there is
					return errors.New("interrupted")
				default:
				}
				if r.failed != "" {
					continue
				}
				fmt.Fprintf(os.Stderr, "\r%-100.100s", fmt.Sprintf("round %d of %d: %v", round+1, b.rounds, r))
				res, err := r.measure(b, r)
				if err != nil {
					r.failed = err.Error()
					continue
				}
				r.results = append(r.results, res)
			}
		}
		fmt.Fprintf(os.Stderr, "\r%100s\r", "")
		g.print(os.Stdout)
	}
	return nil
}
