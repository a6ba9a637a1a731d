package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// Delivery rate estimation, draft-cheng-iccrg-delivery-rate-estimation: each transmission remembers how much had
// been delivered and when; the newest one that an ACK delivers gives the sample.

// stampRate is the draft's SendPacket.
func (s *State) stampRate(f *flight, r *record, t uint32) {
	pipe := s.pipe(f)
	deliveredAt, firstSent := f.deliveredAt, f.firstSent
	if pipe == 0 {
		deliveredAt, firstSent = t, t
		f.deliveredAt, f.firstSent = t, t
	}
	r.sent, r.delivered, r.deliveredAt, r.firstSent = t, s.delivered, deliveredAt, firstSent
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
	stamp
	end  uint32
	have bool
}

// offer takes a delivered record in if it was sent after the one held (UpdateRateSample).
func (n *newest) offer(r *record, end uint32) {
	if n.have && !sentAfter(r.sent, end, n.sent, n.end) {
		return
	}
	n.stamp, n.end, n.have = r.stamp, end, true
}

// rate makes the sample from the stamp of the newest segment that arrived (GenerateRateSample). C.delivered must have
// been updated.
func (s *State) rate(p *stamp, t, least uint32, out *cc.Rate) {
	interval := max(p.sent-p.firstSent, t-p.deliveredAt)
	limited := p.flags&recAppLimited != 0
	length := s.delivered - p.delivered
	if interval < least { // ACKs were compressed: no network is that fast
		interval = 0
	} else if !limited || s.rateTime == 0 {
		s.rateLen, s.rateTime = length, interval
	}
	out.Delivered, out.Interval = length, interval
	out.Prior, out.InFlight = p.delivered, p.inFlight
	out.Lost = s.lostTotal - p.lostTotal
	out.AppLimited, out.Retrans = limited, p.flags&recResent != 0
}

// arrived is what a flight remembers of the newest segment that arrived.
func (s *State) arrived(f *flight, p *stamp, t uint32) {
	f.deliveredAt, f.firstSent = t, p.sent
	if f.flags&flightAppLimited != 0 && seqLT(f.appLimited, s.delivered) {
		f.flags &^= flightAppLimited
	}
}
