package tcp

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/cc"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
)

// Config sizes a TCP. The zero value of each field means its default.
type Config struct {
	Connections int   // most control blocks, sockets and listeners included, and as many in TIME-WAIT: 4 Mi
	Memory      int64 // most bytes of payload in all queues: 1 GiB
	Records     int   // most segments in flight of all connections: 1 Mi

	// Secret keys the hashes behind sequence numbers, ports, cookies and the table; random by default. Stacks that
	// restart quickly behind the same addresses may keep it.
	Secret [32]byte

	// PortName is the name of a port's interface, which is the zone of its link-local addresses; nil: the device's.
	PortName func(port int) string

	// Ports, if set, yields the local ports of [low, high] that a connection from local to remote over a port of the
	// stack may use, from an arbitrary start: where the device decides by them which queue receives. The last one that it
	// yields is taken, if the loop over them ends early. nil: all of them.
	Ports func(port int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16]
	// Listening, if set, is told when a local port gets its first listening socket and when it loses its last one.
	Listening func(port uint16, on bool)
	// Bound, if set, is told of a connect from a port that was bound by name, and when no socket or connection is left
	// on a port, however that was taken.
	Bound func(port uint16, on bool)
}

// TCP is the transport of one stack.
type TCP struct {
	st  *stack.Stack
	net stack.Network

	now   int64  // of this turn or call, monotonic nanoseconds
	nowMS uint32 // likewise, milliseconds
	gen   uint32 // of the network's routes and neighbours; never 0

	pcbs    slab[pcb]
	waits   timeWaits
	chunks  chunks
	table   table
	wheel   wheel
	rec     *recovery.Engine
	ooo     slab[reassembly]
	ranges  slab[oooRange]
	listens slab[listener]
	binds   bindings
	opts    optionSets
	extras  slab[extra]
	dests   destCache

	dirty   []uint32 // PCBs with something to send
	work    []uint32 // the dirty list that a flush goes through
	waiting []uint32 // for a neighbour
	starved []uint32 // for memory to write into

	asked   stack.Route // the route at hand: here so that it is not allocated
	ours    key         // of the last segment that came to an address of ours, in oursGen
	oursGen uint32

	ports  []port
	loop   loopback
	frames int // sent since the last Exhale

	ect     uint8 // ECN bits of the IP header that is written now
	slots   int   // that the last transmit took
	waitGen uint32

	halfOpen uint32 // connections in SYN-RECEIVED
	orphans  uint32
	leaveISN uint32 // SND.NXT of the incarnation that the SYN at hand replaces

	burst     int    // bytes left of the burst at hand, of a paced connection
	waited    bool   // which waited for its time
	burstRate uint64 // and its rate, 0: unknown

	dsack      recovery.Block // to be told by the ACK that is written now
	dsackLater recovery.Block // found in the segment at hand

	seg       segment // the received one
	result    recovery.Result
	gather    []byte        // a received frame in several pieces
	lending   bool          // its bytes stay where they are until the turn ends
	borrowers []uint32      // PCBs whose receive queues have loans, or had in this turn
	frame     []stack.Frame // of the received segment; nil: netstack unwrapped it
	unwrapped []byte        // then it is this
	secret    secret
	names     func(port int) string
	scopes    []string // names of the ports, by scope: port + 1
	sys       sysctls
	trace     tracer
	choose    func(port int, remote netip.AddrPort, local netip.Addr, low, high uint16, start uint32) iter.Seq[uint16]
	listening func(port uint16, on bool)
	search    portSearch
	portCount uint32
	ipID      uint16

	counters Counters
}

var (
	_ stack.Layer   = (*TCP)(nil)
	_ stack.Sockets = (*TCP)(nil)
)

// New returns the TCP of a stack whose ports were added, over that network layer. It takes address space for its
// limits, and memory as it is needed. The caller adds it to the stack, before the network layer.
func New(st *stack.Stack, network stack.Network, cfg Config) (*TCP, error) {
	if cfg.Connections == 0 {
		cfg.Connections = 4 << 20
	}
	if cfg.Memory == 0 {
		cfg.Memory = 1 << 30
	}
	if cfg.Connections < 16 || cfg.Connections > 1<<28 || cfg.Memory < 1<<16 || cfg.Memory > 1<<40 {
		return nil, fmt.Errorf("tcp: limits of %d connections and %d bytes: want 16 … 2^28 and 64 KiB … 1 TiB", cfg.Connections, cfg.Memory)
	}
	if cfg.Secret == [32]byte{} {
		rand.Read(cfg.Secret[:])
	}
	t := &TCP{st: st, net: network, choose: cfg.Ports, listening: cfg.Listening, names: cfg.PortName, scopes: []string{""}}
	if t.names == nil {
		t.names = func(port int) string { return st.Port(port).Info().Name }
	}
	t.search.try = t.tryPort
	t.secret.init(&cfg.Secret)
	t.sys = defaultSysctls()
	var mix [4]uint64
	for i := range mix {
		mix[i] = binary.NativeEndian.Uint64(cfg.Secret[8*i:]) ^ 0x9e3779b97f4a7c15 | 1
	}
	var err error
	rc := t.sys.recovery()
	rc.Records = cfg.Records
	if t.rec, err = recovery.New(rc); err != nil {
		return nil, fmt.Errorf("tcp: %w", err)
	}
	conns := cfg.Connections
	t.chunks.most = uint32(cfg.Memory / chunkSize)
	t.chunks.loans = make([]loan, 1, 64)
	for _, open := range []func() error{
		func() error { return t.pcbs.open(conns) },
		func() error { return t.chunks.open(int(t.chunks.most)) },
		func() error { return t.waits.open(conns) },
		func() error { return t.table.open(&t.pcbs, &t.waits.slab, 2*conns, mix) },
		func() error { return t.ooo.open(min(conns, 1<<20)) },
		func() error { return t.ranges.open(min(conns, 1<<20)) },
		func() error { return t.listens.open(min(conns, 1<<16)) },
		func() error { return t.binds.open(min(conns, 1<<20)) },
		func() error { return t.opts.open(min(conns, 1<<20)) },
		func() error { return t.extras.open(conns) },
	} {
		if err := open(); err != nil {
			t.Destroy()
			return nil, fmt.Errorf("tcp: %w", err)
		}
	}
	t.binds.bound = cfg.Bound
	t.wheel.pcbs = &t.pcbs
	t.wheel.now = uint64(st.Clock().Now()) >> tickBits
	t.opts.init(defaultOptions())
	id, err := cc.Lookup(t.sys.congestion)
	if err != nil {
		t.Destroy()
		return nil, fmt.Errorf("tcp: %w", err)
	}
	t.sys.ccID = id
	t.tick()
	t.loop.init()
	network.SetSegments(t.deliverSegment)
	return t, nil
}

// Destroy gives all memory back. Nothing of the TCP may be used any more; its connections end without a word.
func (t *TCP) Destroy() error {
	t.pcbs.close()
	t.waits.close()
	t.chunks.close()
	t.table.close()
	t.ooo.close()
	t.ranges.close()
	t.listens.close()
	t.binds.close()
	t.opts.close()
	t.extras.close()
	t.loop.close()
	return t.rec.Close()
}
