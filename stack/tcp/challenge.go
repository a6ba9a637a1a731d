package tcp

import (
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// answerOld sends the ACK that an unacceptable segment gets at once. What carries data is a retransmission and always
// gets one; the rest only so many, lest two peers go on telling each other (RFC 5961 §7).
func (t *TCP) answerOld(i uint32, p *pcb, s *segment) {
	if len(s.payload) == 0 && s.flags&wire.FIN == 0 && !t.mayChallenge(&p.warPeriod, &p.warCount) {
		return
	}
	if p.flags&flagSACK != 0 && len(s.payload) > 0 && before(s.seq, p.rcvNxt) {
		t.dsackLater = recovery.Block{Start: s.seq, End: s.seq + uint32(len(s.payload))}
	}
	t.ackAtOnce(i, p)
}

// ackAtOnce sends an ACK now, past the dirty list, because the peer counts such ACKs.
func (t *TCP) ackAtOnce(i uint32, p *pcb) {
	t.dsack, t.dsackLater = t.dsackLater, recovery.Block{}
	if t.dsack.Start != t.dsack.End {
		t.counters.TxDSACKs++
	}
	ok := t.sendAck(p)
	t.dsack = recovery.Block{}
	if ok {
		t.counters.TxDuplicateAcks++
		return
	}
	p.flags |= flagAckNow
	t.mark(i, p)
}

// sendAck sends an ACK now if there is a route and a frame.
func (t *TCP) sendAck(p *pcb) bool {
	if p.gen != t.gen {
		return false
	}
	_, ok := t.transmit(p, p.rec.Nxt, wire.ACK, 0, cursor{})
	return ok
}

// challenge sends a challenge ACK (RFC 5961 §3.2), within limits (§7).
func (t *TCP) challenge(i uint32, p *pcb) {
	if t.mayChallenge(&p.warPeriod, &p.warCount) {
		t.counters.TxChallengeAcks++
		t.ackAtOnce(i, p)
	}
}

// mayChallenge counts the answers of this period. The period's number is per connection: a limit for all would tell
// an attacker on one connection about another (CVE-2016-5696).
func (t *TCP) mayChallenge(period, count *uint8) bool {
	now := uint8(t.nowMS / uint32(t.sys.warTime))
	if *period != now {
		*period, *count = now, 0
	}
	if int(*count) >= t.sys.warCount {
		t.counters.ChallengesWithheld++
		return false
	}
	*count++
	return true
}
