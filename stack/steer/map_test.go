package steer

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func newMap(t testing.TB, lcores, buckets int) *Map {
	t.Helper()
	n, err := Size(lcores, buckets)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Make(aligned(n), lcores, buckets)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// aligned is zeroed memory that starts at a multiple of 64 bytes, as shared memory does.
func aligned(n int) []byte {
	b := make([]byte, n+mapAlign)
	for room(b, n) != nil {
		b = b[1:]
	}
	return b[:n]
}

func TestMapIsSeenByOthers(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {2, 128}, {3, 4}, {128, 512}} {
		n, err := Size(size[0], size[1])
		if err != nil {
			t.Fatal(err)
		}
		b := aligned(n)
		if _, err := At(b); err == nil {
			t.Error("zeroes are a map")
		}
		m, err := Make(b, size[0], size[1])
		if err != nil {
			t.Fatal(err)
		}
		other, err := At(b)
		if err != nil {
			t.Fatal(err)
		}
		last := m.Supervisor()
		if m.Slots() != 2*size[0]+1 || other.Slots() != m.Slots() || other.Buckets() != size[1] || other.Lcores() != size[0] {
			t.Fatalf("%d slots, %d of the other's, %d buckets, %d lcores", m.Slots(), other.Slots(), other.Buckets(), other.Lcores())
		}
		m.SetSlot(last, Slot{Starting, 4711, 3, 5})
		if got := other.Slot(last); got != (Slot{Starting, 4711, 3, 5}) {
			t.Errorf("the other sees %+v", got)
		}
		other.SetPort(last, UDPBound, 65535, true) // the last bit of all
		other.Turns(last).Add(7)
		other.Asleep(last).Store(1)
		if !m.Port(last, UDPBound, 65535) || m.Port(last, UDPBound, 65534) || m.Port(last, TCPForeign, 65535) || m.Turns(last).Load() != 7 || m.Asleep(last).Load() != 1 {
			t.Error("what the other wrote is not seen")
		}
		for _, v := range b[n-8:] {
			if v != 0 && v != 0x80 {
				t.Errorf("the map's end holds %x", b[n-8:])
			}
		}
		if b[n-1] != 0x80 && b[n-8] != 0x80 {
			t.Error("the last bit of the last slot is not at the end of the memory")
		}
	}
}

func TestBadMaps(t *testing.T) {
	for _, size := range [][2]int{{0, 128}, {-1, 128}, {257, 512}, {2, 0}, {2, 100}, {2, 1024}, {3, 2}} {
		if _, err := Size(size[0], size[1]); err == nil {
			t.Errorf("%d lcores, %d buckets: no error", size[0], size[1])
		}
	}
	n, _ := Size(2, 128)
	good := aligned(n)
	if _, err := Make(good[:n-1], 2, 128); err == nil {
		t.Error("made in too few bytes")
	}
	if _, err := Make(aligned(n + 1)[1:], 2, 128); err == nil {
		t.Error("made at an odd address")
	}
	if _, err := Make(good, 2, 128); err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]func([]byte) []byte{
		"no map":     func(b []byte) []byte { b[0]++; return b },
		"version":    func(b []byte) []byte { b[8]++; return b },
		"says that":  func(b []byte) []byte { b[20]++; return b },
		"lcores":     func(b []byte) []byte { binary.NativeEndian.PutUint32(b[12:], 1<<31); return b },
		"buckets":    func(b []byte) []byte { binary.NativeEndian.PutUint32(b[16:], 3); return b },
		"of memory":  func(b []byte) []byte { return b[:n-1] },
		"0 bytes of": func(b []byte) []byte { return nil },
		"multiple":   func(b []byte) []byte { return b[1:] },
	} {
		b := aligned(n)
		copy(b, good)
		if _, err := At(bad(b)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func TestChain(t *testing.T) {
	c := nobody
	for _, s := range []int{1, 2, 3, 4, 5} {
		c = c.push(s)
	}
	if got := [...]int{c.at(0), c.at(1), c.at(2), c.at(3)}; got != [...]int{5, 4, 3, 2} {
		t.Errorf("after five pushes: %v", got)
	}
	c = c.push(3)
	if got := [...]int{c.at(0), c.at(1), c.at(2), c.at(3)}; got != [...]int{3, 5, 4, 2} {
		t.Errorf("an old one again: %v", got)
	}
	c = c.remove(5).remove(7)
	if got := [...]int{c.at(0), c.at(1), c.at(2), c.at(3)}; got != [...]int{3, 4, 2, -1} {
		t.Errorf("without 5: %v", got)
	}
	if c.find(2) != 2 || c.find(5) != -1 || !c.former() || c.remove(4).remove(2).former() {
		t.Error("find or former is wrong")
	}
}

// TestNobodyIsForgotten kills and starts workers at random: who has had a bucket since it was started last is in its
// chain, and the shares stay fair.
func TestNobodyIsForgotten(t *testing.T) {
	const workers = 8
	m := newMap(t, workers, 128)
	m.Join(0, 1, 2, 3, 4, 5, 6, 7)
	had := make([]map[int]bool, 128)
	note := func() {
		for b := range had {
			had[b][m.Owner(b)] = true
			for s := range had[b] {
				if m.chain(uint32(b)).find(s) < 0 {
					t.Fatalf("bucket %d: chain %#x without %d, which has had it", b, m.chain(uint32(b)), s)
				}
			}
		}
	}
	for b := range had {
		had[b] = map[int]bool{}
	}
	note()
	r, shares := rand.New(rand.NewPCG(1, 2)), make([]int, m.Slots())
	dead := map[int]bool{}
	for range 5000 {
		if x := r.IntN(workers); dead[x] {
			m.Join(x)
			delete(dead, x)
		} else if len(dead) < workers/2 {
			m.Leave(x, Dead)
			dead[x] = true
			for b := range had {
				delete(had[b], x)
			}
		}
		note()
		m.Shares(shares)
		for x, n := range shares[:workers] {
			if !dead[x] && (n < 16 || n > 128/4*3/2) || dead[x] && n > 0 { // a quarter, when half of them are dead
				t.Fatalf("with %v dead, %d has %d of 128 buckets", dead, x, n)
			}
			if len(dead) == 0 && n != 16 {
				t.Fatalf("with all living, %d has %d of 128 buckets", x, n)
			}
		}
	}
}

func TestSharesAreEvenWhateverHappens(t *testing.T) {
	m := newMap(t, 4, 128)
	shares := make([]int, m.Slots())
	want := func(what string, want ...int) {
		t.Helper()
		m.Shares(shares)
		if !slices.Equal(shares, append(want, make([]int, len(shares)-len(want))...)) {
			t.Errorf("%s: shares %v, want %v", what, shares, want)
		}
	}
	want("nobody is there")
	m.Join(2)
	want("one worker has all", 0, 0, 128)
	m.Join(0)
	m.Join(1)
	m.Join(3)
	want("each has its share", 32, 32, 32, 32)
	if reta, err := m.RETA(512); err != nil || !slices.Equal(reta, Even(512, 4)) {
		t.Errorf("RETA %v, %v", reta, err)
	}
	for _, size := range []int{0, 64, 192} {
		if _, err := m.RETA(size); err == nil {
			t.Errorf("a RETA of %d entries for 128 buckets", size)
		}
	}

	m.SetPort(1, TCPListening, 80, true)
	m.Leave(1, Dead)
	want("the dead one's is spread", 43, 0, 43, 42)
	if m.Port(1, TCPListening, 80) || m.State(1) != Dead {
		t.Error("a dead slot listens")
	}
	reta, _ := m.RETA(128)
	if slices.Contains(reta, 1) {
		t.Error("the dead one's queue is in the RETA")
	}
	for b := range m.chains {
		if c := m.chain(uint32(b)); c.find(1) >= 0 {
			t.Fatalf("bucket %d still knows the dead slot: %#x", b, c)
		}
	}
	interim := m.Owner(1)
	m.Join(1)
	want("it has its share back", 32, 32, 32, 32)
	if c := m.chain(1); c.at(0) != 1 || c.at(1) != interim {
		t.Errorf("bucket 1 has the chain %#x, want 1, then %d", c, interim)
	}

	// A new generation: 1 is down while it comes.
	m.Leave(1, Dead)
	m.Join(4)
	want("one of the new", 0, 0, 43, 43, 42)
	if m.State(0) != Draining || m.State(2) != Serving {
		t.Error("the old one of the same index drains, the others do not")
	}
	m.Join(5)
	m.Join(6)
	m.Join(7)
	want("the new generation", 0, 0, 0, 0, 32, 32, 32, 32)
	if c := m.chain(2); c.find(2) < 1 {
		t.Errorf("bucket 2 forgot who had it: %#x", c)
	}
	for s := range 4 {
		m.Leave(s, Free)
	}
	want("the old ones ended", 0, 0, 0, 0, 32, 32, 32, 32)
	for s := 4; s < 8; s++ {
		m.Leave(s, Dead)
	}
	if m.head.formers.Load() != 0 {
		t.Error("there are former owners with all dead")
	}
	m.Join(0)
	want("all are dead but one", 128)
}
