package tcp

// isnGap is how far beyond an old incarnation's last number a new one begins.
const isnGap = 65535 + 2

// isn is the initial sequence number of RFC 6528 §3: a clock of 4 µs and a keyed hash of the 4-tuple.
func (t *TCP) isn(k *key) uint32 {
	return uint32(t.now/4000) + uint32(k.sip(&t.secret.isn, 0))
}

// stampOffset is what is added to the clock for a connection's timestamps, so that they tell nothing about other
// connections or the time since start (RFC 7323 §7.1).
func (t *TCP) stampOffset(k *key) uint32 { return uint32(k.sip(&t.secret.stamp, 0)) }
