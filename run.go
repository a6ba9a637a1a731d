package fstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	ending, end = context.WithCancel(context.Background())
)

// Context is done when the program is asked to end, by SIGINT or SIGTERM. The function given to Run then has ten
// seconds to return; its listeners are closed for it. An HTTP server finishes the requests in flight like this:
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
// Run handles SIGINT and SIGTERM: it closes the listeners, ends Context, and waits for app, for ten seconds or until
// a second signal. A signal that comes while the stack starts is kept until it has; a second one then kills the process,
// and the next start removes what that leaves. Run's error is app's, or says why the stack could not start or app did not
// return. EAL starts once in a process, and so does Run.
func Run(app func() error) error {
	cfg, err := findConfig()
	if err != nil {
		return err
	}
	return RunConfig(cfg, app)
}

// RunConfig is Run with a config that the program has made or loaded itself.
func RunConfig(cfg *config.Config, app func() error) error {
	if len(cfg.DPDK.Lcores) == 0 || len(cfg.Ports) == 0 {
		return errors.New("fstack.Run: the config names no lcore or no port; make it with config.Load or config.Parse")
	}
	if started.Swap(true) {
		return errors.New("fstack.Run: it was called before; a process can start the stack once")
	}
	log, closeLog, err := newLogger(cfg)
	if err != nil {
		return err
	}
	defer closeLog()
	for _, w := range cfg.Warnings {
		log.Warn(w.String())
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	begun := whileStarting(log, signals, func(s os.Signal) {
		signal.Reset(syscall.SIGINT, syscall.SIGTERM)
		syscall.Kill(os.Getpid(), s.(syscall.Signal))
		syscall.Kill(os.Getpid(), syscall.SIGTERM) // a background process of a shell without job control ignores SIGINT
	})
	e, err := start(cfg, log)
	begun()
	if err != nil {
		return err
	}
	err = e.serve(app, signals)
	return errors.Join(err, e.stop())
}

// serve runs app until it has returned, or has to.
func (e *engine) serve(app func() error, signals <-chan os.Signal) error {
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
			e.log.Info("ending; again to end at once", "signal", s.String(), "within", grace.String())
			late = time.After(grace)
			end()
			e.api.closeListeners()
		case <-late:
			e.hurry.Store(true)
			return fmt.Errorf("fstack.Run: the application did not return within %v", grace)
		}
	}
}

// newLogger writes the stack's own log lines as the config says, each with the process and its lcore.
func newLogger(cfg *config.Config) (*slog.Logger, func() error, error) {
	out := os.Stderr
	if cfg.Stack.LogFile != "" {
		f, err := os.OpenFile(cfg.Stack.LogFile+"0.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) // 0: the process's number
		if err != nil {
			return nil, nil, fmt.Errorf("log file: %w", err)
		}
		out = f
	}
	h := slog.NewTextHandler(out, &slog.HandlerOptions{Level: cfg.Stack.LogLevel})
	log := slog.New(h).With("pid", os.Getpid(), "lcore", cfg.DPDK.Lcores[0])
	if out == os.Stderr {
		return log, func() error { return nil }, nil
	}
	return log, out.Close, nil
}
