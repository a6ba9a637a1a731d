// Command bench prints, in one table, what requests cost on this stack and on the kernel's, measured alternately in one
// run: one CPU for the server, another for the load.
//
//	sudo bench [-rounds 3] [-time 2s] [-conns 64] [-only regexp]
//
//	kernel:  server ─ kernel's stack ─ veth ─ kernel's stack ─ wrk
//	TAP:     server ─ stack ─ TAP ─ kernel's stack ─ wrk
//	virtio:  server ─ stack ─ virtio_user ─ vhost ─ load
//
// Each measurement starts its server anew, in network namespaces that are removed afterwards.
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
	flag.DurationVar(&b.span, "time", 2*time.Second, "how long each measurement takes, in whole seconds")
	flag.IntVar(&b.conns, "conns", 64, "open connections")
	only := flag.String("only", "", "measure only the rows whose text this `regexp` matches")
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
	rounds, conns int
	span          time.Duration
	only          *regexp.Regexp
	programs      string // directory of server, epoll and load
	dir           string // for config files and sockets
}

func (b *bench) check(only string) (err error) {
	if b.only, err = regexp.Compile(only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if b.rounds < 1 || b.conns < 1 || b.span < time.Second || b.span%time.Second != 0 {
		return errors.New("-rounds and -conns must be at least 1, -time whole seconds")
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

	rows := b.rows()
	if len(rows) == 0 {
		return errors.New("-only matches no row")
	}
	for round := range b.rounds {
		for _, r := range rows {
			select {
			case <-interrupted:
				return errors.New("interrupted")
			default:
			}
			if r.skipped != "" {
				continue
			}
			fmt.Fprintf(os.Stderr, "\r%-78s", fmt.Sprintf("round %d of %d: %s, %s", round+1, b.rounds, r.load.name, r.system.name))
			res, err := b.measure(r)
			if err != nil {
				r.skipped = err.Error()
				continue
			}
			r.results = append(r.results, res)
		}
	}
	fmt.Fprintf(os.Stderr, "\r%78s\r", "")
	b.print(os.Stdout, rows)
	return nil
}
