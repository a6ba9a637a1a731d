package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/fstack-go/fstack/stack"
)

// epoch is gVisor's monotonic time when the stack's is zero: gVisor takes zero for "never".
const epoch = time.Hour

// clock is the stack's clock as gVisor wants it. Where gVisor expects a goroutine for a timer's function, the loop
// calls it between two packets, so it never runs beside Deliver.
type clock struct {
	*stack.Clock
	wall time.Time // when the stack's clock showed zero
}

var (
	_ tcpip.Clock = (*clock)(nil)
	_ tcpip.Timer = (*stack.Timer)(nil)
)

func newClock(c *stack.Clock) *clock {
	return &clock{c, time.Now().Add(-time.Duration(c.Now()))}
}

// Now implements tcpip.Clock.
func (c *clock) Now() time.Time { return c.wall.Add(time.Duration(c.Clock.Now())) }

// NowMonotonic implements tcpip.Clock.
func (c *clock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(epoch + time.Duration(c.Clock.Now()))
}

// AfterFunc implements tcpip.Clock.
func (c *clock) AfterFunc(d time.Duration, f func()) tcpip.Timer { return c.Clock.AfterFunc(d, f) }
