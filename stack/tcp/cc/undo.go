package cc

// Undo puts back what a loss that was none had reduced; old is the state before it. What was measured since stays.
// A window that has grown past the old one stays too (RFC 9438 §4.9.2).
func (s *State) Undo(old *State) {
	s.Ssthresh = max(s.Ssthresh, old.Ssthresh)
	s.flags &^= lossUnused | afterRTO
	if s.Cwnd >= old.Cwnd {
		return
	}
	s.Cwnd = old.Cwnd
	if s.id == old.id {
		s.words = old.words
		s.flags |= old.flags & (hystartOn | inCSS | afterRTO)
	}
}
