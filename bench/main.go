// Command bench prints, in one table, what requests cost on this stack and on the kernel's, measured alternately in one
// run with the same Go handler, on one CPU for the server and another for the load.
//
//	sudo bench [-rounds 3] [-time 2s] [-c 64]
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
	"slices"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 3, "how often each row is measured; the median counts")
	span := flag.Duration("time", 2*time.Second, "how long each measurement takes")
	conns := flag.Int("c", 64, "open connections")
	flag.Parse()
	if err := bench(*rounds, *span, *conns); err != nil {
		log.Fatal("bench: ", err)
	}
}

func bench(rounds int, span time.Duration, conns int) (err error) {
	if os.Getuid() != 0 {
		return errors.New("needs root for network namespaces and TAP devices")
	}
	for _, p := range []string{"ip", "wrk", "taskset"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("needs the program %s (make deps installs what the tests need: scripts/deps test)", p)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fst-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)

	b := &run{dir: dir, server: filepath.Join(filepath.Dir(self), "server"), span: span, conns: conns}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(); err != nil {
		return err
	}
	var rows []*row
	for _, s := range b.systems {
		for _, l := range loads {
			rows = append(rows, &row{system: s, load: l})
		}
	}
	for round := range rounds {
		for i := range loads { // systems alternate within a load
			for _, s := range b.systems {
				select {
				case <-interrupted:
					return errors.New("interrupted")
				default:
				}
				at := slices.IndexFunc(rows, func(r *row) bool { return r.system == s && r.load.name == loads[i].name })
				if err := b.measure(rows[at]); err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, loads[i].name, err)
				}
				fmt.Fprintf(os.Stderr, "\rround %d of %d: %s, %s          ", round+1, rounds, s.name, loads[i].name)
			}
		}
	}
	fmt.Fprintf(os.Stderr, "\r%70s\r", "")
	print(os.Stdout, b, rows)
	return nil
}
