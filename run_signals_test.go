package fstack

import (
	"log/slog"
	"os"
	"syscall"
	"testing"
)

func TestSignalsWhileStarting(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	never := func(s os.Signal) { t.Errorf("killed by %v", s) }

	signals := make(chan os.Signal, 2)
	whileStarting(log, signals, never)()
	if len(signals) != 0 {
		t.Error("a signal out of nothing")
	}

	done := whileStarting(log, signals, never)
	signals <- syscall.SIGTERM
	for len(signals) > 0 { // until it is seen
	}
	done()
	select {
	case s := <-signals:
		if s != syscall.SIGTERM {
			t.Errorf("%v was kept", s)
		}
	default:
		t.Error("a signal that came during the start was lost")
	}

	killed := make(chan os.Signal, 1)
	done = whileStarting(log, signals, func(s os.Signal) { killed <- s })
	signals <- syscall.SIGINT
	signals <- syscall.SIGTERM
	if s := <-killed; s != syscall.SIGTERM {
		t.Errorf("killed by %v", s)
	}
	done()
}
