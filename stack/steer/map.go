package steer

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Map is what the processes of a run know of each other, in shared memory: which slot is in what state, which slot
// has which bucket of hashes, and which local ports its sockets have. It holds no pointer; the processes may have it
// at different addresses.
//
// With N lcores there are 2N+1 slots. Worker i of a generation (0 or 1, in turns) is slot generation·N + i, and i is
// its queue on every port. The last slot is the supervisor's.
//
//	┌──────────┬──────────────────────────┬──────────┬──────────┬─────┬────────────┐
//	│ head     │ chain of each bucket     │ slot 0   │ slot 1   │  …  │ slot 2N    │
//	└──────────┴──────────────────────────┴──────────┴──────────┴─────┴────────────┘
//
// The supervisor writes the head, the chains and the states of the slots; a worker writes its own alarm, turns and
// ports. No cache line that is read for packets is written by two processes.
type Map struct {
	head   *head
	chains []atomic.Uint64
	slots  []slot
}

const (
	mapMagic   = 0x706d_7265_6574_73f5
	mapVersion = 1
	mapAlign   = 64

	lcoresMost  = 256
	bucketsMost = 512
)

// head is the first cache line.
type head struct {
	magic   atomic.Uint64 // written last
	version uint32
	lcores  uint32
	buckets uint32
	size    uint32
	formers atomic.Uint32 // how many buckets somebody has had before
	_       [mapAlign - 28]byte
}

// slot is a process's part of the map. Its lines are 128 bytes apart, since processors fetch them in pairs.
type slot struct {
	state      atomic.Uint32
	pid        atomic.Int32
	lcore      atomic.Int32
	generation atomic.Uint32
	_          [128 - 16]byte
	asleep     atomic.Uint32
	_          [128 - 4]byte
	turns      atomic.Uint64
	_          [128 - 8]byte
	ports      [uses][portWords]atomic.Uint64
}

const _ = uint(mapAlign-unsafe.Sizeof(head{})) + uint(unsafe.Sizeof(head{})-mapAlign) + uint(-(unsafe.Sizeof(slot{}) % 128))

// Size is how many bytes a map needs. buckets is a power of two, from lcores up to 512, and so that the redirection
// table of every port that is steered by it has a multiple of them.
func Size(lcores, buckets int) (int, error) {
	if lcores < 1 || lcores > lcoresMost {
		return 0, fmt.Errorf("steering map: %d lcores, want 1 to %d", lcores, lcoresMost)
	}
	if buckets < lcores || buckets > bucketsMost || buckets&(buckets-1) != 0 {
		return 0, fmt.Errorf("steering map: %d buckets for %d lcores, want a power of two, not less than the lcores and at most %d", buckets, lcores, bucketsMost)
	}
	return int(unsafe.Sizeof(head{})) + chainBytes(buckets) + (2*lcores+1)*int(unsafe.Sizeof(slot{})), nil
}

// chainBytes is the room of the chains, in whole pairs of cache lines less the head's.
func chainBytes(buckets int) int { return (8*buckets+mapAlign+127)&^127 - mapAlign }

// Make lays out an empty map in b, which starts at a multiple of 64 bytes. Only the supervisor calls it, before anybody
// looks at the memory.
func Make(b []byte, lcores, buckets int) (*Map, error) {
	n, err := Size(lcores, buckets)
	if err != nil {
		return nil, err
	}
	if err := room(b, n); err != nil {
		return nil, err
	}
	h := (*head)(unsafe.Pointer(unsafe.SliceData(b)))
	h.magic.Store(0)
	clear(b[8:n])
	h.version, h.lcores, h.buckets, h.size = mapVersion, uint32(lcores), uint32(buckets), uint32(n)
	m := view(b, h)
	for i := range m.chains {
		m.chains[i].Store(uint64(nobody))
	}
	h.magic.Store(mapMagic)
	return m, nil
}

// At views the map that Make has laid out in b.
func At(b []byte) (*Map, error) {
	if err := room(b, int(unsafe.Sizeof(head{}))); err != nil {
		return nil, err
	}
	h := (*head)(unsafe.Pointer(unsafe.SliceData(b)))
	if magic := h.magic.Load(); magic != mapMagic {
		return nil, fmt.Errorf("steering map: starts with %#x, want %#x: it is no map, or not made yet", magic, uint64(mapMagic))
	}
	if h.version != mapVersion {
		return nil, fmt.Errorf("steering map: version %d, this program's is %d: the processes are of different builds", h.version, mapVersion)
	}
	n, err := Size(int(h.lcores), int(h.buckets))
	if err != nil {
		return nil, err
	}
	if uint32(n) != h.size {
		return nil, fmt.Errorf("steering map: says that it has %d bytes, want %d for %d lcores and %d buckets", h.size, n, h.lcores, h.buckets)
	}
	if err := room(b, n); err != nil {
		return nil, err
	}
	return view(b, h), nil
}

func room(b []byte, n int) error {
	if len(b) < n {
		return fmt.Errorf("steering map: %d bytes of memory, want %d", len(b), n)
	}
	if p := uintptr(unsafe.Pointer(unsafe.SliceData(b))); p%mapAlign != 0 {
		return fmt.Errorf("steering map: lies at %#x, want a multiple of %d", p, mapAlign)
	}
	return nil
}

func view(b []byte, h *head) *Map {
	chains := b[unsafe.Sizeof(head{}):]
	slots := chains[chainBytes(int(h.buckets)):]
	return &Map{
		head:   h,
		chains: unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(chains))), int(h.buckets)),
		slots:  unsafe.Slice((*slot)(unsafe.Pointer(unsafe.SliceData(slots))), 2*int(h.lcores)+1),
	}
}

// Lcores is how many lcores, and so queues of each port, the run has.
func (m *Map) Lcores() int { return int(m.head.lcores) }

// Slots is how many slots there are: two for each lcore and the supervisor's.
func (m *Map) Slots() int { return len(m.slots) }

// Supervisor is the supervisor's slot.
func (m *Map) Supervisor() int { return len(m.slots) - 1 }

// Buckets is how many buckets of hashes there are: a packet's is its hash modulo this.
func (m *Map) Buckets() int { return len(m.chains) }

// Index is a worker's place among the lcores and its queue.
func (m *Map) Index(slot int) int { return slot % m.Lcores() }
