//go:build !nodpdk

package dpdk

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSecondary has a second process poll the second queue of a TAP that the first has set up.
func TestSecondary(t *testing.T) {
	const prefix = "FSTACK_DPDK_PRIMARY"
	if os.Getenv(child) == "" {
		needTun(t)
		needHugepages(t, 128)
		if len(hugetlbfsMounts()) == 0 {
			t.Skip("needs a mounted hugetlbfs: processes share hugepages by its files")
		}
		if runtime.NumCPU() < 2 {
			t.Skip("needs two CPUs")
		}
	}
	if !alone(t) {
		return
	}
	if p := os.Getenv(prefix); p != "" {
		secondary(t, p)
		return
	}
	mine := "fstack-test-" + strconv.Itoa(os.Getpid())
	ns := newNetns(t)
	startEAL(t, func(c *Config) { c.NoHuge, c.MemoryMB, c.FilePrefix = false, 96, mine })
	p, q0 := openVdev(t, "net_tap0", "iface=fsk0", ns, PortConfig{Queues: 2, RxDesc: 256, TxDesc: 256})
	ip(t, ns, "link set fsk0 arp off", "link set fsk0 up")
	k := openKernelEnd(t, ns, "fsk0")
	before, _ := p.Mbufs()
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := spawn(t, t.Name(), nil, prefix+"="+mine)
		done <- result{out, err}
	}()
	fromSecondary := 0
	for {
		select {
		case r := <-done:
			report(t, r.out, r.err)
			if fromSecondary != 100 {
				t.Errorf("%d frames came from the second process, want 100", fromSecondary)
			}
			// The port goes on here, and nothing of the other process is missing.
			send(t, q0, make([]byte, 100))
			q0.Exchange()
			q0.Exchange()
			if after, _ := p.Mbufs(); after != before {
				t.Errorf("%d mbufs in use at first, %d after the second process has gone", before, after)
			}
			return
		default:
		}
		q0.Exchange()
		if b := k.recv(t); b != nil && len(b) == 777 {
			fromSecondary++
			// Its answer goes to the queue that the kernel saw the flow on.
			copy(b, q0.Info().MAC)
			k.send(t, b)
		}
		runtime.Gosched()
	}
}

func secondary(t *testing.T, prefix string) {
	var may unix.CPUSet
	unix.SchedGetaffinity(os.Getpid(), &may)
	log := &logged{}
	cpu := firstCPU(t)
	for i := range maxLcore {
		if may.IsSet(i) {
			cpu = i // the last
		}
	}
	if err := Init(Config{Lcores: []int{cpu}, FilePrefix: prefix, Proc: Secondary, NoPCI: true, Log: log.add}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := Cleanup(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log)
		}
	}()
	ids := Ports()
	if len(ids) != 1 {
		t.Fatalf("ports %v, want the one of the primary", ids)
	}
	p, err := OpenPort(PortConfig{ID: ids[0]})
	if err != nil {
		t.Fatal(err)
	}
	if p.Queues() != 2 || p.MTU() != 1500 || p.Name() != "net_tap0" {
		t.Errorf("%d queues, MTU %d, name %q", p.Queues(), p.MTU(), p.Name())
	}
	q, err := p.QueuePair(1)
	if err != nil {
		t.Fatal(err)
	}
	frame, _, _, _ := packet{payload: 777 - 42}.build()
	received := 0
	for i := range 100 {
		frame[40] = byte(i)
		send(t, q, frame)
		q.Exchange()
		received += len(q.Queue().Rx)
		time.Sleep(time.Millisecond)
	}
	t.Logf("%d frames received", received)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestInMemory leaves no files, with and without hugepages.
func TestInMemory(t *testing.T) {
	if !alone(t) {
		return
	}
	c := startEAL(t, func(c *Config) { c.InMemory = true })
	p, q := openVdev(t, "net_ring0", "", nil, PortConfig{})
	q.Exchange()
	if _, err := os.Stat(runtimeDir(eal.config.prefix()) + "/config"); err == nil {
		t.Error("there is a file to share")
	}
	if n, total := p.Mbufs(); n == 0 || n > total {
		t.Errorf("%d of %d mbufs in use\n%s", n, total, c)
	}
}
