package recovery

// SendFlags tell OnSend what kind of segment left.
type SendFlags uint8

// The flags of OnSend.
const (
	// SendSYN and SendFIN: the segment has this flag, which counts in its length.
	SendSYN SendFlags = 1 << iota
	SendFIN
	// SendProbe: the segment is the tail loss probe that OnTimer asked for.
	SendProbe
	// SendLast: the send queue is empty after it (rate samples: the application limits).
	SendLast
	// SendWaited: it was kept waiting although the windows permitted it (pacing): if nothing was in flight meanwhile,
	// it was not for want of data.
	SendWaited
)

// Block is one SACK block: the bytes [Start, End) arrived.
type Block struct{ Start, End uint32 }

// Ack is what a received segment with ACK says.
type Ack struct {
	Ack    uint32   // SEG.ACK
	Unsent uint32   // bytes beyond Nxt that wait in the send queue and that the peer's window permits
	Echo   uint32   // with AckEcho: TSecr in milliseconds of the stack's clock (the core's offset taken off)
	CE     uint32   // bytes newly reported as marked (ECN), for algorithms that count
	Flags  AckFlags //
	Blocks uint8    // SACK blocks in use
	SACK   [4]Block // as they stood in the option; the first may be a D-SACK
}

// AckFlags are the properties of an Ack.
type AckFlags uint8

// The flags of an ACK.
const (
	// AckPure: no data, no SYN, no FIN, and the window is the one announced before: what RFC 5681 §2 asks of a
	// duplicate ACK besides the number.
	AckPure AckFlags = 1 << iota
	// AckEcho: Echo is valid.
	AckEcho
	// AckECE: the segment had ECE set, and the connection negotiated ECN.
	AckECE
)

// Result is what OnAck found out.
type Result struct {
	Acked     uint32 // bytes newly acknowledged cumulatively (with SYN and FIN): the core frees so many
	Delivered uint32 // bytes newly acknowledged in either way
	Lost      uint32 // bytes newly marked lost
	RTT       uint32 // µs, 0: no sample
	Flags     ResultFlags
}

// ResultFlags are the events of one ACK.
type ResultFlags uint16

// The flags of a Result.
const (
	ResultDuplicate  ResultFlags = 1 << iota // a duplicate ACK or one that brought SACK news only
	ResultEnter                              // fast recovery began
	ResultExit                               // recovery (fast or after RTO) ended
	ResultSpurious                           // the loss was none: the window is back
	ResultCWR                                // with ECN: set CWR on the next new data segment
	ResultDSACK                              // the peer reported a duplicate
	ResultRetransmit                         // NextRetransmit has something
)

// Timer is the kind of a deadline.
type Timer uint8

// The kinds.
const (
	TimerNone    Timer = iota
	TimerReorder       // RACK: segments that were given time to arrive
	TimerProbe         // TLP
	TimerRTO
)

// Action is what OnTimer asks the core to do, before its ordinary send loop.
type Action struct {
	Fired Timer // TimerNone: it was too early, ask Deadline again
	// For TimerProbe: the segment to send at once with SendProbe, past the congestion window. Seq is State.Nxt
	// for new data.
	Seq, Len uint32
}
