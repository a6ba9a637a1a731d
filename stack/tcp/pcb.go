package tcp

import (
	"net/netip"
	"unsafe"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
	"github.com/fstack-go/fstack/stack/wire"
)

// state is where a connection stands (RFC 9293 §3.3.2), with Linux's numbers, as TCP_INFO shows them.
type state uint8

const (
	stateFree state = iota // the slot is not in use
	stateEstablished
	stateSynSent
	stateSynRcvd
	stateFinWait1
	stateFinWait2
	stateTimeWait
	stateClosed
	stateCloseWait
	stateLastAck
	stateListen
	stateClosing
)

var stateNames = [...]string{
	"FREE", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED",
	"CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING",
}

func (s state) String() string { return stateNames[s] }

// states is a set of them.
type states uint16

func setOf(list ...state) (set states) {
	for _, s := range list {
		set |= 1 << s
	}
	return set
}

func (s state) in(set states) bool { return set>>s&1 != 0 }

var (
	statesSynced  = setOf(stateEstablished, stateFinWait1, stateFinWait2, stateCloseWait, stateLastAck, stateClosing)
	statesReceive = setOf(stateEstablished, stateFinWait1, stateFinWait2) // the peer may send data
	statesSend    = setOf(stateEstablished, stateCloseWait)               // the application may
	statesHalf    = setOf(stateSynSent, stateSynRcvd)
)

// flags of a PCB.
type flags uint64

const (
	// What the socket layer holds and was told.
	flagOpen       flags = 1 << iota // a handle is out
	flagIPv6Sock                     // AF_INET6
	flagV6Only                       // IPV6_V6ONLY
	flagReuseAddr                    // SO_REUSEADDR
	flagReusePort                    // SO_REUSEPORT
	flagKeepAlive                    // SO_KEEPALIVE
	flagOOBInline                    // SO_OOBINLINE
	flagBroadcast                    // SO_BROADCAST, which a stream has no use for, as on Linux
	flagNoDelay                      // TCP_NODELAY
	flagCork                         // TCP_CORK
	flagMore                         // MSG_MORE with the last write
	flagNoQuick                      // TCP_QUICKACK off
	flagConnecting                   // Connect was called and has not told its outcome yet
	flagSndLocked                    // SO_SNDBUF was set: no auto-tuning
	flagRcvLocked                    // SO_RCVBUF was set
	flagBound                        // Bind was called: the port stays
	flagBoundAddr                    // with an address
	flagShutRd                       // SHUT_RD, or FIN received and all of it known
	flagShutWr                       // FIN is queued behind the data
	flagDone                         // was connected once: end of stream rather than ENOTCONN
	flagWantWrite                    // a write met a full queue: tell when there is room
	flagWantMem                      // likewise, full memory
	flagDeferred                     // established, but withheld from accept until data comes

	// What the connection is.
	flagTrace    // each step is written down
	flagIPv6     // the packets are
	flagLoopback // both ends are here
	flagActive   // Connect made it
	flagSACK     // negotiated, as the next two
	flagStamp
	flagScale
	flagECN     // negotiated; until the SYN is answered, offered
	flagInTable // can be found by its 4-tuple
	flagHalf    // counts as half open with its listener
	flagQueued  // waits in the listener's accept queue
	flagOrphan  // counts as orphan

	// What is to be done.
	flagDirty      // on the dirty list
	flagAckNow     // an ACK is to leave with this flush
	flagEchoCE     // the peer's data met congestion: ECE until its CWR
	flagCWR        // the window was reduced: the next new data says so
	flagSyn        // the SYN, or SYN-ACK, is to leave
	flagRetransmit // recovery may have something to send again
	flagProbe      // a window probe is to leave
	flagKeepProbe  // a keep-alive probe is to leave
	flagForce      // the override timer permits a small segment (RFC 9293 §3.8.6.2.1)
	flagWaiting    // for the neighbour's link address
	flagFinSent    // the FIN has left at least once
	flagPersist    // timeKeep is the persist timer
	flagUrgent     // data up to sndUp is urgent
	flagPeerFin    // the peer's FIN is in order
	flagFragment   // the path has an MTU below what DF may ask for: routers may cut
	flagHole       // the path was taken for a black hole in this row of timeouts

	flagExactCE       // flagEchoCE is what the last data met, not what CWR has not answered yet (RFC 8257 §3.2)
	flagPaced         // segments leave at a rate
	flagPaceWait      // until when the next burst may
	flagRwndLimited   // the peer's window holds data back
	flagSndbufLimited // all is sent, and the send queue's limit keeps the application from writing more

	flagsLimited = flagRwndLimited | flagSndbufLimited
)

// key is a 4-tuple as seen from here: 16-byte addresses (IPv4 as ::ffff:a.b.c.d) in halves, ports in one word.
type key struct {
	rhi, rlo uint64 // remote
	lhi, llo uint64 // local
	ports    uint32 // remote<<16 | local
	scope    uint32 // of link-local addresses: port of the stack + 1
}

// equal compares without a call.
func (k *key) equal(o *key) bool {
	return (k.rlo^o.rlo)|(k.llo^o.llo)|(k.rhi^o.rhi)|(k.lhi^o.lhi)|uint64(k.ports^o.ports)|uint64(k.scope^o.scope) == 0
}

func makePorts(local, remote uint16) uint32 { return uint32(remote)<<16 | uint32(local) }

func (k *key) localPort() uint16  { return uint16(k.ports) }
func (k *key) remotePort() uint16 { return uint16(k.ports >> 16) }

// pcb is a protocol control block: all that an idle connection or socket is. It has seven cache lines: who it is and
// the receiver's edge; loss recovery in two; queues and windows; acknowledging, timers and route; the socket;
// statistics.
type pcb struct {
	key
	hash     uint32
	state    state
	sndScale uint8
	rcvScale uint8
	quick    uint8 // ACKs still to be sent without delay
	flags    flags
	rcvNxt   uint32
	rcvAdv   uint32 // right edge of the window that was announced

	rec recovery.State // with SND.UNA and SND.NXT

	sndWnd     uint32
	sndWl1     uint32
	busySince  uint32 // ms, when there began to be something in snd
	sndWndMax  uint32
	snd        queue // from SND.UNA on: sent and unsent
	sndBuf     uint32
	nxtChunk   uint32 // of SND.NXT in snd, with nxtOff
	nxtOff     uint16
	mss        uint16 // payload bytes per segment, after the options that every segment has
	rcv        queue  // in order, not yet read
	rcvBuf     uint32
	tsRecent   uint32
	tsRecentAt uint32 // seconds

	tsOffset  uint32
	rcvAcked  uint32 // RCV.NXT as the last segment told it
	ooo       uint32 // reassembly, 0: nothing is out of order
	rcvMSS    uint16 // longest payload seen, for the delayed ACK
	pmtu      uint16 // bytes of IP packet to this peer
	timeLoss  int64  // deadlines, 0: none: loss recovery's
	timeAck   int64  // delayed ACK
	timeKeep  int64  // by state: persist, keep-alive, FIN-WAIT-2
	wheelAt   int64  // when the wheel looks next, 0: not on it
	wheelNext uint32
	wheelPrev uint32

	gen       uint32 // of the route below, 0: none
	mac       [6]byte
	port      uint8 // of the stack
	probes    uint8 // window or keep-alive probes without answer
	sink      stack.SinkID
	err       uint8 // pending errno
	soft      uint8 // errno of the last soft error
	urg       uint8 // urgNone …
	urgByte   uint8
	warPeriod uint8 // challenge ACKs: the period and how many in it
	warCount  uint8
	answered  uint8 // window probes that had been sent when the last answer came
	peerMSS   uint16
	tag       uint32
	opts      uint32 // shared socket options
	bind      uint32 // binding of the local port
	parent    uint32 // listener
	qnext     uint32 // in the listener's lists, or of the listeners of a port
	qprev     uint32
	ext       uint32 // listener: its listener record; connection: its extra, 0: it has none

	iss      uint32
	irs      uint32
	sndUp    uint32
	sndShort uint32 // end of the last segment that was not full
	rcvUp    uint32 // the urgent byte
	cwrSeq   uint32 // where CWR was said last
	progress uint32 // ms, when data in flight last was acknowledged or began

	acked    uint64 // statistics: bytes
	received uint64
	segsIn   uint32
	segsOut  uint32
	dataIn   uint32
	dataOut  uint32
	resent   uint32
	sentAt   uint32 // ms
	rcvdAt   uint32
	ackedAt  uint32
	confirm  uint32
	busyTime uint32 // ms for which there was something in snd, up to busySince
}

const pcbSize = unsafe.Sizeof(pcb{})

// sndSeq is the sequence number of the send queue's first byte.
func (p *pcb) sndSeq() uint32 {
	if p.state.in(statesHalf) { // the SYN is not acknowledged
		return p.iss + 1
	}
	return p.rec.Una
}

// sndEnd is the sequence number behind the send queue: the FIN's when there is one.
func (p *pcb) sndEnd() uint32 {
	return p.sndSeq() + p.snd.len
}

// unsent is how many bytes of the send queue were never sent.
func (p *pcb) unsent() uint32 {
	if p.flags&flagFinSent != 0 {
		return 0
	}
	return p.sndEnd() - p.rec.Nxt
}

// readSeq is the sequence number of the next byte that the application reads.
func (p *pcb) readSeq() uint32 {
	seq := p.rcvNxt - p.rcv.len
	if p.flags&flagPeerFin != 0 {
		seq--
	}
	return seq
}

// nxt is the place of SND.NXT in the send queue.
func (p *pcb) nxt() cursor { return cursor{p.nxtChunk, p.nxtOff} }

func (p *pcb) setNxt(c cursor) { p.nxtChunk, p.nxtOff = c.chunk, c.off }

// tuneAt is when the measurement of how fast the application reads began, in µs, and tuneRead how many bytes it has
// read since. A connection that is read from is on no listener's list.
func (p *pcb) tuneAt() *uint32   { return &p.qnext }
func (p *pcb) tuneRead() *uint32 { return &p.qprev }

// headers is the length of IP and TCP header without options.
func (p *pcb) headers() uint16 {
	if p.flags&flagIPv6 != 0 {
		return wire.IPv6Len + wire.TCPLen
	}
	return wire.IPv4Len + wire.TCPLen
}

func (p *pcb) has(f flags) bool { return p.flags&f != 0 }

// Sequence numbers compare modulo 2^32 (RFC 9293 §3.4).
func before(a, b uint32) bool   { return int32(a-b) < 0 }
func beforeEq(a, b uint32) bool { return int32(a-b) <= 0 }
func after(a, b uint32) bool    { return int32(a-b) > 0 }
func afterEq(a, b uint32) bool  { return int32(a-b) >= 0 }

func split(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return be64(b[0:8]), be64(b[8:16])
}

func be64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[7]) | uint64(b[6])<<8 | uint64(b[5])<<16 | uint64(b[4])<<24 |
		uint64(b[3])<<32 | uint64(b[2])<<40 | uint64(b[1])<<48 | uint64(b[0])<<56
}
