package tcp

import (
	"syscall"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// sockOptions are the socket options that are seldom changed and then alike for many sockets: sockets share sets of
// them, and an accepted socket has its listener's. A zero duration or count means the sysctl's.
type sockOptions struct {
	refs        uint32
	keepIdle    uint32 // ms
	keepIntvl   uint32 // ms
	userTimeout uint32 // ms, 0: the retries decide
	linger      int32  // seconds, -1: off
	lowat       uint32 // SO_RCVLOWAT
	notSentLow  uint32 // TCP_NOTSENT_LOWAT, 0: off
	clamp       uint32 // TCP_WINDOW_CLAMP, 0: none
	maxPacing   uint64 // SO_MAX_PACING_RATE in bytes per second, 0: none
	linger2     int32  // TCP_LINGER2 in ms: 0 the sysctl, -1: no FIN-WAIT-2 for orphans
	maxSeg      uint16 // TCP_MAXSEG
	deferAccept uint8  // seconds
	keepCnt     uint8
	synCount    uint8 // TCP_SYNCNT
	ttl         uint8 // 0: the sysctl's
	tos         uint8
	class       uint8 // IPV6_TCLASS
	hops        uint8 // IPV6_UNICAST_HOPS, 0: the sysctl's
	cc          cc.ID
	noPMTU      uint8 // IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: 0 … 3 as Linux has them
}

func defaultOptions() sockOptions { return sockOptions{linger: -1, lowat: 1, noPMTU: 1} }

// optionSets counts the references to each set.
type optionSets struct {
	slab[sockOptions]
	initial uint32 // the set of new sockets
}

func (s *optionSets) init(o sockOptions) {
	s.initial = s.alloc()
	*s.at(s.initial) = o
	s.at(s.initial).refs = 1
}

func (s *optionSets) ref(i uint32) uint32 {
	s.at(i).refs++
	return i
}

func (s *optionSets) unref(i uint32) {
	o := s.at(i)
	if o.refs--; o.refs == 0 {
		s.release(i)
	}
}

// change applies f to a copy, or to the set itself if nobody else has it, and returns whose index to hold now;
// 0: no memory.
func (s *optionSets) change(i uint32, f func(*sockOptions)) uint32 {
	o := s.at(i)
	if o.refs == 1 {
		f(o)
		return i
	}
	j := s.alloc()
	if j == 0 {
		return 0
	}
	n := s.at(j)
	*n = *o
	n.refs = 1
	f(n)
	o.refs--
	return j
}

// setDefault changes what new sockets get; those that share the set until now keep it as it was.
func (s *optionSets) setDefault(f func(*sockOptions)) error {
	i := s.change(s.initial, f)
	if i == 0 {
		return syscall.ENOMEM
	}
	s.initial = i
	return nil
}
