//go:build !nodpdk

package dpdk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// openShared starts EAL and a net_ring port, whose two ends are one, with some slots: what the owner of its queue sends
// it receives.
func openShared(t testing.TB, slots int, change func(*PortConfig)) (*Mesh, *Port) {
	t.Helper()
	startEAL(t, nil)
	m, err := NewMesh(MeshConfig{Slots: slots, RingSize: 128})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := AddVdev("net_ring0", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := PortConfig{ID: ids[0], Mesh: m, RxDesc: 256, TxDesc: 256}
	if change != nil {
		change(&c)
	}
	p, err := OpenPort(c)
	if err != nil {
		t.Fatal(err)
	}
	return m, p
}

func slotQueue(t testing.TB, p *Port, slot int, mode Mode) *QueuePair {
	t.Helper()
	if mode.Via() >= 0 {
		if err := p.MakeSlotPool(slot); err != nil {
			t.Fatal(err)
		}
	}
	q, err := p.SlotQueue(slot, mode)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// turn exchanges and returns what was received, copied.
func turn(q *QueuePair) (got [][]byte, flags []stack.FrameFlags) {
	q.Exchange()
	for _, f := range q.Queue().Rx {
		got, flags = append(got, bytes.Clone(f.Bytes())), append(flags, f.Flags)
	}
	return
}

// frames are some frames, each with a number and bytes of its own.
func someFrame(i, size int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	b := make([]byte, size)
	for j := range b {
		b[j] = byte(r.Uint32())
	}
	b[0], b[1] = byte(i>>8), byte(i)
	return b
}

// TestCross has a slot without a queue send and receive by way of another, and hand frames on: all arrive as they were
// sent, and all mbufs come back.
func TestCross(t *testing.T) {
	if !alone(t) {
		return
	}
	_, p := openShared(t, 3, nil)
	q0 := slotQueue(t, p, 0, Direct(0))
	q1 := slotQueue(t, p, 1, Via(0))
	if q1.Info().Queue != -1 || q0.Info().Queue != 0 || q1.Slot() != 1 || q1.Mode().Via() != 0 {
		t.Errorf("infos %+v %+v, mode %v", q0.Info(), q1.Info(), q1.Mode())
	}
	start0, _ := p.SlotMbufs(0)
	start1, _ := p.SlotMbufs(1)
	const n = 1000
	next := 0
	for sent := 0; next < n; {
		for sent < n && sent-next < 100 {
			f := q1.Queue().Alloc()
			if f == nil {
				break
			}
			f.Len = uint16(copy(f.Room(), someFrame(sent, 60+sent)))
			sent++
		}
		got, flags := turn(q1)
		for i, b := range got {
			if !bytes.Equal(b, someFrame(next, 60+next)) {
				t.Fatalf("frame %d arrived as %x", next, b[:60])
			}
			if flags[i]&stack.RxHanded == 0 || (flags[i]&stack.RxNews != 0) != (next%3 == 0) {
				t.Errorf("frame %d has flags %#x", next, flags[i])
			}
			next++
		}
		q0.Exchange()
		for i := range q0.Queue().Rx {
			f := q0.Queue().Rx[i : i+1]
			var news stack.FrameFlags
			if b := f[0].Bytes(); (int(b[0])<<8|int(b[1]))%3 == 0 {
				news = stack.RxNews
			}
			if !q0.Hand(f, 1, news) {
				t.Fatalf("not handed over: %+v", q0.Counters())
			}
		}
	}
	for range 4 {
		q0.Exchange()
		q1.Exchange()
	}
	if c := q1.Counters(); c.SentByOther != n || c.HandedIn != n || c.CameBack != n {
		t.Errorf("the slot without a queue counts %+v", c)
	}
	if c := p.SlotCounters(0); c.SentForOther != n || c.HandedOut != n || c.CameBack != n {
		t.Errorf("the one with the queue counts %+v", c)
	}
	if end0, _ := p.SlotMbufs(0); end0 != start0 {
		t.Errorf("slot 0: %d mbufs in use at first, %d at the end", start0, end0)
	}
	if end1, _ := p.SlotMbufs(1); end1 != start1 {
		t.Errorf("slot 1: %d mbufs in use at first, %d at the end", start1, end1)
	}
	if err := q1.Close(); err != nil {
		t.Error(err)
	}
	if q0.Inject(make([]byte, 60), 1, 0) || q0.Counters().DropHandNobody != 1 {
		t.Errorf("handed to a slot that is gone: %+v", q0.Counters())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestHandCopies has a frame go to two slots and on from one, and bytes go that were no frame, also more than fit into
// an mbuf.
func TestHandCopies(t *testing.T) {
	if !alone(t) {
		return
	}
	_, p := openShared(t, 3, nil)
	q := []*QueuePair{slotQueue(t, p, 0, Direct(0)), slotQueue(t, p, 1, Via(0)), slotQueue(t, p, 2, Via(0))}
	used := func() (n [3]int) {
		for i := range n {
			n[i], _ = p.SlotMbufs(i)
		}
		return
	}
	start := used()
	frame := someFrame(7, 700)
	send(t, q[0], frame)
	q[0].Flush()
	q[0].Exchange()
	rx := q[0].Queue().Rx
	if len(rx) != 1 || !q[0].Hand(rx, 1, 0) || !q[0].Hand(rx, 2, stack.RxNews) || !q[0].Hand(rx, 2, 0) {
		t.Fatalf("%d frames received; counters %+v", len(rx), q[0].Counters())
	}
	if q[0].Hand(rx, 0, 0) || q[0].Hand(rx, 3, 0) || q[0].Hand(rx, -1, 0) || q[0].Hand(nil, 1, 0) {
		t.Error("handed to itself, or to nobody")
	}
	q[0].Flush()
	if got, _ := turn(q[1]); len(got) != 1 || !bytes.Equal(got[0], frame) {
		t.Errorf("slot 1 got %d frames", len(got))
	}
	if !q[1].Hand(q[1].Queue().Rx, 2, 0) { // on
		t.Error("not handed on")
	}
	q[1].Exchange()
	if got, flags := turn(q[2]); len(got) != 3 || !bytes.Equal(got[0], frame) || !bytes.Equal(got[1], frame) || !bytes.Equal(got[2], frame) || flags[0]&stack.RxNews == flags[1]&stack.RxNews {
		t.Errorf("slot 2 got %d frames, flags %x", len(got), flags)
	}
	big := someFrame(8, 60000)
	if !q[2].Inject(big, 1, stack.RxL4CsumGood) {
		t.Error("not injected")
	}
	if q[2].Inject(nil, 1, 0) || q[2].Inject(make([]byte, 1<<16), 1, 0) {
		t.Error("injected nothing, or too much")
	}
	q[2].Exchange()
	q[1].Exchange()
	var joined []byte
	for i, f := range q[1].Queue().Rx {
		joined = append(joined, f.Bytes()...)
		if last := i == len(q[1].Queue().Rx)-1; last != (f.Flags&stack.More == 0) || f.Flags&stack.RxL4CsumGood == 0 || f.Flags&stack.RxHanded == 0 {
			t.Errorf("piece %d has flags %#x", i, f.Flags)
		}
	}
	if !bytes.Equal(joined, big) {
		t.Errorf("%d bytes of %d", len(joined), len(big))
	}
	for range 4 {
		for i := range q {
			q[i].Exchange()
		}
	}
	if end := used(); end != start {
		t.Errorf("mbufs in use %v at first, %v at the end", start, end)
	}
}

// TestFullRing has nobody take out: the ring fills, drops are counted, and nothing is lost of what is in it.
func TestFullRing(t *testing.T) {
	if !alone(t) {
		return
	}
	_, p := openShared(t, 2, nil)
	q0, q1 := slotQueue(t, p, 0, Direct(0)), slotQueue(t, p, 1, Via(0))
	start, _ := p.SlotMbufs(0)
	handed := 0
	for i := range 500 {
		if q0.Inject(someFrame(i, 64), 1, 0) {
			handed++
		}
	}
	q0.Exchange()
	if c := q0.Counters(); handed != 127 || c.HandedOut != 127 || c.DropHandRingFull != 500-127 {
		t.Errorf("%d handed into a ring of 127: %+v", handed, c)
	}
	got, rounds := 0, 0
	for ; got < handed && rounds < 100; rounds++ {
		frames, _ := turn(q1)
		for _, b := range frames {
			if !bytes.Equal(b, someFrame(got, 64)) {
				t.Fatalf("frame %d is another", got)
			}
			got++
		}
	}
	if got != handed {
		t.Errorf("%d frames of %d came out", got, handed)
	}
	// The way back fills up too, with frames: what goes home waits.
	for i := range 200 {
		q1.Inject(someFrame(i, 64), 0, 0)
	}
	q1.Exchange()
	q1.Exchange()
	if c := q1.Counters(); c.ReturnsWaited == 0 {
		t.Errorf("nothing waited: %+v", c)
	}
	for range 20 {
		q0.Exchange()
		q1.Exchange()
	}
	if end, _ := p.SlotMbufs(0); end != start {
		t.Errorf("%d mbufs in use at first, %d at the end", start, end)
	}
}

// TestSwitch hands a queue from one slot to another under traffic, and back: frames arrive throughout, and the queue is
// never polled by two.
func TestSwitch(t *testing.T) {
	if !alone(t) {
		return
	}
	_, p := openShared(t, 2, nil)
	q := []*QueuePair{slotQueue(t, p, 0, Direct(0)), slotQueue(t, p, 1, Via(0))}
	if err := p.MakeSlotPool(0); err != nil {
		t.Fatal(err)
	}
	if err := q[1].SetMode(Direct(0)); !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "slot 0 has it") {
		t.Errorf("a queue that another slot polls: %v", err)
	}
	if err := q[0].SetMode(Via(0)); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("by way of itself: %v", err)
	}
	sent, got := 0, 0
	work := func(owner, other int) {
		for range 20 {
			for _, x := range q {
				if f := x.Queue().Alloc(); f != nil {
					f.Len = uint16(copy(f.Room(), someFrame(sent, 100)))
					sent++
				}
				x.Exchange()
				for i := range x.Queue().Rx {
					f := x.Queue().Rx[i : i+1]
					b := f[0].Bytes()
					if !bytes.Equal(b, someFrame(int(b[0])<<8|int(b[1]), 100)) {
						t.Fatal("a frame is another")
					}
					if f[0].Flags&stack.RxHanded != 0 || x == q[other] {
						got++
					} else if !x.Hand(f, other, 0) {
						got++
					}
				}
			}
		}
	}
	for round := range 10 {
		owner, other := round%2, 1-round%2
		work(owner, other)
		if err := q[owner].SetMode(Via(other)); err != nil {
			t.Fatal(err)
		}
		if p.Owner(0) != owner {
			t.Errorf("queue is free at once") // frames are with the other slot, which has not given them back
		}
		if err := q[other].SetMode(Direct(0)); !errors.Is(err, syscall.EBUSY) {
			t.Errorf("took the queue too early: %v", err)
		}
		until(t, "the queue to be free", func() bool {
			q[owner].Exchange()
			q[other].Exchange()
			got += len(q[other].Queue().Rx) + len(q[owner].Queue().Rx)
			return p.Owner(0) == -1
		})
		if err := q[other].SetMode(Direct(0)); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		work(0, 1)
	}
	lost := sent - got
	dropped := 0
	for i := range q {
		c := q[i].Counters()
		dropped += int(c.DropTxQueueGaveUp + c.DropTxNobodySends + c.DropSentForOther)
	}
	// The last ones are on their way still.
	if lost < dropped || lost > dropped+8 {
		t.Errorf("%d frames sent, %d arrived, %d counted as dropped", sent, got, dropped)
	}
	for range 4 { // net_ring does not free what is in it
		q[0].Exchange()
		q[1].Exchange()
	}
	for i := range q {
		if err := q[i].Close(); err != nil {
			t.Error(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestWake has a frame for a sleeping slot, and none for one that is awake, write to its eventfd.
func TestWake(t *testing.T) {
	if !alone(t) {
		return
	}
	m, p := openShared(t, 2, nil)
	q0, q1 := slotQueue(t, p, 0, Direct(0)), slotQueue(t, p, 1, Via(0))
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if m.SetEvents([]int{-1}) == nil {
		t.Error("events of one slot of two")
	}
	if err := m.SetEvents([]int{-1, fd}); err != nil {
		t.Fatal(err)
	}
	s := m.Sleeper(1)
	hand := func() {
		if !q0.Inject(make([]byte, 60), 1, 0) {
			t.Fatal("not handed")
		}
		q0.Flush()
	}
	hand()
	if readable(t, fd, 0) {
		t.Error("woken while awake")
	}
	s.ArmRx(true)
	hand()
	if s.RxFD() != fd || !readable(t, fd, 0) {
		t.Error("not woken")
	}
	s.ArmRx(false)
	if readable(t, fd, 0) {
		t.Error("the signal was not taken")
	}
	hand()
	if readable(t, fd, 0) {
		t.Error("woken while awake again")
	}
	if got, _ := turn(q1); len(got) != 3 {
		t.Errorf("%d frames of 3", len(got))
	}
}

// TestSharedRefusals asks for what cannot be.
func TestSharedRefusals(t *testing.T) {
	if !alone(t) {
		return
	}
	m, p := openShared(t, 3, nil)
	slotQueue(t, p, 0, Direct(0))
	again, err := p.SlotQueue(0, Direct(0))
	if err != nil || again.Slot() != 0 {
		t.Errorf("the same again: %v", err)
	}
	for _, c := range []struct {
		slot int
		mode Mode
		err  error
		says string
	}{
		{1, Direct(0), syscall.EBUSY, "slot 0 has it"},
		{1, Direct(1), syscall.EINVAL, "1 wanted, but the port has 0 to 0"},
		{1, Direct(-1), syscall.EINVAL, "-1 wanted"},
		{1, Via(0), syscall.ENOENT, "MakeSlotPool"},
		{1, Via(1), syscall.EINVAL, "by way of 1"},
		{1, Via(3), syscall.EINVAL, "by way of 3"},
		{3, Direct(0), syscall.EINVAL, "0 to 2"},
		{-1, Direct(0), syscall.EINVAL, "0 to 2"},
	} {
		if _, err := p.SlotQueue(c.slot, c.mode); !errors.Is(err, c.err) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("slot %d, %v: %v, want %v that says %q", c.slot, c.mode, err, c.err, c.says)
		}
	}
	if _, err := p.QueuePair(0); err == nil || !strings.Contains(err.Error(), "SlotQueue") {
		t.Errorf("QueuePair of a shared port: %v", err)
	}
	if _, err := NewMesh(MeshConfig{Slots: 2}); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a second mesh: %v", err)
	}
	if _, err := m.Reclaim(0); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("reclaim itself: %v", err)
	}
	if _, err := m.Reclaim(3); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("reclaim no slot: %v", err)
	}
	if r, err := m.Reclaim(2); err != nil || r != (Reclaimed{}) {
		t.Errorf("reclaim where nobody was: %+v, %v", r, err)
	}
	if _, err := SharedZone("fstack_x", 10); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a zone of that name: %v", err)
	}
	z, err := SharedZone("mine", 1000)
	if err != nil || len(z) != 1000 || !bytes.Equal(z, make([]byte, 1000)) {
		t.Fatalf("%d bytes, %v", len(z), err)
	}
	z[999] = 7
	if same, err := SharedZone("mine", 1000); err != nil || same[999] != 7 {
		t.Errorf("the zone again: %v", err)
	}
	if _, err := SharedZone("mine", 5000); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("the zone in another size: %v", err)
	}
}

// TestOtherBuild has a process look for what a primary of another build, or with another DPDK, has made.
func TestOtherBuild(t *testing.T) {
	if !alone(t) {
		return
	}
	m, p := openShared(t, 2, nil)
	for _, c := range []struct {
		what string
		head *[4]uint32 // magic, layout, size, DPDK
		look func() error
	}{
		{"mesh", (*[4]uint32)(unsafe.Pointer(&m.s.head)), func() error { _, err := LookupMesh(); eal.mesh = m; return err }},
		{"port 0", (*[4]uint32)(unsafe.Pointer(&p.shared.head)), func() error { return (&Port{id: p.id, config: p.config}).find() }},
	} {
		if err := c.look(); err != nil {
			t.Errorf("%s of this build: %v", c.what, err)
		}
		was := *c.head
		for i, want := range []struct {
			err  error
			says string
		}{{syscall.EAGAIN, "has not finished it"}, {syscall.EPROTO, "same build"}, {syscall.EPROTO, "same build"}, {syscall.EPROTO, "runs DPDK"}} {
			c.head[i] ^= 1 << 24
			if err := c.look(); !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.says) || !strings.HasPrefix(err.Error(), c.what) {
				t.Errorf("%s with another word %d: %v, want %v that says %q", c.what, i, err, want.err, want.says)
			}
			*c.head = was
		}
	}
}
