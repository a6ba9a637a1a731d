package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// Delivery rate estimation, draft-cheng-iccrg-delivery-rate-estimation: each transmission remembers how much had
// been delivered and when; the newest one that an ACK delivers gives the sample.

// stampRate is the draft's SendPacket.
func (s *State) stampRate(f *flight, r *record, t uint32) {
	pipe := s.pipe(f)
	if pipe == 0 {
		f.firstSent, f.deliveredAt = t, t
	}
	r.sent = t
	r.delivered, r.deliveredAt, r.firstSent = s.delivered, f.deliveredAt, f.firstSent
	r.lostTotal = s.lostTotal
	r.inFlight = pipe // the caller adds what is sent now
	r.flags &^= recAppLimited
	if f.flags&flightAppLimited != 0 {
		r.flags |= recAppLimited
	}
}

// limited marks that the application, not the window, ends the flight here.
func (s *State) limited(f *flight) {
	if pipe := s.pipe(f); pipe < s.CC.Cwnd && f.lostLen == 0 {
		f.flags |= flightAppLimited
		f.appLimited = s.delivered + pipe
	}
}

// newest is the most recently sent segment of those that an ACK delivers.
type newest struct {
	have                              bool
	flags                             recordFlags
	sent, end                         uint32
	delivered, deliveredAt, firstSent uint32
	lostTotal, inFlight               uint32
}

// offer takes a delivered record in if it was sent after the one held (UpdateRateSample).
func (n *newest) offer(r *record, end uint32) {
	if n.have && !sentAfter(r.sent, end, n.sent, n.end) {
		return
	}
	*n = newest{true, r.flags, r.sent, end, r.delivered, r.deliveredAt, r.firstSent, r.lostTotal, r.inFlight}
}

// rate makes the sample (GenerateRateSample). C.delivered must have been updated.
func (s *State) rate(f *flight, n *newest, t uint32, out *cc.Rate) {
	f.deliveredAt, f.firstSent = t, n.sent
	if f.flags&flightAppLimited != 0 && seqLT(f.appLimited, s.delivered) {
		f.flags &^= flightAppLimited
	}
	*out = cc.Rate{
		Delivered: s.delivered - n.delivered, Interval: max(n.sent-n.firstSent, t-n.deliveredAt),
		Prior: n.delivered, InFlight: n.inFlight, Lost: s.lostTotal - n.lostTotal,
		AppLimited: n.flags&recAppLimited != 0, Retrans: n.flags&recResent != 0,
	}
	if out.Interval < s.MinRTT() { // ACKs were compressed: no network is that fast
		out.Interval = 0
	} else if !out.AppLimited || s.rateTime == 0 {
		s.rateLen, s.rateTime = out.Delivered, out.Interval
	}
}
