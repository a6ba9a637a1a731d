package fstack

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/fstack-go/fstack/config"
)

// logger is where a process writes its own log lines.
type logger struct {
	*slog.Logger
	level slog.LevelVar // changes at run time
	file  *os.File      // nil: standard error
}

// newLogger writes the stack's own log lines as the config says, each with the process and its lcore (-1: it has none), and
// what else tells it from the others. number is the process's in the name of a log file.
func newLogger(cfg *config.Config, lcore int, number string, more ...any) (*logger, error) {
	l := new(logger)
	l.level.Set(cfg.Stack.LogLevel)
	out := os.Stderr
	if cfg.Stack.LogFile != "" {
		f, err := os.OpenFile(cfg.Stack.LogFile+number+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		out, l.file = f, f
	}
	who := []any{"pid", os.Getpid()}
	if lcore >= 0 {
		who = append(who, "lcore", lcore)
	}
	l.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: &l.level})).With(append(who, more...)...)
	return l, nil
}

func (l *logger) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
