package recovery

// Info is what TCP_INFO and a trace tell of a connection's recovery. Times are µs, amounts bytes.
type Info struct {
	Phase                    Phase
	Backoff, Retries         uint8
	Reordering               bool // was seen
	RTO, RTT, RTTVar, MinRTT uint32
	Cwnd, Ssthresh           uint32
	Unacked                  uint32 // Nxt - Una
	Sacked, Lost             uint32 // of it, arrived and thought lost
	InFlight                 uint32 // of it, thought to be in the network
	Retrans                  uint32 // sent again and not yet acknowledged, at most
	TotalResent, TotalLost   uint32 // of the connection, modulo 2^32
	Delivered                uint32 // in all, modulo 2^32
	DeliveryRate             uint64 // bytes per second, 0: not measured
	PacingRate               uint64 // bytes per second, 0: not known
	AppLimited               bool   // the application limits the rate at present
	Records                  uint32 // in use
}

// Info looks at a connection.
func (e *Engine) Info(s *State) Info {
	n := Info{
		Phase: s.phase, Backoff: s.Backoff, Retries: s.Retries, Reordering: s.flags&stateReordering != 0,
		RTO: e.RTO(s), RTT: s.SRTT(), RTTVar: s.rttvar >> 2, MinRTT: s.MinRTT(), Cwnd: s.CC.Cwnd, Ssthresh: s.CC.Ssthresh,
		Unacked: s.Nxt - s.Una, TotalResent: s.resent, TotalLost: s.lostTotal, Delivered: s.delivered,
		PacingRate: s.CC.PacingRate(s.SRTT()),
	}
	if s.rateTime != 0 {
		n.DeliveryRate = uint64(s.rateLen) * 1e6 / uint64(s.rateTime)
	}
	if s.flight != 0 {
		f := e.flights.at(s.flight)
		n.Sacked, n.Lost, n.InFlight, n.Records = f.sackedLen, f.lostLen, s.pipe(f), f.records
		n.AppLimited = f.flags&flightAppLimited != 0
		if s.phase >= PhaseRecovery {
			n.Retrans = min(f.resentLen, n.InFlight)
		}
	}
	return n
}
