package recovery

import (
	"unsafe"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// State is the part of a connection that stays while it is idle. It lies in the PCB; Init makes it ready.
type State struct {
	CC  cc.State
	Una uint32 // SND.UNA
	Nxt uint32 // SND.NXT

	flight    uint32 // in the slab, 0: nothing is in flight
	srtt      uint32 // µs × 8, 0: no sample yet
	rttvar    uint32 // µs × 4
	minNow    uint32 // least RTT of this half of the window, µs, 0: none
	minBefore uint32 // of the half before
	minTick   uint32 // when this half began, in ticks of 1.024 ms
	delivered uint32 // bytes delivered in all (C.delivered)
	lostTotal uint32 // bytes marked lost in all
	resent    uint32 // bytes sent again in all
	sentTick  uint32 // when the last segment was sent, in ticks
	rateLen   uint32 // the last delivery rate sample that the application did not limit: bytes
	rateTime  uint32 // and µs

	// Backoff is how often the RTO is doubled; Retries counts the timeouts since the peer last acknowledged
	// something: whoever gives up looks at it (RFC 9293 §3.8.3).
	Backoff uint8
	Retries uint8

	phase   Phase
	flags   stateFlags
	reoMult uint8 // RACK.reo_wnd_mult
	reoKeep uint8 // RACK.reo_wnd_persist
	_       [2]byte
}

const _ = uint(128-unsafe.Sizeof(State{})) + uint(unsafe.Sizeof(State{})-128) // two cache lines with CC

// Phase is what the loss recovery of a connection is doing; the values are Linux's tcpi_ca_state.
type Phase uint8

// The phases.
const (
	PhaseOpen     Phase = iota // nothing unusual
	PhaseDisorder              // something arrived out of order
	PhaseCWR                   // the window is being reduced after an ECN mark
	PhaseRecovery              // fast recovery
	PhaseLoss                  // after a timeout
)

type stateFlags uint8

const (
	stateSACK       stateFlags = 1 << iota // negotiated
	stateSYNLost                           // the SYN was sent again
	stateReordering                        // RACK.reordering_seen
	stateProbeable                         // an RTT sample was taken since the last probe (RFC 8985 §7.3)
)

// Config holds what is the same for all connections of a stack. Times are µs; the zero value means the defaults.
type Config struct {
	RTOInitial    uint32 // before the first sample: 1 s (RFC 6298 §2)
	RTOMin        uint32 // least allowance for variance on top of SRTT: 200 ms
	RTOMax        uint32 // 120 s
	RTOSlop       uint32 // added to each RTO but the initial one
	MaxAckDelay   uint32 // the peer's longest delay of an ACK, for the tail loss probe: 200 ms (RFC 8985 §7.2)
	Records       int    // most records (64 bytes each) of all connections: 1 Mi
	Flights       int    // most connections with data in flight (256 bytes each): 1 Mi
	NoIdleRestart bool   // keep the window over idle time, within RFC 7661's limits
	NoTLP         bool   // no tail loss probes
}

// Options are one connection's.
type Options struct {
	MSS  uint16 // bytes of payload per segment
	SACK bool   // negotiated
	CC   cc.ID
}

// Engine is the loss recovery of one stack.
type Engine struct {
	cfg      Config
	records  slab[record]
	flights  slab[flight]
	sample   cc.Sample // of the ACK at hand; here so that it does not escape to the heap
	counters Counters
}

// New reserves an engine's address space; memory is taken as it is needed.
func New(cfg Config) (*Engine, error) {
	if cfg.Records == 0 {
		cfg.Records = 1 << 20
	}
	if cfg.Flights == 0 {
		cfg.Flights = 1 << 20
	}
	e := new(Engine)
	e.Tune(cfg)
	var err error
	if e.records, err = newSlab[record](cfg.Records); err != nil {
		return nil, err
	}
	if e.flights, err = newSlab[flight](cfg.Flights); err != nil {
		e.records.close()
		return nil, err
	}
	return e, nil
}

// Tune changes the configuration of a running engine, all but the numbers of records and flights. The least RTO is not
// more than the greatest.
func (e *Engine) Tune(cfg Config) {
	for _, d := range []struct {
		v    *uint32
		want uint32
	}{{&cfg.RTOInitial, 1_000_000}, {&cfg.RTOMin, 200_000}, {&cfg.RTOMax, 120_000_000}, {&cfg.MaxAckDelay, 200_000}} {
		if *d.v == 0 {
			*d.v = d.want
		}
	}
	cfg.RTOMax = min(cfg.RTOMax, 1<<30) // the timers' arithmetic: half of 2^32 µs
	cfg.RTOMin = min(cfg.RTOMin, cfg.RTOMax)
	cfg.RTOInitial = min(cfg.RTOInitial, cfg.RTOMax)
	cfg.MaxAckDelay = min(cfg.MaxAckDelay, cfg.RTOMax)
	cfg.RTOSlop = min(cfg.RTOSlop, cfg.RTOMax)
	e.cfg = cfg
}

// Close gives the memory back. No State may be used with the engine afterwards.
func (e *Engine) Close() error {
	err := e.records.close()
	if err2 := e.flights.close(); err == nil {
		err = err2
	}
	return err
}

// Counters are the engine's own; the caller holds the stack's lock.
func (e *Engine) Counters() *Counters { return &e.counters }

// Used is how many records and flights are taken: none when nothing is in flight.
func (e *Engine) Used() (records, flights int) { return e.records.used, e.flights.used }

// Init makes s ready to send from the sequence number nxt on: the ISS, or the one behind it for a connection that was
// made from a SYN cookie.
func (e *Engine) Init(s *State, nxt uint32) {
	*s = State{Una: nxt, Nxt: nxt, reoMult: 1, reoKeep: reoPersist}
	s.CC.Start(cc.Default, 536, nxt, false) // RFC 9293 §3.7.1: the MSS of a peer that names none
}

// Established sets the negotiated options and the initial window.
func (e *Engine) Established(s *State, o Options) {
	s.flags &^= stateSACK
	if o.SACK {
		s.flags |= stateSACK
	}
	s.flags |= stateProbeable
	if s.srtt == 0 {
		s.Backoff = 0 // of the SYN's timeouts; RTO knows what RFC 6298 §5.7 has instead
	}
	if s.flight != 0 { // a SYN that was sent again is no episode of what follows
		f := e.flights.at(s.flight)
		f.flags &^= flightUndo | flightEnded | flightStamp
		if f.head == 0 {
			e.end(s, f)
		}
	}
	s.CC.Start(o.CC, o.MSS, s.Nxt, s.flags&stateSYNLost != 0)
}

// SetCC changes the congestion control of a connection (TCP_CONGESTION). The window stays.
func (e *Engine) SetCC(s *State, id cc.ID) { s.CC.SetAlgorithm(id) }

// Release gives back what s holds in the engine's slabs: what was in flight is forgotten.
func (e *Engine) Release(s *State) {
	if s.flight == 0 {
		return
	}
	f := e.flights.at(s.flight)
	for i := f.head; i != 0; {
		next := e.rec(i).next
		e.records.release(i)
		i = next
	}
	e.flights.release(s.flight)
	s.flight = 0
}

// end gives the flight back when nothing is in flight and nothing is left to be learnt of past losses.
func (e *Engine) end(s *State, f *flight) {
	f.sackedLen, f.dupAcks = 0, 0
	if f.flags&(flightUndo|flightTLP) != 0 {
		f.flags &^= flightResent | flightReorder | flightForce | flightFRTO | flightFRTONew
		f.rackRTT = 0
		return
	}
	e.flights.release(s.flight)
	s.flight = 0
}

// pipe is how many bytes are thought to be in the network (RFC 6675 §4).
func (s *State) pipe(f *flight) uint32 { return s.Nxt - s.Una - f.sackedLen - f.lostLen }

// InFlight is how many bytes are thought to be in the network (pipe).
func (e *Engine) InFlight(s *State) uint32 {
	if s.flight == 0 {
		return 0
	}
	return s.pipe(e.flights.at(s.flight))
}

// Phase is what recovery is doing.
func (s *State) Phase() Phase { return s.phase }
