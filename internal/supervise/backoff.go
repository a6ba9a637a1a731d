package supervise

import "time"

// Backoff says how long to wait before a worker that died is started again: twice as long each time, until it has
// lived for long enough.
type Backoff struct {
	deaths int
}

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 30 * time.Second
	// Healthy is how long a worker has to serve for its deaths before to be forgotten.
	Healthy = 5 * time.Second
)

// Died counts a death after a life of that length, and returns the pause.
func (b *Backoff) Died(after time.Duration) time.Duration {
	if after >= Healthy {
		b.deaths = 0
	}
	b.deaths++
	pause := backoffFirst
	for range b.deaths - 1 {
		pause = min(2*pause, backoffMost)
	}
	return pause
}

// Deaths is how many there were in a row.
func (b *Backoff) Deaths() int { return b.deaths }
