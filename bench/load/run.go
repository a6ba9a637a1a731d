package main

import (
	"fmt"
	"time"
)

// link tells whether the device's link is up.
type link func() bool

// run drives a client: it waits for the link and the connections, warms up, measures, and closes.
func (l *client) run(clock func() int64, up link, interrupted func() bool) (report, error) {
	l.turnAt = clock()
	// turn until the time is over or done is.
	turn := func(d time.Duration, done func() bool) (bool, error) {
		for end := clock() + int64(d); ; {
			for range l.look {
				l.turn(clock)
			}
			switch {
			case done != nil && done():
				return true, nil
			case interrupted():
				return false, errInterrupted
			case l.now >= end:
				return false, nil
			}
		}
	}
	if ok, err := turn(l.timeout, up); err != nil || !ok {
		return report{}, orElse(err, "nobody has connected to the device within %v: is the server there?", l.timeout)
	}
	if ok, err := turn(l.timeout, func() bool { return l.resolved }); err != nil || !ok {
		return report{}, orElse(err, "%v does not answer ARP from %v: is it the server's address, and in the same network?", l.via, l.from)
	}
	ready := func() bool {
		return int(l.opened) == len(l.conns) && (l.established == len(l.conns) || l.mode == modeConnect && l.counters.Requests > 0 && l.established >= l.idleConns)
	}
	if ok, err := turn(l.timeout, ready); err != nil || !ok {
		c := &l.counters
		return report{}, orElse(err, "%d of %d connections to %v are established after %v (%d refused, %d reset, %d silent, %d cut short, %d answers not understood)",
			l.established, len(l.conns), l.to, l.timeout, c.Refused, c.Resets, c.Timeouts, c.CutShort, c.BadAnswers)
	}
	if _, err := turn(l.warmup, nil); err != nil {
		return report{}, err
	}
	l.measure()
	begin := l.now
	_, err := turn(l.span, nil)
	r := l.report(time.Duration(l.now - begin))
	l.stop()
	if gone, _ := turn(time.Second, l.gone); !gone {
		l.abort()
		turn(time.Second, l.gone)
	}
	return r, err
}

func orElse(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf(format, args...)
}
