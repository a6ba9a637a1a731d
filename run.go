package fstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fstack-go/fstack/config"
)

// grace is how long a program that was asked to end may take to finish what it does.
const grace = 10 * time.Second

var (
	started     atomic.Bool
	ending, end = context.WithCancelCause(context.Background())
)

// ErrReplaced is the cause of Context's end, as context.Cause tells, when another version of the program has taken over
// in an upgrade: new connections go there. The function given to Run may finish those that it has, within the time that
// the config's [stack] drain says, and returns.
var ErrReplaced = errors.New("another version of the program has taken over")

// Context is done when the process is asked to end: by SIGINT or SIGTERM, by the command stop, or because of an upgrade,
// which context.Cause tells by ErrReplaced. The function given to Run then has ten
// seconds to return, or longer in an upgrade; its listeners are closed for it. An HTTP server finishes the requests in flight like this:
//
//	server := &http.Server{Handler: handler}
//	finished := make(chan error, 1)
//	context.AfterFunc(fstack.Context(), func() { finished <- server.Shutdown(context.Background()) })
//	if err := server.Serve(listener); fstack.Context().Err() == nil {
//		return err
//	}
//	return <-finished
func Context() context.Context { return ending }

// Run starts the stack as the config file says, calls app, and gives everything back when app has returned. While
// app runs, Listen, Dial and the other functions of this package work on the stack; any goroutine may call them.
//
// The config file is the one after -c on the command line, else the one that the environment variable FSTACK_CONFIG
// names, else config.ini in the current directory, else the default that this package brings along. Run parses the
// command line unless the program has done so: see Flags.
//
// With several lcores in the config's lcore_mask the process becomes the supervisor: it calls no app, but starts the
// program once more for each lcore, with the same arguments, and Run calls app there. A worker that dies is started
// again. In the supervisor Run returns when app has returned in all of them: with the first error.
//
// Run handles signals. At SIGINT and SIGTERM it closes the listeners, ends Context, and waits for app, for ten seconds or
// until a second signal. One that comes while the stack starts is kept until it has; a second one then kills the process,
// and the next start removes what that leaves. SIGHUP reads the config file again, and changes what can change at run time.
// SIGUSR2 has a supervisor start the program's present version beside the one that runs, which hands over to it.
//
// If the first argument behind the flags is status, reload, upgrade or stop, Run starts nothing: it asks the program
// that runs under the config's file_prefix for that, prints the answer, and returns. See Control.
//
// Run's error is app's, or says why the stack could not start or app did not return. EAL starts once in a process, and
// so does Run.
func Run(app func() error) error {
	if handled, err := command(os.Stdout); handled {
		return err
	}
	cfg, err := findConfig()
	if err != nil {
		return err
	}
	return RunConfig(cfg, app)
}

// RunConfig is Run with a config that the program has made or loaded itself, the same in each of its processes. It looks
// for no command: see Control.
func RunConfig(cfg *config.Config, app func() error) error {
	if len(cfg.DPDK.Lcores) == 0 || len(cfg.Ports) == 0 {
		return errors.New("fstack.Run: the config names no lcore or no port; make it with config.Load or config.Parse")
	}
	if started.Swap(true) {
		return errors.New("fstack.Run: it was called before; a process can start the stack once")
	}
	part, err := inherited()
	if err != nil {
		return fmt.Errorf("fstack.Run: %w", err)
	}
	switch {
	case part != nil:
		return runWorker(cfg, part, app)
	case len(cfg.DPDK.Lcores) > 1:
		return runSupervisor(cfg)
	}
	return runAlone(cfg, app)
}

// runAlone runs app in this process, the only one.
func runAlone(cfg *config.Config, app func() error) error {
	log, err := newLogger(cfg, cfg.DPDK.Lcores[0], "0")
	if err != nil {
		return err
	}
	defer log.close()
	for _, w := range cfg.Warnings {
		log.Warn(w.String())
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	begun := whileStarting(log.Logger, signals, killSelf)
	e, err := start(cfg, log)
	begun()
	if err != nil {
		return err
	}
	asks := make(chan os.Signal, 2)
	signal.Notify(asks, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(asks)
	err = e.serve(app, signals, asks)
	return errors.Join(err, e.stop())
}

// killSelf ends the process as an unhandled signal does.
func killSelf(s os.Signal) {
	signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	syscall.Kill(os.Getpid(), s.(syscall.Signal))
	syscall.Kill(os.Getpid(), syscall.SIGTERM) // a background process of a shell without job control ignores SIGINT
}

// endOrder tells serve to end.
type endOrder struct {
	why      string
	within   time.Duration
	replaced bool // by another version: it is fine to take all of that time
}

// serve runs app until it has returned, or has to. Signals end it, and so do orders, which come from a supervisor or
// by the control socket; asks are for something else.
func (e *engine) serve(app func() error, signals, asks <-chan os.Signal) error {
	result := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if !returned { // app panics, or ended its goroutine: give the devices back before the process dies
				e.stop()
				result <- errors.New("fstack.Run: the application's goroutine ended without returning")
			}
		}()
		err := app()
		returned = true
		result <- err
	}()
	var late <-chan time.Time
	var order endOrder
	finish := func(o endOrder) {
		e.log.Info("ending", "because", o.why, "within", o.within.String())
		order, late = o, time.After(o.within)
		if o.replaced {
			end(ErrReplaced)
		} else {
			end(nil)
		}
		e.api.closeListeners()
	}
	for {
		select {
		case err := <-result:
			if late != nil && errors.Is(err, net.ErrClosed) {
				return nil // of a listener that was closed below
			}
			return err
		case err := <-e.failed:
			return fmt.Errorf("fstack.Run: the loop ended: %w", err)
		case s := <-signals:
			if late != nil {
				e.hurry.Store(true)
				return fmt.Errorf("fstack.Run: %v again: the application was still running", s)
			}
			e.asked.Store(true)
			finish(endOrder{why: s.String(), within: grace})
		case o := <-e.orders:
			if late == nil {
				finish(o)
			} else {
				order, late = o, time.After(o.within)
			}
		case s := <-asks:
			go e.ask(s)
		case <-late:
			if order.replaced {
				e.log.Warn("the application has not returned; its connections are closed", "within", order.within.String())
				return nil
			}
			e.hurry.Store(true)
			return fmt.Errorf("fstack.Run: the application did not return within %v", order.within)
		}
	}
}
