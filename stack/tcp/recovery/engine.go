package recovery

import "github.com/fstack-go/fstack/stack/tcp/cc"

// State is the part of a connection that stays while it is idle. It lies in the PCB.
type State struct {
	CC  cc.State
	Una uint32 // SND.UNA
	Nxt uint32 // SND.NXT
	// Backoff counts the RTOs since the last progress.
	Backoff uint8
}

// Config holds what is the same for all connections of a stack. Times are µs; the zero value means the defaults.
type Config struct {
	RTOInitial    uint32 // 1 s
	RTOMin        uint32 // 200 ms
	RTOMax        uint32 // 120 s
	MaxAckDelay   uint32 // the peer's longest delay of an ACK, for TLP: 200 ms
	Records       int    // most records (64 bytes each) of all connections: 1 Mi
	NoIdleRestart bool   // keep the window over idle time (within RFC 7661's limits)
}

// Options are one connection's.
type Options struct {
	MSS   uint16 // bytes of payload per segment
	SACK  bool   // negotiated
	Stamp bool   // timestamps negotiated
	CC    cc.ID
}

// Engine is the loss recovery of one stack.
type Engine struct{}

// New reserves an engine's memory.
func New(cfg Config) (*Engine, error) { return nil, nil }

// Close gives the memory back.
func (e *Engine) Close() error { return nil }

// Init makes s ready to send its SYN with sequence number iss; SYNs need no other options.
func (e *Engine) Init(s *State, iss uint32) {}

// Established sets the negotiated options and the initial window.
func (e *Engine) Established(s *State, o Options) {}

// SetCC changes the congestion control of a connection (TCP_CONGESTION). The window stays.
func (e *Engine) SetCC(s *State, id cc.ID) {}

// SetMSS changes the segment size after path MTU discovery, and has longer segments in flight sent again without
// taking that for congestion.
func (e *Engine) SetMSS(s *State, mss uint16, now int64) {}

// OnSend records that [seq, seq+n) left at now; seq < Nxt: again. false: no memory, the segment must not be sent.
func (e *Engine) OnSend(s *State, seq, n uint32, now int64, flags SendFlags) bool { return false }

// OnAck takes an ACK in and fills r.
func (e *Engine) OnAck(s *State, a *Ack, now int64, r *Result) {}

// NextRetransmit gives the next range to send again, at most max bytes, if the congestion window allows one.
func (e *Engine) NextRetransmit(s *State, max uint32) (seq, n uint32, ok bool) { return 0, 0, false }

// Allowance is how many bytes of new data the congestion window permits now. It is called before sending, at now,
// since a window is restarted after idle time.
func (e *Engine) Allowance(s *State, now int64) uint32 { return 0 }

// Deadline is when OnTimer wants to be called, in µs, and why. TimerNone: never.
func (e *Engine) Deadline(s *State, now int64) (at int64, kind Timer) { return 0, TimerNone }

// OnTimer acts on what is due at now. unsent is as in Ack.
func (e *Engine) OnTimer(s *State, now int64, unsent uint32) Action { return Action{} }

// Release gives back what s holds in the engine's slabs.
func (e *Engine) Release(s *State) {}

// InFlight is how many bytes are thought to be in the network (pipe).
func (e *Engine) InFlight(s *State) uint32 { return 0 }
