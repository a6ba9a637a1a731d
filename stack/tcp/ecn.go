package tcp

import (
	"github.com/fstack-go/fstack/stack/tcp/cc"
	"github.com/fstack-go/fstack/stack/wire"
)

// Explicit congestion notification, RFC 3168: routers mark packets instead of dropping them. The receiver echoes the
// mark in each ACK until the sender says that it has reduced its window.

// The ECN bits of the IP header.
const (
	ecnMask = 3
	ecnECT0 = 2
	ecnCE   = 3
)

// The values of net.inet.tcp.ecn.enable.
const (
	ecnOff = iota
	ecnBoth
	ecnAnswer
)

// negotiateECN looks at the flags of the peer's SYN (RFC 3168 §6.1.1).
func (t *TCP) negotiateECN(p *pcb, s *segment, active bool) {
	switch s.flags & (wire.ECE | wire.CWR) {
	case wire.ECE: // of a SYN-ACK: yes
		if !active || s.flags&wire.ACK == 0 {
			p.flags &^= flagECN
		}
	case wire.ECE | wire.CWR: // of a SYN: the question
		if (t.sys.ecn != ecnOff || t.opts.at(p.opts).cc.Traits()&cc.NeedsECN != 0) && !active {
			p.flags |= flagECN
		} else {
			p.flags &^= flagECN
		}
	default:
		p.flags &^= flagECN
	}
}

// inputECN takes note of a mark on data, and of the peer's word that it has slowed down (§6.1.3).
func (t *TCP) inputECN(i uint32, p *pcb, s *segment) {
	if p.flags&flagExactCE != 0 {
		t.inputExactCE(i, p, s)
		return
	}
	if s.flags&wire.CWR != 0 {
		p.flags &^= flagEchoCE
	}
	if s.ce {
		t.counters.RxCongestion++
		p.flags |= flagEchoCE
		p.quick = max(p.quick, 2) // the sender should know soon
	}
}

// inputExactCE has each ACK say whether the data that it is for met congestion: one that was delayed leaves before the
// answer changes (RFC 8257 §3.2, figure 1).
func (t *TCP) inputExactCE(i uint32, p *pcb, s *segment) {
	if s.ce {
		t.counters.RxCongestion++
	}
	if s.ce == (p.flags&flagEchoCE != 0) {
		return
	}
	if p.rcvAcked != p.rcvNxt && !t.sendAck(p) {
		t.counters.TxQueueFull++
	}
	p.flags ^= flagEchoCE
}

// markECN has the next new data sent as ECN-capable, and returns its flags. Retransmissions, ACKs and probes are not
// (§6.1.4 … 6.1.6).
func (t *TCP) markECN(p *pcb) uint8 {
	t.ect = ecnECT0
	if p.flags&flagCWR != 0 {
		return wire.CWR
	}
	return 0
}
