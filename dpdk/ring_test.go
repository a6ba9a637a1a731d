//go:build !nodpdk

package dpdk

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fstack-go/fstack/stack"
)

// TestRing sends frames through net_ring, whose two ends are one: what goes out comes in.
func TestRing(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	p, q := openVdev(t, "net_ring0", "", nil, PortConfig{})
	if p.Driver() != "net_ring" || p.Name() != "net_ring0" || len(p.MAC()) != 6 {
		t.Errorf("driver %q, name %q, MAC %v", p.Driver(), p.Name(), p.MAC())
	}
	if again, err := p.QueuePair(0); err != nil || again != q {
		t.Errorf("QueuePair(0) again: %p, %v; want %p", again, err, q)
	}
	var got, want [][]byte
	for i := range 100 { // more than one burst
		frame, _, _, _ := packet{payload: i * 14}.build()
		want = append(want, frame)
		send(t, q, frame)
	}
	for range 4 {
		q.Exchange()
		if n := len(q.Queue().Rx); n > 32 {
			t.Errorf("burst of %d", n)
		}
		for i := range q.Queue().Rx {
			got = append(got, bytes.Clone(q.Queue().Rx[i].Bytes()))
		}
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d frames came back, %d were sent", len(got), len(want))
	}
	// A chain comes back in pieces: the ring passes the mbufs themselves.
	for i, more := range []stack.FrameFlags{stack.More, stack.More, 0} {
		send(t, q, bytes.Repeat([]byte{byte(i)}, 100))
		q.Queue().Taken()[i].Flags = more
	}
	q.Flush()
	q.Exchange()
	rx := q.Queue().Rx
	if p.setup.tx_offloads&txSeg == 0 { // net_ring does not say that it takes chains: the exchange joins them
		if len(rx) != 1 || rx[0].Len != 300 || rx[0].Bytes()[299] != 2 {
			t.Errorf("pieces %+v", rx)
		}
	} else if len(rx) != 3 || rx[0].Flags&rx[1].Flags&stack.More == 0 || rx[2].Flags&stack.More != 0 {
		t.Errorf("pieces %+v", rx)
	}
}

// TestFullDevice has a ring fill up: what it does not take stays in order, and comes out later.
func TestFullDevice(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	_, q := openVdev(t, "net_ring0", "", nil, PortConfig{Mbufs: 8191})
	n, next := 0, 0
	for ; q.Counters().TxRetries == 0 && n < 5000; n++ { // a ring has 1023 places
		if q.Queue().Free() == 0 {
			q.Flush()
		}
		frame := make([]byte, 64)
		frame[0], frame[1] = byte(n>>8), byte(n)
		send(t, q, frame)
	}
	if q.Counters().TxRetries == 0 {
		t.Fatal("the ring never filled up")
	}
	kept := len(q.Queue().Taken())
	q.Flush()
	if again := len(q.Queue().Taken()); kept == 0 || again != kept {
		t.Errorf("%d frames kept, then %d", kept, again)
	}
	until(t, "all frames", func() bool {
		q.Exchange()
		for i := range q.Queue().Rx {
			b := q.Queue().Rx[i].Bytes()
			if int(b[0])<<8|int(b[1]) != next {
				t.Fatalf("frame %d where %d is due", int(b[0])<<8|int(b[1]), next)
			}
			next++
		}
		return next == n
	})
}

// TestPoolRunsDry has fewer mbufs than slots: fewer slots, a counter, and no harm.
func TestPoolRunsDry(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	p, q := openVdev(t, "net_ring0", "", nil, PortConfig{Mbufs: 100})
	for range 3 {
		for n := 0; ; n++ {
			f := q.Queue().Alloc()
			if f == nil {
				if n == 0 || n > 100 {
					t.Errorf("%d slots out of 100 mbufs", n)
				}
				break
			}
			f.Len = uint16(copy(f.Room(), make([]byte, 60)))
		}
		q.Flush() // all mbufs are in the ring now
		if n := q.Queue().Free(); n > 0 {
			t.Errorf("%d slots free without mbufs", n)
		}
		if q.Queue().Alloc() != nil {
			t.Error("a frame without an mbuf")
		}
		q.Exchange()
		if len(q.Queue().Rx) != 32 {
			t.Errorf("%d frames back", len(q.Queue().Rx))
		}
		q.Exchange() // gives those back, and so has slots
		if q.Queue().Free() == 0 {
			t.Error("no slots after mbufs came back")
		}
		until(t, "the ring to be empty", func() bool { q.Exchange(); return len(q.Queue().Rx) == 0 })
	}
	if q.Counters().NoMbufForTx == 0 {
		t.Error("not counted")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestBadRequests sends frames whose offload requests make no sense: each is dropped and counted.
func TestBadRequests(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	_, q := openVdev(t, "net_ring0", "", nil, PortConfig{})
	good := stack.Frame{L2: 14, L3: 20, L4: 20, MSS: 1000, Flags: stack.TxTCPCsum | stack.TxIPCsum | stack.TxTSO}
	for i, bad := range []func(*stack.Frame){
		func(f *stack.Frame) { f.L2 = 0 },
		func(f *stack.Frame) { f.L3 = 0 },
		func(f *stack.Frame) { f.L4 = 0 },
		func(f *stack.Frame) { f.MSS = 0 },
		func(f *stack.Frame) { f.L3 = 255 },
		func(f *stack.Frame) { f.Flags |= stack.TxUDPCsum },
	} {
		f := q.Queue().Alloc()
		f.Len, f.L2, f.L3, f.L4, f.MSS, f.Flags = 100, good.L2, good.L3, good.L4, good.MSS, good.Flags
		bad(f)
		q.Exchange()
		if n := q.Counters().DropTxBadOffload; n != uint64(i+1) || len(q.Queue().Rx) != 0 {
			t.Errorf("request %d: %d drops, %d frames", i, n, len(q.Queue().Rx))
		}
	}
	f := q.Queue().Alloc()
	f.Len = f.Cap + 1
	q.Exchange()
	if n := q.Counters().DropTxBadLength; n != 1 {
		t.Errorf("a frame longer than its room: %d drops", n)
	}
}

func TestNull(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	p, q := openVdev(t, "net_null0", "size=64", nil, PortConfig{})
	before, _ := p.Mbufs()
	n := 0
	for range 10000 / 32 {
		for range 32 {
			send(t, q, make([]byte, 64))
		}
		q.Exchange()
		n += len(q.Queue().Rx)
	}
	s, err := p.Stats()
	if err != nil || n == 0 || s.RxPackets != uint64(n) || s.TxPackets == 0 {
		t.Errorf("%d frames received, stats %+v, %v", n, s, err)
	}
	x, err := p.XStats()
	if err != nil || !slices.ContainsFunc(x, func(x XStat) bool { return x.Name == "rx_good_packets" && x.Value == uint64(n) }) {
		t.Errorf("xstats %v, %v", x, err)
	}
	if after, _ := p.Mbufs(); after > before+32 { // 32 received ones are held
		t.Errorf("%d mbufs in use at first, %d at the end", before, after)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Stats(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Stats of a closed port: %v", err)
	}
	q.Exchange() // does nothing
	if err := RemoveVdev("net_null0"); err != nil {
		t.Error(err)
	}
	if err := RemoveVdev("net_null0"); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("RemoveVdev of nothing: %v", err)
	}
	if ids := Ports(); len(ids) != 0 {
		t.Errorf("ports %v are left", ids)
	}
}

// TestBadPorts has OpenPort refuse what the device cannot do, with words that say what it can.
func TestBadPorts(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	if _, err := OpenPort(PortConfig{ID: 0}); err == nil || !strings.Contains(err.Error(), "there are no ports") {
		t.Errorf("no port at all: %v", err)
	}
	ids, err := AddVdev("net_ring0", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		PortConfig
		says string
	}{
		{PortConfig{ID: 7}, "valid_port 7: no such device"},
		{PortConfig{ID: -1}, "valid_port -1: no such device"},
		{PortConfig{ID: 1 << 17}, "no such device"},
		{PortConfig{Queues: 1000}, "1000 wanted, but the device has 1 to"},
		{PortConfig{Queues: -1}, "-1 wanted"},
		{PortConfig{MTU: 20}, "20 wanted, but the device takes 68 to"},
		{PortConfig{MTU: 100000}, "100000 wanted, but the device takes"},
		{PortConfig{RxDesc: -5}, "must be 1 to"},
		{PortConfig{Mbufs: 1 << 20}, "dpdk-hugepages.py"},
		{PortConfig{Lcores: []int{}}, "lcores for 0"},
	} {
		if p, err := OpenPort(c.PortConfig); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want an error that says %q", c.PortConfig, err, c.says)
			if p != nil {
				p.Close()
			}
		}
	}
	p, err := OpenPort(PortConfig{ID: ids[0]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPort(PortConfig{ID: ids[0]}); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("open twice: %v", err)
	}
	if _, err := p.QueuePair(1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("queue pair 1 of 1: %v", err)
	}
}

// TestReadWhileClosing has another goroutine, as a page that shows the counters, look at a port that closes.
func TestReadWhileClosing(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	p, q := openVdev(t, "net_ring0", "", nil, PortConfig{})
	for range 3 {
		send(t, q, make([]byte, 8)) // too short: counted
	}
	q.Flush()
	want := q.Info()
	stop, seen := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			q.Counters()
			if got := q.Info(); got.Socket != want.Socket || got.Name != want.Name {
				t.Errorf("%+v while it closes, %+v before", got, want)
			}
			select {
			case <-stop:
				seen <- n
				return
			default:
			}
		}
	}()
	if n := q.Counters().DropTxBadLength; n != 3 {
		t.Errorf("%d frames dropped, want 3", n)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	close(stop)
	if n := <-seen; n == 0 {
		t.Log("the other goroutine saw the open port only")
	}
	if c := q.Counters(); c != (QueueCounters{}) {
		t.Errorf("counters of a closed queue pair: %+v", c)
	}
	if got := q.Info(); got.Socket != want.Socket {
		t.Errorf("%+v after Close, %+v before", got, want)
	}
}

// TestLeavesNoFiles starts EAL without hugepages and without files, which EAL's own option for it does not allow.
func TestLeavesNoFiles(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, func(c *Config) { c.InMemory = true })
	dir := runtimeDir(eal.config.FilePrefix)
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("%s holds %v", dir, files)
	}
	_, q := openVdev(t, "net_ring0", "", nil, PortConfig{})
	send(t, q, make([]byte, 60))
	q.Flush()
	if q.Exchange(); len(q.Queue().Rx) != 1 {
		t.Errorf("%d frames came back, want 1", len(q.Queue().Rx))
	}
}
