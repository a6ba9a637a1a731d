package fstack

import (
	"log/slog"
	"os"
	"sync"
)

// whileStarting looks after the signals until done is called. A start cannot be cut short: the first signal is kept for
// the time after it. But a driver may wait in it for a peer that never comes, so at the second one kill ends the process.
func whileStarting(log *slog.Logger, signals chan os.Signal, kill func(os.Signal)) (done func()) {
	var watching sync.WaitGroup
	over := make(chan struct{})
	watching.Go(func() {
		var first os.Signal
		select {
		case first = <-signals:
		case <-over:
			return
		}
		log.Info("ending as soon as the stack has started; again to end at once", "signal", first.String())
		select {
		case again := <-signals:
			kill(again)
		case <-over:
		}
		select {
		case signals <- first:
		default: // others wait there
		}
	})
	return func() {
		close(over)
		watching.Wait()
	}
}
