package tcp

import "github.com/fstack-go/fstack/stack/wire"

// SYN cookies (RFC 4987 §3.6): under pressure a SYN is answered without any memory of it. The initial sequence number
// says what the ACK must bring back, and our timestamp carries the peer's options.
//
//	31      27 26    24 23                                             0
//	┌─────────┬────────┬────────────────────────────────────────────────┐  sequence number: when, the peer's MSS,
//	│ period  │ MSS    │ keyed hash of the 4-tuple, its ISN, period, MSS│  and proof that we sent it
//	└─────────┴────────┴────────────────────────────────────────────────┘
//	31                                                6   5    4       0
//	┌──────────────────────────────────────────────────┬──────┬────────┐  timestamp
//	│ clock                                            │ SACK │ scale  │  scale 15: none
//	└──────────────────────────────────────────────────┴──────┴────────┘

// cookieMSS are the segment sizes that a cookie can say; the highest one not above the peer's counts.
var cookieMSS = [8]uint16{216, 536, 1200, 1360, 1400, 1440, 1460, 8940}

const (
	cookiePeriod   = 32 * 1e9   // ns
	cookiePeriods  = 2          // how many a cookie lives
	cookiePressure = 2 * 60_000 // ms after the last cookie in which ACKs may bring one
	cookieNoScale  = 15         // in the timestamp
	cookieStamp    = uint32(31) // its bits for the scale
	cookieSACK     = uint32(32) // and for SACK
	cookieBits     = uint32(63) //
	cookieHash     = 1<<24 - 1  //
	cookieAge      = uint32(31) // bits of the period
)

func (t *TCP) cookie(k *key, irs, period uint32, mss uint32) uint32 {
	h := k.sip(&t.secret.cookie, uint64(irs)<<32|uint64(period&cookieAge)<<3|uint64(mss))
	return (period&cookieAge)<<27 | mss<<24 | uint32(h)&cookieHash
}

// sendCookie answers a SYN with a cookie.
func (t *TCP) sendCookie(lp *pcb, q *listener, s *segment) {
	t.counters.CookiesSent++
	q.cookieAt = max(t.nowMS, 1)
	mss := uint16(t.sys.mssV4)
	if s.ipv6 {
		mss = uint16(t.sys.mssV6)
	}
	if s.opts.has&hasMSS != 0 {
		mss = s.opts.mss
	}
	m := uint32(0)
	for m+1 < uint32(len(cookieMSS)) && cookieMSS[m+1] <= mss {
		m++
	}
	var has optionBits
	var stamp uint32
	if s.opts.has&hasStamp != 0 && t.sys.stamps() {
		has |= hasStamp
		bits := uint32(cookieNoScale)
		if s.opts.has&hasScale != 0 && t.sys.scaling() {
			has |= hasScale
			bits = uint32(s.opts.scale)
		}
		if s.opts.has&hasSACKPerm != 0 && t.sys.sack != 0 {
			has |= hasSACKPerm
			bits |= cookieSACK
		}
		_, offset := t.personal(&s.key)
		clock := t.nowMS + offset
		stamp = clock&^cookieBits | bits
		if after(stamp, clock) {
			stamp -= cookieBits + 1 // never ahead of the clock
		}
	}
	var b [40]byte
	n := putSYNOptions(b[:], has, t.cookieOurMSS(lp, s), t.cookieScale(lp), stamp, s.opts.tsVal)
	iss := t.cookie(&s.key, s.seq, uint32(t.now/cookiePeriod), m)
	t.reply(s, iss, s.seq+1, wire.SYN|wire.ACK, uint16(min(lp.rcvBuf, 65535)), 0, b[:n])
}

func (t *TCP) cookieScale(lp *pcb) uint8 {
	if lp.flags&flagRcvLocked != 0 {
		return scaleFor(lp.rcvBuf)
	}
	return scaleFor(max(lp.rcvBuf, uint32(t.sys.recvMax)))
}

// cookieOurMSS is what a cookie's SYN-ACK announces: there is no route to ask for a flood, so the port's MTU decides.
func (t *TCP) cookieOurMSS(lp *pcb, s *segment) uint16 {
	mtu := loopMTU
	if s.port != portLoop {
		mtu = t.st.Port(int(s.port)).Info().MTU
	}
	mss := mtu - wire.IPv4Len - wire.TCPLen
	if s.ipv6 {
		mss = mtu - wire.IPv6Len - wire.TCPLen
	}
	if o := t.opts.at(lp.opts); o.maxSeg != 0 {
		mss = min(mss, int(o.maxSeg))
	}
	return uint16(mss)
}

// inputCookie takes an ACK to a listener as the answer to a cookie. It returns false if it is none.
func (t *TCP) inputCookie(l uint32, lp *pcb, s *segment) bool {
	q := t.listens.at(lp.ext)
	if t.sys.syncookiesOnly == 0 && (q.cookieAt == 0 || t.nowMS-q.cookieAt > cookiePressure) {
		return false // none was sent lately: nobody may guess one now
	}
	if s.flags&wire.FIN != 0 && len(s.payload) == 0 {
		// Rather a connection that was reset here, with the RST lost, than a new one of which only the end arrived: that
		// would be ended in order, and its peer not learn that the answer is missing.
		return false
	}
	irs, iss := s.seq-1, s.ack-1
	now := uint32(t.now / cookiePeriod)
	period := now - (now-iss>>27)&cookieAge
	mss := iss >> 24 & 7
	if now-period >= cookiePeriods || t.cookie(&s.key, irs, period, mss) != iss {
		t.counters.CookiesWrong++
		return false
	}
	if q.waiting >= q.backlog {
		t.counters.DropAcceptQueueFull++
		return true
	}
	i, p := t.spawn(l, lp, s)
	if i == 0 {
		t.counters.DropNoMemoryForSYN++
		return true
	}
	t.counters.CookiesRight++
	p.irs, p.iss, p.rcvNxt = irs, iss, s.seq
	p.rcvAcked = p.rcvNxt
	p.rcvAdv = p.rcvNxt + min(p.rcvBuf, 65535)
	p.peerMSS = cookieMSS[mss]
	if s.opts.has&hasStamp != 0 && t.sys.stamps() {
		_, p.tsOffset = t.personal(&p.key)
		p.tsRecent, p.tsRecentAt = s.opts.tsVal, t.nowMS
		p.flags |= flagStamp
		if scale := s.opts.tsEcr & cookieStamp; scale <= scaleMost {
			p.flags |= flagScale
			p.sndScale, p.rcvScale = uint8(scale), t.cookieScale(lp)
		}
		if s.opts.tsEcr&cookieSACK != 0 {
			p.flags |= flagSACK
		}
	}
	t.clampReceive(p)
	t.setMSS(p)
	p.state = stateSynRcvd
	t.rec.Init(&p.rec, p.iss+1)
	t.inputSynced(i, p, s)
	return true
}
