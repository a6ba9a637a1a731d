package tcp

// isnGap is how far beyond an old incarnation's last number a new one begins.
const isnGap = 65535 + 2

// personal are the numbers of a connection that nobody else may guess, from the two halves of one keyed hash of its
// 4-tuple: its initial sequence number (see isn), and what is added to the clock for its timestamps, so that they tell
// nothing about other connections or the time since start (RFC 7323 §7.1).
func (t *TCP) personal(k *key) (isn, stamp uint32) {
	h := k.sip(&t.secret.connection, 0)
	return uint32(t.now/4000) + uint32(h), uint32(h >> 32)
}

// isn is the initial sequence number of RFC 6528 §3, with a clock of 4 µs.
func (t *TCP) isn(k *key) uint32 {
	isn, _ := t.personal(k)
	return isn
}
