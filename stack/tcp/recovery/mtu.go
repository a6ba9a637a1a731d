package recovery

// SetMSS changes the segment size, after path MTU discovery. Ranges in flight that were sent in longer segments are to
// be sent again at once, and not taken for congestion (RFC 1191 §6.5, RFC 8201 §5.4).
func (e *Engine) SetMSS(s *State, mss uint16) {
	old := s.CC.MSS
	s.CC.SetMSS(mss)
	if mss >= old || s.flight == 0 {
		return
	}
	f := e.flights.at(s.flight)
	for i := f.head; i != 0; i = e.rec(i).next {
		r := e.rec(i)
		if r.len() > uint32(mss) && r.flags&(recSacked|recLost) == 0 {
			e.markLost(s, f, i, r)
			f.flags |= flightForce
		}
	}
	if s.flags&stateSACK == 0 {
		f.sackedLen = min(f.sackedLen, s.Nxt-s.Una-f.lostLen)
	}
}
