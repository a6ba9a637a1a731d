package tcp

import (
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack/simnet"
)

// RFC 9293 §3.8.6.1: a connection lives as long as its probes are answered, however often the window closes.
func TestRFC9293_3_8_6_1_WindowClosesAgainAndAgain(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: time.Millisecond})
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	data, buf := randomBytes(8<<20, 1), make([]byte, 1<<20)
	sent, got := 0, 0
	for round := 0; got < len(data); round++ {
		// Fill the window, then leave it closed for several probes.
		p.sim.Run(20*time.Second, func() bool {
			if n, err := p.host[0].Send(c, data[sent:], 0); err == nil {
				sent += n
			}
			return false
		})
		before := got
		p.sim.Run(time.Second, func() bool { // read until nothing comes
			n, err := p.host[1].Recv(s, buf, 0)
			if err == nil {
				if string(buf[:n]) != string(data[got:got+n]) {
					t.Fatalf("bytes differ behind %d", got)
				}
				got += n
			}
			return got == len(data) || got-before > 4<<20
		})
		if e := p.host[0].pcbs.at(uint32(c)).err; e != 0 || got == before {
			t.Fatalf("round %d: errno %d, %d of %d bytes came", round, e, got, len(data))
		}
	}
	p.closeAll(c, s, l)
}
