package fstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/dpdk"
)

// openControl serves the control socket of a file prefix. A program runs without it if it cannot be had.
func openControl(cfg *config.Config, log *logger, h control.Handler) *control.Server {
	path := control.Path(cfg.DPDK.FilePrefix)
	s, err := control.Listen(path, h)
	if err == nil && cfg.Stack.ControlGroup != "" {
		err = setGroup(path, cfg.Stack.ControlGroup)
	}
	if err != nil {
		log.Warn("the tools will not reach this program", "because", err)
	}
	return s
}

func setGroup(path, name string) error {
	g, err := user.LookupGroup(name)
	if err != nil {
		return fmt.Errorf("control_group: %w", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("control_group %s: %w", name, err)
	}
	return os.Chown(path, -1, gid)
}

// serveControl lets the tools ask the only process. The socket is closed with the claim on the prefix, last of all.
func (e *engine) serveControl() error {
	e.control = openControl(e.cfg, e.log, e.answer)
	return nil
}

// answer does what a tool asks the only process for.
func (e *engine) answer(ctx context.Context, r control.Request, say func(string)) (*control.Status, error) {
	if current.Load() != e {
		return nil, errors.New("the program is ending")
	}
	switch r.Command {
	case control.CommandStatus:
		return e.status(), nil
	case control.CommandReload:
		lines, err := e.reloadFile()
		for _, l := range lines {
			say(l)
		}
		return nil, err
	case control.CommandUpgrade:
		return nil, errUpgradeAlone
	case control.CommandStop:
		say(fmt.Sprintf("pid %d is ending, within %v", os.Getpid(), grace))
		e.orders <- endOrder{why: "the command stop", within: grace}
		<-ctx.Done()
		return nil, nil
	}
	return nil, unknownCommand(r.Command)
}

var errUpgradeAlone = errors.New("one process alone cannot hand its connections over: an upgrade needs a supervisor, " +
	"which there is with hugepages and several bits in lcore_mask; stop the program, and start the new one")

func unknownCommand(name string) error {
	return fmt.Errorf("command %q: must be one of %v", name, control.Commands)
}

// reloadFile reads the config file again.
func (e *engine) reloadFile() ([]string, error) {
	to, err := reread(e.cfg, e.file)
	if err != nil {
		return nil, fmt.Errorf("nothing has changed: %w", err)
	}
	e.reloads.Lock()
	defer e.reloads.Unlock()
	lines, err := e.reload(to)
	if err != nil {
		return nil, fmt.Errorf("nothing has changed: %w", err)
	}
	return lines, nil
}

// ask does what a signal asks the process for.
func (e *engine) ask(s os.Signal) {
	switch {
	case e.worker != nil && !e.worker.orphan.Load():
		e.log.Warn("signals for all workers go to the supervisor", "signal", s.String(), "supervisor", e.worker.Supervisor)
	case s == syscall.SIGUSR2:
		e.log.Error("no upgrade", "because", errUpgradeAlone)
	default:
		if _, err := e.reloadFile(); err != nil {
			e.log.Error("config not read again", "because", err)
		}
	}
}

// status is that of the only process.
func (e *engine) status() *control.Status {
	w := control.Worker{Lcore: e.lcore, CPU: e.cpu, PID: os.Getpid(), State: control.StateServing, Since: e.since, Version: version()}
	f := e.facts()
	w.Pinned, w.Queues, w.MbufsInUse, w.MbufsTotal = f.Pinned, f.Queues, f.MbufsInUse, f.MbufsTotal
	return &control.Status{
		PID: os.Getpid(), Since: e.since, Version: version(), DPDK: dpdk.Version(), Prefix: e.cfg.DPDK.FilePrefix, Config: e.cfg.File,
		Workers: []control.Worker{w},
	}
}
