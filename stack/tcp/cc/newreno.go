package cc

// newReno is RFC 5681's control, counting bytes as RFC 3465 does, with HyStart++ in the first slow start.
type newReno struct{}

// NewReno is its ID.
var NewReno = Register(newReno{})

const renoCredit = 0 // bytes acknowledged towards the next segment of growth

func (newReno) Name() string   { return "newreno" }
func (newReno) Traits() Traits { return SleepsUnused }
func (newReno) Init(*State)    {}

func (newReno) Ack(s *State, k *Sample) {
	if !s.grows(k) {
		return
	}
	acked := k.Acked
	if s.SlowStart() {
		if s.flags&hystartOn != 0 {
			s.hystart(k)
			return
		}
		if acked = s.slowStart(acked, startLimit(k)); acked == 0 {
			return
		}
	}
	// Congestion avoidance: one segment for each window acknowledged (RFC 5681 §3.1).
	credit := s.words[renoCredit] + acked
	if credit >= s.Cwnd {
		credit = min(credit-s.Cwnd, s.Cwnd)
		s.Cwnd = min(s.Cwnd+s.segments(1), cwndMax)
	}
	s.words[renoCredit] = credit
}

func (newReno) Notify(s *State, e Event, k *Sample) {
	switch e {
	case EventLoss, EventECN, EventTimeout:
		s.reduce(e, k, 1, 2)
		s.words[renoCredit] = 0
	}
}

func (newReno) PacingRate(s *State, srtt uint32) uint64 { return s.pace(srtt) }
