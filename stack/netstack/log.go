package netstack

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gvisor.dev/gvisor/pkg/log"
)

// gVisor logs to the standard error by itself, among other things when a peer's packets are strange. That is news for
// whoever looks for it.
func init() { log.SetTarget(emitter{}) }

type emitter struct{}

// Emit implements log.Emitter.
func (emitter) Emit(_ int, _ log.Level, _ time.Time, format string, args ...any) {
	l := slog.Default()
	if l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug(fmt.Sprintf(format, args...), "from", "gvisor")
	}
}
