package tcp

import "github.com/fstack-go/fstack/stack/wire"

// stray asks whether the segment at hand, which belongs to no connection, is another lcore's and was handed over.
func (t *TCP) stray(s *segment) bool {
	switch {
	case s.port == portLoop || !t.st.Steered():
		return false
	case t.frame != nil:
		return t.st.Stray(int(s.port), t.frame)
	}
	return t.st.StrayDatagram(int(s.port), wire.ProtoTCP, t.remote(&s.key), t.local(&s.key), t.unwrapped)
}
