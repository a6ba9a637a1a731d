//go:build !nodpdk

package dpdk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	processes "github.com/fstack-go/fstack/internal/supervise"
	"github.com/fstack-go/fstack/stack"
)

// worker is the environment variable that has the test binary be a worker: the file prefix, its slot, and its mode.
const worker = "FSTACK_DPDK_WORKER"

// progress is what a worker tells about itself, in a zone that it shares with the test.
type progress struct {
	turns, handed, got, bad, sent uint64
	_                             [24]byte
}

func progressOf(t testing.TB, slots int) []progress {
	t.Helper()
	b, err := SharedZone("progress", slots*int(unsafe.Sizeof(progress{})))
	if err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*progress)(unsafe.Pointer(&b[0])), slots)
}

const testSlots = 5

// numbered is a UDP packet of a flow of its own for each number, which its bytes tell too.
func numbered(i uint32) []byte {
	b, _, _, _ := packet{payload: 64 + int(i%1200)}.build()
	b[34], b[35] = byte(i>>8), byte(i)
	binary.BigEndian.PutUint32(b[42:], i)
	return b
}

// check tells whether a frame is one of those.
func check(b []byte) bool {
	return len(b) >= 46 && bytes.Equal(b, numbered(binary.BigEndian.Uint32(b[42:])))
}

// runWorker is a worker process: it sends packets of its own, hands what it receives to the slot in the other place, and
// sends again what was handed to it. It ends when its standard input does.
func runWorker(t *testing.T, what string) {
	f := strings.Fields(what)
	slot, _ := strconv.Atoi(f[1])
	at, _ := strconv.Atoi(f[3])
	mode := Direct(at)
	if f[2] == "via" {
		mode = Via(at)
	}
	var ended atomic.Bool
	go func() {
		io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
		time.Sleep(5 * time.Second)
		os.Exit(3)
	}()
	if err := Init(Config{Lcores: []int{firstCPU(t)}, FilePrefix: f[0], Proc: Secondary, NoPCI: true, Log: (&logged{}).add}); err != nil {
		t.Fatal(err)
	}
	m, err := LookupMesh()
	if err != nil {
		t.Fatal(err)
	}
	var p *Port
	for _, id := range Ports() { // one of them is shared
		if p, err = OpenPort(PortConfig{ID: id, Mesh: m}); err == nil {
			break
		}
	}
	if p == nil {
		t.Fatal(err)
	}
	q, err := p.SlotQueue(slot, mode)
	if err != nil {
		t.Fatal(err)
	}
	all := progressOf(t, testSlots)
	fmt.Println("ready")
	how := strings.Join(f[4:], "")
	if how == "loop" {
		loopWorker(t, m, q, &all[slot], ended.Load)
	} else {
		work(q, &all[slot], 1-slot, func() bool { return atomic.LoadUint64(&all[testSlots-1].turns) == quiet }, ended.Load, how == "busy")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if c := p.SlotCounters(slot); c.DropRingWord != 0 {
		t.Errorf("%+v", c)
	}
	Cleanup()
}

// quiet, in the last slot's place, has the workers send nothing of their own.
const quiet = 1

// work is a worker's loop. A busy one polls without a pause.
func work(q *QueuePair, told *progress, other int, quiet, ended func() bool, busy bool) {
	for i := uint32(0); !ended(); i++ {
		if i%2 == 0 && !quiet() && q.Queue().Free() > 64 {
			f := q.Queue().Alloc()
			f.Len = uint16(copy(f.Room(), numbered(rand.Uint32())))
			atomic.AddUint64(&told.sent, 1)
		}
		q.Exchange()
		for rx := q.Queue().Rx; len(rx) > 0; rx = rx[1:] {
			b := rx[0].Bytes()
			if !check(b) {
				if len(b) > 42 && b[23] == 17 { // the kernel itself may have something to say
					atomic.AddUint64(&told.bad, 1)
				}
				continue
			}
			if rx[0].Flags&stack.RxHanded == 0 {
				if q.Hand(rx[:1], other, 0) {
					atomic.AddUint64(&told.handed, 1)
				}
				continue
			}
			atomic.AddUint64(&told.got, 1)
			if f := q.Queue().Alloc(); f != nil {
				f.Len = uint16(copy(f.Room(), b))
			}
		}
		atomic.AddUint64(&told.turns, 1)
		if len(q.Queue().Rx) == 0 && !busy {
			runtime.Gosched()
			time.Sleep(20 * time.Microsecond) // two CPUs serve all of the test
		}
	}
}

// process is a worker that runs.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bytes.Buffer
	end chan error
}

func startWorker(t *testing.T, prefix string, slot int, mode Mode, how ...string) *process {
	t.Helper()
	what := fmt.Sprintf("%s %d direct %d", prefix, slot, mode.Queue())
	if mode.Via() >= 0 {
		what = fmt.Sprintf("%s %d via %d", prefix, slot, mode.Via())
	}
	what = strings.Join(append([]string{what}, how...), " ")
	w := &process{out: &bytes.Buffer{}, end: make(chan error, 1)}
	w.cmd = exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	w.cmd.Env = append(os.Environ(), child+"="+t.Name(), worker+"="+what)
	w.cmd.Stderr = w.out
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.in = in
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			if s.Text() == "ready" {
				ready <- true
			}
			w.out.WriteString(s.Text() + "\n")
		}
		err := w.cmd.Wait()
		select {
		case ready <- false:
		default:
		}
		w.end <- err
	}()
	t.Cleanup(func() { w.cmd.Process.Kill() })
	select {
	case ok := <-ready:
		if !ok {
			t.Fatalf("the worker ended: %v\n%s", <-w.end, w.out)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the worker does not get ready")
	}
	return w
}

// kill ends the worker at once, wherever it is.
func (w *process) kill() {
	w.cmd.Process.Kill()
	<-w.end
}

// finish has the worker end by itself.
func (w *process) finish(t *testing.T) {
	t.Helper()
	w.in.Close()
	if err := <-w.end; err != nil {
		t.Errorf("worker: %v\n%s", err, w.out)
	}
}

func kills(n int) int {
	if s := os.Getenv("FSTACK_DPDK_KILLS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	return n
}

// supervise makes the process the primary of a test with workers, in a process of its own; or it is one of the workers, or
// the one that the test has begun in: then there is no mesh.
func supervise(t *testing.T) (prefix string, m *Mesh, told []progress) {
	t.Helper()
	if os.Getenv(child) == "" {
		needHugepages(t, 128)
		if len(hugetlbfsMounts()) == 0 {
			t.Skip("needs a mounted hugetlbfs: processes share hugepages by its files")
		}
	}
	if !alone(t) {
		return
	}
	if w := os.Getenv(worker); w != "" {
		runWorker(t, w)
		return
	}
	prefix = "fstack-test-" + strconv.Itoa(os.Getpid())
	startEAL(t, func(c *Config) { c.NoHuge, c.MemoryMB, c.FilePrefix = false, 96, prefix })
	m, err := NewMesh(MeshConfig{Slots: testSlots, RingSize: 256})
	if err != nil {
		t.Fatal(err)
	}
	return prefix, m, progressOf(t, testSlots)
}

// TestKill has two workers poll a queue of a TAP each, hand all that they receive to the other, and be killed at random
// moments. Each time what the dead one held comes back, the other goes on, and a new one takes its place.
//
//	kernel end ─► TAP queue 0 ─► worker 0 ─┐ ┌─► worker 0 ─► TAP ─► kernel end
//	           └► TAP queue 1 ─► worker 1 ─┘X└─► worker 1 ─►
func TestKill(t *testing.T) {
	if os.Getenv(child) == "" {
		needTun(t)
	}
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, k := openSharedTAP(t, m)
	if ok, why := p.SecondaryPolls(); !ok {
		t.Errorf("net_tap: %s", why)
	}
	if r, err := p.RSS(); err != nil || r.Trusted || r.Why == "" {
		t.Errorf("RSS of net_tap: %+v, %v", r, err)
	}
	killTest(t, m, p, told, k, 0, func(slot int) *process {
		return startWorker(t, prefix, slot, Direct(slot))
	})
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// openSharedTAP makes a TAP of two queues.
func openSharedTAP(t *testing.T, m *Mesh) (*Port, *kernelEnd) {
	t.Helper()
	ns := newNetns(t)
	ids, err := AddVdev("net_tap0", "iface=fsk0", ns)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPort(PortConfig{ID: ids[0], Mesh: m, Queues: 2, RxDesc: 256, TxDesc: 256})
	if err != nil {
		t.Fatal(err)
	}
	ip(t, ns, "link set fsk0 arp off", "link set fsk0 up")
	return p, openKernelEnd(t, ns, "fsk0")
}

// wire is the other end of the device: it sends packets and receives them.
type wire interface {
	put(b []byte) bool
	get() []byte
}

func (k *kernelEnd) put(b []byte) bool { return unix.Send(k.fd, b, 0) == nil }

func (k *kernelEnd) get() []byte {
	for {
		n, from, err := unix.Recvfrom(k.fd, k.buf[:], 0)
		if err != nil {
			return nil
		}
		if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING {
			return k.buf[:n]
		}
	}
}

// killTest kills and restarts workers under traffic. lazy is how many mbufs the driver may keep that it has sent.
func killTest(t *testing.T, m *Mesh, p *Port, told []progress, end wire, lazy int, start func(slot int) *process) {
	t.Helper()
	ws := []*process{start(0), start(1)}
	traffic := &told[testSlots-1].turns
	stop := pump(told, end)
	settle := func() (used [2]int) {
		atomic.StoreUint64(traffic, quiet)
		for same := 0; same < 3; same++ { // the workers may have to wait for a CPU
			turns := [2]uint64{atomic.LoadUint64(&told[0].turns), atomic.LoadUint64(&told[1].turns)}
			until(t, "the workers to go on", func() bool {
				time.Sleep(time.Millisecond)
				return atomic.LoadUint64(&told[0].turns) > turns[0]+20 && atomic.LoadUint64(&told[1].turns) > turns[1]+20
			})
			was := used
			for i := range used {
				used[i], _ = p.SlotMbufs(i)
			}
			if used != was {
				same = 0
			}
		}
		atomic.StoreUint64(traffic, 0)
		return used
	}
	time.Sleep(50 * time.Millisecond)
	first := settle()
	var total Reclaimed
	n := kills(8)
	began := time.Now()
	inDriver := 0
	for i := range n {
		time.Sleep(time.Duration(rand.IntN(20000)) * time.Microsecond)
		slot := rand.IntN(2)
		before := atomic.LoadUint64(&told[1-slot].turns)
		ws[slot].kill()
		m.Down(slot)
		r, err := m.Reclaim(slot)
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if p.SlotCounters(slot).DropRingWord != 0 {
			t.Errorf("kill %d: %+v", i, p.SlotCounters(slot))
		}
		total.Returned, total.Swept, total.Kept = total.Returned+r.Returned, total.Swept+r.Swept, total.Kept+r.Kept
		if r.InDriver {
			inDriver++
		}
		until(t, "the other worker to go on", func() bool { return atomic.LoadUint64(&told[1-slot].turns) > before })
		ws[slot] = start(slot)
	}
	t.Logf("%d kills in %v, %d inside a driver: %d mbufs returned, %d swept, %d kept", n, time.Since(began), inDriver, total.Returned, total.Swept, total.Kept)
	got := []uint64{atomic.LoadUint64(&told[0].got), atomic.LoadUint64(&told[1].got)}
	until(t, "frames to be handed over both ways", func() bool {
		return atomic.LoadUint64(&told[0].got) > got[0] && atomic.LoadUint64(&told[1].got) > got[1]
	})
	last := settle()
	if last[0] > first[0]+lazy || last[1] > first[1]+lazy || last[0] < first[0]-lazy || last[1] < first[1]-lazy {
		t.Errorf("mbufs in use: %v at first, %v at the end", first, last)
	}
	atomic.StoreUint64(traffic, quiet)
	for slot, w := range ws {
		w.finish(t)
		if _, err := m.Reclaim(slot); err != nil {
			t.Error(err)
		}
		c := p.SlotCounters(slot)
		t.Logf("slot %d: %+v, %+v", slot, told[slot], c)
		if told[slot].bad != 0 || c.DropRingWord != 0 {
			t.Errorf("%d frames were not as sent, %d words of rings unknown", told[slot].bad, c.DropRingWord)
		}
		if told[slot].got == 0 || c.HandedIn == 0 {
			t.Errorf("slot %d: %+v", slot, told[slot])
		}
	}
	if in, out, bad := stop(); bad > 0 || in == 0 || out == 0 {
		t.Errorf("%d packets in, %d out, %d of them not as sent", in, out, bad)
	}
}

// pump has the other end send and receive, until it is stopped: then it tells how many packets.
func pump(told []progress, end wire) (stop func() (in, out, bad int)) {
	var in, out, bad int
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := uint32(0); ; i++ {
			select {
			case <-stopping:
				return
			default:
			}
			if atomic.LoadUint64(&told[testSlots-1].turns) != quiet && end.put(numbered(i)) {
				in++
			}
			for b := end.get(); b != nil; b = end.get() {
				out++
				if !check(b) && b[23] == 17 {
					bad++
				}
			}
			if i%16 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	return func() (int, int, int) {
		close(stopping)
		<-stopped
		return in, out, bad
	}
}

// TestKillVirtio is TestKill over virtio_user, with vhost at the other end.
func TestKillVirtio(t *testing.T) {
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	p, w := openSharedVirtio(t, m)
	killTest(t, m, p, told, w, 256, func(slot int) *process { return startWorker(t, prefix, slot, Direct(slot)) })
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// openSharedVirtio makes a virtio_user device of two queues, with vhost at its other end.
func openSharedVirtio(t *testing.T, m *Mesh) (*Port, *queueWire) {
	t.Helper()
	socket := t.TempDir() + "/v.sock"
	vhost, _ := openVdev(t, "net_vhost0", "iface="+socket+",queues=2", nil, PortConfig{Queues: 2, RxDesc: 256, TxDesc: 256})
	ids, err := AddVdev("net_virtio_user0", "path="+socket+",queues=2,cq=1,queue_size=256,mac=02:00:00:00:00:01", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPort(PortConfig{ID: ids[0], Mesh: m, Queues: 2, RxDesc: 256, TxDesc: 256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := processes.ShareEvents(0); err != nil { // as the supervisor of a run does
		t.Fatal(err)
	}
	until(t, "the link", func() bool { l, _ := vhost.LinkStatus(); return l.Up })
	w := &queueWire{}
	for i := range w.q {
		if w.q[i], err = vhost.QueuePair(i); err != nil {
			t.Fatal(err)
		}
	}
	return p, w
}

// queueWire is the other end of a device with two queues.
type queueWire struct {
	q    [2]*QueuePair
	n    int
	out  [2]atomic.Uint64 // packets from each queue
	wait [][]byte
}

func (w *queueWire) put(b []byte) bool {
	w.n++
	f := w.q[w.n%2].Queue().Alloc()
	if f == nil {
		return false
	}
	f.Len = uint16(copy(f.Room(), b))
	return true
}

func (w *queueWire) get() (b []byte) {
	if len(w.wait) == 0 {
		for i, q := range w.q {
			got, _ := turn(q)
			w.out[i].Add(uint64(len(got)))
			w.wait = append(w.wait, got...)
		}
	}
	if len(w.wait) > 0 {
		b, w.wait = w.wait[0], w.wait[1:]
	}
	return b
}

// TestKillVia has the primary poll the one queue of a device that no other process can, and two workers behind it, that
// send and receive by way of the primary, be killed.
func TestKillVia(t *testing.T) {
	if os.Getenv(child) == "" {
		needRoot(t)
	}
	prefix, m, told := supervise(t)
	if m == nil {
		return
	}
	const poller = testSlots - 1
	ns := newNetns(t)
	ip(t, ns, "link add fsv0 type veth peer name fsv1", "link set fsv0 arp off", "link set fsv1 arp off", "link set fsv0 up", "link set fsv1 up")
	ids, err := AddVdev("net_af_packet0", "iface=fsv0,blocksz=4096,framesz=2048,framecnt=512", ns)
	if err != nil {
		t.Skip("needs net_af_packet: ", err)
	}
	p, err := OpenPort(PortConfig{ID: ids[0], Mesh: m, RxDesc: 256, TxDesc: 256})
	if err != nil {
		t.Fatal(err)
	}
	if ok, why := p.SecondaryPolls(); ok || why == "" {
		t.Error("secondaries can poll net_af_packet?")
	}
	for slot := range 2 {
		if err := p.MakeSlotPool(slot); err != nil {
			t.Fatal(err)
		}
	}
	q, err := p.SlotQueue(poller, Direct(0))
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // hands packets out by their port
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			q.Exchange()
			for rx := q.Queue().Rx; len(rx) > 0; rx = rx[1:] {
				if b := rx[0].Bytes(); rx[0].Flags&stack.RxHanded == 0 && len(b) > 42 {
					q.Hand(rx[:1], int(b[35]&1), 0)
				}
			}
			if len(q.Queue().Rx) == 0 {
				time.Sleep(20 * time.Microsecond)
			}
		}
	}()
	before, _ := p.SlotMbufs(poller)
	killTest(t, m, p, told, openKernelEnd(t, ns, "fsv1"), 0, func(slot int) *process { return startWorker(t, prefix, slot, Via(poller)) })
	close(stop)
	<-stopped
	for range 10 {
		q.Exchange()
	}
	if after, _ := p.SlotMbufs(poller); after != before {
		t.Errorf("the poller had %d mbufs in use at first, %d at the end", before, after)
	}
	if c := q.Counters(); c.SentForOther == 0 || c.HandedOut == 0 || c.DropRingWord != 0 {
		t.Errorf("%+v", c)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
