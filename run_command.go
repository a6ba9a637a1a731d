package fstack

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/control"
)

// Control asks the program that runs under the config's file_prefix for a command: status, reload, upgrade or stop. It
// writes the answer to out. Run does the same when the command is the first argument behind its flags, as in
//
//	bin/http status -c config.ini
//
// so it is for programs that read their command line themselves.
func Control(cfg *config.Config, name string, out io.Writer) error {
	return ask(cfg.DPDK.FilePrefix, name, out)
}

func ask(prefix, name string, out io.Writer) error {
	if !slices.Contains(control.Commands, name) {
		return fmt.Errorf("command %q: must be one of %s", name, strings.Join(control.Commands, ", "))
	}
	c, err := control.Dial(prefix)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Call(control.Request{Command: name}, func(line string) { fmt.Fprintln(out, line) })
	if err != nil {
		return err
	}
	if status != nil {
		return status.Print(out, time.Now())
	}
	if name == control.CommandStop { // the directory is the last that goes
		for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(control.Dir(prefix)); err != nil {
				break
			}
		}
	}
	return nil
}

// command does what the command line asks for, if that is not to start.
func command(out io.Writer) (handled bool, err error) {
	parseFlags()
	args := flag.Args()
	if len(args) == 0 || !slices.Contains(control.Commands, args[0]) {
		return false, nil
	}
	// The config file may be named in front of the command or behind it.
	set := flag.NewFlagSet(args[0], flag.ContinueOnError)
	before := configFile
	Flags(set)
	if configFile == "" {
		configFile = before
	}
	if err := set.Parse(args[1:]); err != nil {
		return true, err
	}
	if set.NArg() > 0 {
		return true, fmt.Errorf("%s: unexpected argument %q", args[0], set.Arg(0))
	}
	name, text, err := configText()
	if err != nil {
		return true, err
	}
	// A mistake in the file must not keep anybody from stopping the program.
	prefix, err := config.FilePrefix(name, text)
	if err != nil {
		return true, err
	}
	return true, ask(prefix, args[0], out)
}
