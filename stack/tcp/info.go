package tcp

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack/tcp/recovery"
)

// info fills Linux's struct tcp_info (uapi/linux/tcp.h). What has no meaning here is zero.
//
//	0 … 7     state, ca_state, retransmits, probes, backoff, options, scales, app limited
//	8 … 103   24 words: rto … total_retrans
//	104 …     64-bit rates and amounts, then words; the offsets stand below
func (t *TCP) info(p *pcb, b *[tcpInfoMost]byte) {
	le := binary.NativeEndian
	state := p.state
	b[0] = uint8(state)
	b[3] = p.probes
	if p.flags&flagStamp != 0 {
		b[5] |= 1 // TCPI_OPT_TIMESTAMPS
	}
	if p.flags&flagSACK != 0 {
		b[5] |= 2 // TCPI_OPT_SACK
	}
	if p.flags&flagScale != 0 {
		b[5] |= 4 // TCPI_OPT_WSCALE
	}
	if p.flags&flagECN != 0 {
		b[5] |= 8 // TCPI_OPT_ECN
	}
	b[6] = p.sndScale&15 | p.rcvScale<<4
	if state == stateListen { // Linux shows the accept queue here
		q := t.listens.at(p.ext)
		le.PutUint32(b[24:], q.waiting)
		le.PutUint32(b[28:], q.backlog-1)
		return
	}
	busy, rwnd, sndbuf := t.times(p)
	var n recovery.Info
	if p.mss != 0 {
		n = t.rec.Info(&p.rec)
	}
	b[1] = uint8(n.Phase)
	b[2] = n.Retries
	b[4] = n.Backoff
	if n.AppLimited {
		b[7] |= 1
	}
	mss := max(uint32(p.mss), 1)
	packets := func(bytes uint32) uint32 { return (bytes + mss - 1) / mss }
	ago := func(at uint32) uint32 {
		if at == 0 {
			return 0
		}
		return t.nowMS - at
	}
	words := [...]uint32{ // from offset 8; what was sent again counts as lost until it is acknowledged, as on Linux
		n.RTO, uint32(t.sys.delackTime) * 1000, uint32(p.mss), uint32(p.rcvMSS),
		packets(n.Unacked), packets(n.Sacked), packets(n.Lost + n.Retrans), packets(n.Retrans), 0,
		ago(p.sentAt), 0, ago(p.rcvdAt), ago(p.ackedAt),
		uint32(p.pmtu), p.window(), n.RTT, n.RTTVar, n.Ssthresh / mss, n.Cwnd / mss, uint32(t.announcedMSS(p)), 3,
		p.rec.SRTT(), p.rcvBuf, p.resent,
	}
	if n.Ssthresh >= 1<<31-1 {
		words[17] = 1<<31 - 1
	}
	for i, v := range words {
		le.PutUint32(b[8+4*i:], v)
	}
	limit := noRate
	if o := t.opts.at(p.opts); o.maxPacing != 0 {
		limit = o.maxPacing
	}
	le.PutUint64(b[104:], min(n.PacingRate, limit))
	le.PutUint64(b[112:], limit)
	le.PutUint64(b[120:], p.acked)
	le.PutUint64(b[128:], p.received)
	le.PutUint32(b[136:], p.segsOut)
	le.PutUint32(b[140:], p.segsIn)
	le.PutUint32(b[144:], p.unsent())
	le.PutUint32(b[148:], n.MinRTT)
	le.PutUint32(b[152:], p.dataIn)
	le.PutUint32(b[156:], p.dataOut)
	le.PutUint64(b[160:], n.DeliveryRate)
	for i, ms := range [...]uint32{busy, rwnd, sndbuf} {
		le.PutUint64(b[168+8*i:], uint64(ms)*1000)
	}
	le.PutUint32(b[192:], packets(n.Delivered))
	le.PutUint64(b[200:], p.acked+uint64(n.Unacked)+uint64(n.TotalResent)) // bytes_sent
	le.PutUint64(b[208:], uint64(n.TotalResent))                           // bytes_retrans
	if n.Reordering {
		le.PutUint32(b[220:], 1)
	}
	if p.ooo != 0 {
		le.PutUint32(b[224:], uint32(t.ooo.at(p.ooo).count))
	}
	le.PutUint32(b[228:], p.sndWnd)
	le.PutUint32(b[232:], p.window())
}
