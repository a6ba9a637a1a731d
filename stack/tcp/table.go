package tcp

import (
	"math/bits"
	"slices"
)

// table finds PCBs and records in TIME-WAIT by their 4-tuple: linear hashing over buckets of one cache line, so that
// it grows by one bucket at a time and a miss reads one line. The hash is keyed with a secret: who does not know it cannot fill a bucket.
type table struct {
	pcbs   *slab[pcb]
	waits  *slab[timeWait]
	main   slab[bucket] // bucket b of the table is element b+1
	spill  slab[bucket] // what does not fit hangs on
	count  uint32
	size   uint32 // buckets
	mask   uint32 // of the last full doubling: mask+1 ≤ size ≤ 2·(mask+1)
	secret [4]uint64
}

// bucket holds twelve entries: a byte of hash each (0: empty) and the index of the PCB
// or, marked, of the record.
//
//	 0                               8               12     16                                64
//	┌───────────────────────────────┬───────────────┬───────┬─────────────────────────────────┐
//	│ tags of entries 0 … 7         │ tags 8 … 11   │ next  │ indices of entries 0 … 11       │
//	└───────────────────────────────┴───────────────┴───────┴─────────────────────────────────┘
type bucket struct {
	tags0 uint64
	tags1 uint32
	next  uint32 // in spill
	entry [12]uint32
}

const (
	tableStart = 64 // buckets
	tableLoad  = 6  // entries per bucket before it grows
	ones       = 0x0101010101010101
	highs      = 0x8080808080808080
)

func (t *table) open(pcbs *slab[pcb], waits *slab[timeWait], limit int, secret [4]uint64) error {
	*t = table{pcbs: pcbs, waits: waits, secret: secret}
	if err := t.main.open(limit/tableLoad + 2*tableStart); err != nil {
		return err
	}
	if err := t.spill.open(limit/4 + tableStart); err != nil {
		t.main.close()
		return err
	}
	for range tableStart {
		*t.main.at(t.main.alloc()) = bucket{}
	}
	t.size, t.mask = tableStart, tableStart-1
	return nil
}

func (t *table) close() {
	t.main.close()
	t.spill.close()
}

// hash mixes a 4-tuple with the secret by 128-bit products. Tuples that differ in the lowest bits of the ports only are
// neighbours, since a host takes its ports in order: the buckets of its next connections come into the cache with that
// of this one.
func (t *table) hash(k *key) uint32 {
	const low = 7<<16 | 7
	ports, near := k.ports&^low, k.ports>>13&0x38|k.ports&7
	hi, lo := bits.Mul64(k.rlo^t.secret[0], (k.llo^uint64(ports)<<32|uint64(k.scope))^t.secret[1])
	h := hi ^ lo
	if k.rhi|k.lhi != 0 {
		hi, lo = bits.Mul64(k.rhi^t.secret[2]^h, k.lhi^t.secret[3])
		h ^= hi ^ lo
	}
	hi, lo = bits.Mul64(h^t.secret[3], uint64(ports)^t.secret[2])
	h = hi ^ lo
	return uint32(h^h>>32) ^ near
}

func tagOf(hash uint32) uint64 {
	if tag := uint64(hash >> 24); tag != 0 {
		return tag
	}
	return 1
}

func (t *table) home(hash uint32) *bucket {
	b := hash & (t.mask<<1 | 1)
	if b >= t.size {
		b &= t.mask
	}
	return t.main.at(b + 1)
}

// zeros marks the high bit of each zero byte of v. A byte above a zero one may be marked wrongly.
func zeros(v uint64) uint64 { return (v - ones) &^ v & highs }

// inTimeWait marks an entry that is the index of a record in TIME-WAIT, not of a PCB.
const inTimeWait = 1 << 31

// find returns the entry with that 4-tuple, 0 if there is none. The PCB is nil if it is in TIME-WAIT.
func (t *table) find(k *key, hash uint32) (uint32, *pcb) {
	tag := tagOf(hash) * ones
	for b := t.home(hash); ; b = t.spill.at(b.next) {
		// The marks of entries 8 … 11 are put between the others.
		m := zeros(b.tags0^tag)>>7 | zeros(uint64(b.tags1)^tag)&0x80808080>>6
		for ; m != 0; m &= m - 1 {
			n := bits.TrailingZeros64(m)
			i := b.entry[n>>3+n&1<<3]
			if i&inTimeWait != 0 {
				if t.waits.at(i &^ inTimeWait).key.equal(k) {
					return i, nil
				}
			} else if p := t.pcbs.at(i); i != 0 && p.key.equal(k) {
				return i, p
			}
		}
		if b.next == 0 {
			return 0, nil
		}
	}
}

// hashOf is the hash of an entry.
func (t *table) hashOf(i uint32) uint32 {
	if i&inTimeWait != 0 {
		return t.waits.at(i &^ inTimeWait).hash
	}
	return t.pcbs.at(i).hash
}

// insert adds an entry whose key is in no other. It returns false when the memory for buckets is used up.
func (t *table) insert(i, hash uint32) bool {
	if !t.place(t.home(hash), i, hash) {
		return false
	}
	t.count++
	if t.count > t.size*tableLoad {
		t.split()
	}
	return true
}

func (t *table) place(b *bucket, i, hash uint32) bool {
	for {
		if n := b.empty(); n >= 0 {
			b.set(n, i, tagOf(hash))
			return true
		}
		if b.next == 0 {
			more := t.spill.alloc()
			if more == 0 {
				return false
			}
			*t.spill.at(more) = bucket{}
			b.next = more
		}
		b = t.spill.at(b.next)
	}
}

func (b *bucket) empty() int {
	if m := zeros(b.tags0); m != 0 {
		return bits.TrailingZeros64(m) >> 3
	}
	if m := zeros(uint64(b.tags1)) & 0x80808080; m != 0 {
		return 8 + bits.TrailingZeros64(m)>>3
	}
	return -1
}

func (b *bucket) set(n int, i uint32, tag uint64) {
	b.entry[n] = i
	if n < 8 {
		b.tags0 = b.tags0&^(0xff<<(8*n)) | tag<<(8*n)
	} else {
		n -= 8
		b.tags1 = b.tags1&^(0xff<<(8*n)) | uint32(tag)<<(8*n)
	}
}

// replace puts an entry in the place of another one with the same key.
func (t *table) replace(hash, old, with uint32) {
	for b := t.home(hash); ; b = t.spill.at(b.next) {
		if n := slices.Index(b.entry[:], old); n >= 0 {
			b.entry[n] = with
			return
		}
	}
}

// remove takes out an entry that is in the table, and gives back a spilled bucket that it leaves empty.
func (t *table) remove(i, hash uint32) {
	var before *bucket
	for b := t.home(hash); ; b = t.spill.at(b.next) {
		for n := range b.entry {
			if b.entry[n] != i {
				continue
			}
			b.set(n, 0, 0)
			t.count--
			if before != nil && b.tags0|uint64(b.tags1) == 0 {
				gone := before.next
				before.next = b.next
				t.spill.release(gone)
			}
			return
		}
		if b.next == 0 {
			return
		}
		before = b
	}
}

// split adds a bucket and moves there what belongs there from the one that shares its lower bits. Without memory
// the chains just get longer.
func (t *table) split() {
	fresh := t.main.alloc()
	if fresh == 0 {
		return
	}
	into := t.main.at(fresh)
	*into = bucket{}
	from := t.main.at(t.size - (t.mask + 1) + 1)
	bit := t.mask + 1
	t.size++
	if t.size == 2*(t.mask+1) {
		t.mask = t.mask<<1 | 1
	}
	old := *from
	*from = bucket{}
	t.deal(&old, bit, from, into)
	for next := old.next; next != 0; {
		spilled := *t.spill.at(next)
		t.spill.release(next)
		next = spilled.next
		t.deal(&spilled, bit, from, into)
	}
}

// deal gives the entries of one bucket of a chain to the two that follow it. It never lacks memory: 12·(n+1) entries
// fill at most the two heads and n spilled buckets, and n were released before.
func (t *table) deal(old *bucket, bit uint32, from, into *bucket) {
	for _, i := range old.entry {
		if i == 0 {
			continue
		}
		hash := t.hashOf(i)
		if hash&bit != 0 {
			t.place(into, i, hash)
		} else {
			t.place(from, i, hash)
		}
	}
}
