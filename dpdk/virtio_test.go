//go:build !nodpdk

package dpdk

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// link is a virtio_user port and the vhost port behind its socket, in one process.
type link struct {
	virtio, vhost   *QueuePair
	virtioP, vhostP *Port
}

func openLink(t testing.TB, vhostArgs, virtioArgs string, c PortConfig) *link {
	t.Helper()
	l := &link{}
	socket := filepath.Join(t.TempDir(), "v.sock")
	l.vhostP, l.vhost = openVdev(t, "net_vhost0", "iface="+socket+",queues=1"+vhostArgs, nil, c)
	l.virtioP, l.virtio = openVdev(t, "net_virtio_user0", "path="+socket+",queue_size=1024,mac=02:00:00:00:00:01"+virtioArgs, nil, c)
	until(t, "the link", func() bool {
		a, _ := l.vhostP.LinkStatus()
		b, _ := l.virtioP.LinkStatus()
		return a.Up && b.Up
	})
	return l
}

// pass sends one frame in pieces and returns the pieces in which it arrives.
func pass(t testing.TB, from, to *QueuePair, p packet, size int) []stack.Frame {
	t.Helper()
	b, l2, l3, l4 := p.build()
	f := from.Queue().Alloc()
	p.request(f, b, from.Info().Offloads, l2, l3, l4)
	for {
		f.Len = uint16(copy(f.Room()[:min(size, int(f.Cap))], b))
		if b = b[f.Len:]; len(b) == 0 {
			break
		}
		f.Flags |= stack.More
		f = from.Queue().Alloc()
	}
	from.Exchange()
	until(t, p.String(), func() bool { to.Exchange(); return len(to.Queue().Rx) > 0 })
	return to.Queue().Rx
}

func join(rx []stack.Frame) (b []byte) {
	for i := range rx {
		b = append(b, rx[i].Bytes()...)
	}
	return b
}

// TestVirtio passes frames both ways, with checksums left out and segments not cut: the other end is told so.
func TestVirtio(t *testing.T) {
	if !alone(t) {
		return
	}
	needRoot(t)
	startEAL(t, nil)
	l := openLink(t, ",tso=1", "", PortConfig{TSO: true, LRO: true})
	const want = stack.TxTCPCsum | stack.TxUDPCsum | stack.TxTSO | stack.RxL4CsumGood | stack.RxL4CsumBad
	for _, dir := range []struct{ from, to *QueuePair }{{l.virtio, l.vhost}, {l.vhost, l.virtio}} {
		name := dir.from.Info().Driver
		want := want
		if name == "net_vhost" { // DPDK 22.11 does not offer it there
			want &^= stack.TxTSO
		}
		if o := dir.from.Info().Offloads; o&want != want {
			t.Errorf("%s offers %b, want %b at least", name, o, want)
		}
		for _, p := range []packet{
			{payload: 0}, {payload: 1472}, {v6: true, payload: 5}, {tcp: true, payload: 1460},
			{payload: 17, offload: true}, {tcp: true, payload: 1460, offload: true}, {tcp: true, v6: true, payload: 1, offload: true}, {v6: true, payload: 1400, offload: true},
			{tcp: true, payload: 20000, offload: true, mss: 1460}, {tcp: true, v6: true, payload: 60000, offload: true, mss: 1439},
		} {
			if p.mss != 0 && want&stack.TxTSO == 0 {
				continue
			}
			for _, size := range []int{1 << 16, 701, 100} {
				if p.payload/size > 40 {
					continue
				}
				b, _, _, _ := p.build()
				rx := pass(t, dir.from, dir.to, p, size)
				got := join(rx)
				if len(got) != len(b) {
					t.Errorf("%s: %v: %d bytes arrived of %d", name, p, len(got), len(b))
					continue
				}
				verdict := rx[0].Flags & (stack.RxL4CsumGood | stack.RxL4CsumBad)
				if p.offload && verdict != stack.RxL4CsumGood {
					t.Errorf("%s: %v in pieces of %d: verdict %b: a sum that was left out must count as good", name, p, size, verdict)
				}
				if verdict&stack.RxL4CsumBad != 0 {
					t.Errorf("%s: %v: verdict is bad", name, p)
				}
				if payload, want := got[len(got)-p.payload:], b[len(b)-p.payload:]; !bytes.Equal(payload, want) {
					t.Errorf("%s: %v in pieces of %d: payload differs", name, p, size)
				}
				for i := range rx {
					if last := i == len(rx)-1; last == (rx[i].Flags&stack.More != 0) {
						t.Errorf("%s: %v: piece %d of %d: More is %t", name, p, i, len(rx), !last)
					}
				}
			}
		}
		if c := dir.from.Counters(); c != (QueueCounters{}) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestVirtioWakesASleeper waits for the interrupt of virtio_user.
func TestVirtioWakesASleeper(t *testing.T) {
	if !alone(t) {
		return
	}
	needRoot(t)
	startEAL(t, nil)
	l := openLink(t, "", "", PortConfig{})
	if fd := l.vhost.RxFD(); fd != -1 {
		t.Errorf("net_vhost has RxFD %d: its descriptors come and go with the guest", fd)
	}
	q := l.virtio
	if q.RxFD() < 0 {
		t.Fatal("virtio_user has no descriptor to wait on")
	}
	for range 3 {
		if err := q.ArmRx(true); err != nil {
			t.Fatal(err)
		}
		q.Exchange()
		if readable(t, q.RxFD(), 0) {
			t.Error("readable without a frame")
		}
		send(t, l.vhost, make([]byte, 60))
		l.vhost.Exchange()
		if !readable(t, q.RxFD(), time.Second) {
			t.Error("not readable with a frame waiting")
		}
		if err := q.ArmRx(false); err != nil {
			t.Fatal(err)
		}
		if readable(t, q.RxFD(), 0) {
			t.Error("readable after ArmRx(false)")
		}
		q.Exchange()
		if n := len(q.Queue().Rx); n != 1 {
			t.Errorf("%d frames after waking, want 1", n)
		}
	}
}

// TestVirtioDoesNotLeak passes more than ten thousand frames each way and counts mbufs.
func TestVirtioDoesNotLeak(t *testing.T) {
	if !alone(t) {
		return
	}
	needRoot(t)
	startEAL(t, nil)
	l := openLink(t, "", "", PortConfig{RxDesc: 256, TxDesc: 256})
	turn := func(n int) (got int) {
		for range n {
			for _, q := range []*QueuePair{l.virtio, l.vhost} {
				for range 32 {
					send(t, q, make([]byte, 1000))
				}
				q.Exchange()
				got += len(q.Queue().Rx)
			}
		}
		return got
	}
	turn(100) // fills the descriptor rings
	v1, _ := l.virtioP.Mbufs()
	h1, _ := l.vhostP.Mbufs()
	if n := turn(400); n < 2*10000 {
		t.Errorf("%d frames arrived", n)
	}
	v2, _ := l.virtioP.Mbufs()
	h2, _ := l.vhostP.Mbufs()
	if v1 != v2 || h1 != h2 {
		t.Errorf("mbufs in use: virtio_user %d, then %d; vhost %d, then %d", v1, v2, h1, h2)
	}
	for _, p := range []*Port{l.virtioP, l.vhostP} {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestVirtioJumbo passes frames of the greatest MTU that both devices take.
func TestVirtioJumbo(t *testing.T) {
	if !alone(t) {
		return
	}
	needRoot(t)
	startEAL(t, nil)
	l := openLink(t, "", "", PortConfig{MTU: 9000, RxDesc: 256, TxDesc: 256})
	for _, dir := range []struct{ from, to *QueuePair }{{l.virtio, l.vhost}, {l.vhost, l.virtio}} {
		p := packet{payload: 8972}
		b, _, _, _ := p.build()
		if got := join(pass(t, dir.from, dir.to, p, 1<<16)); !bytes.Equal(got, b) {
			t.Errorf("%s: %d bytes arrived of %d", dir.from.Info().Driver, len(got), len(b))
		}
	}
}

// TestVirtioPeerGoes takes the vhost port away and brings it back. A client, which has connected once, says so and
// stays down; a server takes the next peer. Neither floods the log, however often the link is looked at.
func TestVirtioPeerGoes(t *testing.T) {
	if !alone(t) {
		return
	}
	needRoot(t)
	log := startEAL(t, nil)
	for _, server := range []bool{false, true} {
		socket := filepath.Join(t.TempDir(), "v.sock")
		vhostArgs, virtioArgs := "iface="+socket+",queues=1", "path="+socket+",queue_size=256"
		name := "net_virtio_user0"
		if server {
			vhostArgs, virtioArgs, name = vhostArgs+",client=1", virtioArgs+",server=1", "net_virtio_user1"
		}
		c := PortConfig{RxDesc: 256, TxDesc: 256}
		_, vhost := openVdev(t, "net_vhost0", vhostArgs, nil, c)
		p, q := openVdev(t, name, virtioArgs, nil, c)
		if d := p.Driver(); d != driverVirtioUser {
			t.Errorf("driver %s, want %s", d, driverVirtioUser)
		}
		is := func(up bool) func() bool {
			return func() bool {
				l, _ := p.LinkStatus()
				if vhost != nil {
					vhost.Exchange()
				}
				if q.Queue().Free() > 0 && up {
					send(t, q, make([]byte, 60))
				}
				q.Exchange()
				return l.Up == up
			}
		}
		patiently(t, "the link", is(true))
		if err := RemoveVdev("net_vhost0"); err != nil {
			t.Fatal(err)
		}
		vhost = nil
		patiently(t, "the link to go down", is(false))
		for range 300 { // the loop goes on
			is(false)()
			time.Sleep(time.Millisecond)
		}
		if server {
			_, vhost = openVdev(t, "net_vhost0", vhostArgs, nil, c)
			patiently(t, "the link to come back", is(true))
			patiently(t, "a frame from the device to the new peer", func() bool {
				is(true)()
				return len(vhost.Queue().Rx) > 0
			})
		}
		for _, name := range []string{"net_vhost0", name} {
			if err := RemoveVdev(name); err != nil && (server || name != "net_vhost0") {
				t.Error(err)
			}
		}
	}
	loud := 0
	for line := range strings.Lines(log.String()) {
		if strings.HasPrefix(line, "ERROR") || strings.HasPrefix(line, "WARN") {
			loud++
		}
	}
	if loud > 40 {
		t.Errorf("%d warnings and errors in the log", loud)
	}
}

// patiently is until for what threads of DPDK and other processes do in their own time.
func patiently(t *testing.T, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("waited 20 seconds for ", what)
		}
	}
}

// TestTwoProcesses has vhost in one process and virtio_user in another, as with a switch or the load generator.
func TestTwoProcesses(t *testing.T) {
	if !alone(t) {
		return
	}
	needRoot(t)
	const socket = "FSTACK_DPDK_SOCKET"
	memory := func(c *Config) { c.MemoryMB = 64 }
	for _, m := range []string{"no_huge", "hugepages", "in-memory hugepages"} {
		if os.Getenv("FSTACK_DPDK_MEMORY") == m && m != "no_huge" {
			memory = func(c *Config) { c.NoHuge, c.InMemory, c.MemoryMB = false, m != "hugepages", 64 }
		}
	}
	if path := os.Getenv(socket); path != "" { // the second process returns what it gets
		startEAL(t, memory)
		_, q := openVdev(t, "net_virtio_user0", "path="+path+",queue_size=256", nil, PortConfig{RxDesc: 256, TxDesc: 256})
		for start, n := time.Now(), 0; n < 2000; {
			q.Exchange()
			for i := range q.Queue().Rx {
				n++
				send(t, q, q.Queue().Rx[i].Bytes())
			}
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d frames came", n)
			}
			if len(q.Queue().Rx) == 0 {
				runtime.Gosched()
			}
		}
		q.Exchange()
		time.Sleep(100 * time.Millisecond) // the frames are read from this process's memory
		return
	}
	startEAL(t, memory)
	path := filepath.Join(t.TempDir(), "v.sock")
	_, q := openVdev(t, "net_vhost0", "iface="+path+",queues=1", nil, PortConfig{RxDesc: 256, TxDesc: 256})
	done := make(chan bool)
	go func() {
		out, err := spawn(t, t.Name(), nil, socket+"="+path)
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		close(done)
	}()
	sent, got := 0, 0
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if l, _ := q.port.LinkStatus(); l.Up { // what is sent before is lost
			break
		}
	}
	for start := time.Now(); got < 2000; {
		for ; sent < 2000 && sent-got < 100 && q.Queue().Free() > 0; sent++ {
			frame := make([]byte, 100+sent%900)
			frame[20] = byte(sent)
			send(t, q, frame)
		}
		q.Exchange()
		for i := range q.Queue().Rx {
			if f := &q.Queue().Rx[i]; int(f.Len) != 100+got%900 || f.Bytes()[20] != byte(got) {
				t.Fatalf("frame %d came back as %d bytes, number %d", got, f.Len, f.Bytes()[20])
			}
			got++
		}
		if time.Since(start) > 15*time.Second {
			t.Fatalf("%d frames came back of %d", got, sent)
		}
		if len(q.Queue().Rx) == 0 {
			runtime.Gosched()
		}
	}
	<-done
	until(t, "the link to go down with the other process", func() bool { l, _ := q.port.LinkStatus(); return !l.Up })
}

func TestTwoProcessesOnHugepages(t *testing.T) {
	if os.Getenv(child) == "" {
		needHugepages(t, 256)
		for _, m := range []string{"hugepages", "in-memory hugepages"} {
			if m == "hugepages" && len(hugetlbfsMounts()) == 0 {
				t.Log("needs a mounted hugetlbfs for hugepages with files")
				continue
			}
			out, err := spawn(t, "TestTwoProcesses", nil, "FSTACK_DPDK_MEMORY="+m)
			report(t, out, err)
		}
	}
}
