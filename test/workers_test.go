//go:build !nodpdk

package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fstack-go/fstack/control"
	"github.com/fstack-go/fstack/internal/hugepages"
)

// needsHuge reserves hugepages for a test that runs several processes, and gives them back.
func needsHuge(t *testing.T, mb int) {
	t.Helper()
	needs(t)
	mounts, _ := os.ReadFile("/proc/mounts")
	if !strings.Contains(string(mounts), " hugetlbfs ") {
		t.Skip("needs a mounted hugetlbfs: dpdk-hugepages.py --mount")
	}
	if runtime.NumCPU() < 2 {
		t.Skip("needs two CPUs")
	}
	back, err := hugepages.Reserve(mb)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(back)
}

// workers starts test/server in n processes and waits until all serve.
func workers(t *testing.T, n int, extra ...string) *process {
	t.Helper()
	mask, lcores := 1<<n-1, ""
	for i := range n {
		lcores += fmt.Sprintf(",%d@%d", i, i%2)
	}
	p := prepare(t, "server", append([]string{"tcp=fstack", "no_huge=0", fmt.Sprintf("lcore_mask=%x\nlcores=%s", mask, lcores[1:])}, extra...)...)
	p.start(t)
	p.serving(t, n)
	return p
}

// status asks for it by the control socket.
func (p *process) status() (*control.Status, error) {
	c, err := control.Dial(p.prefix)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Call(control.Request{Command: control.CommandStatus}, nil)
}

// command gives one, and returns what it says.
func (p *process) command(name string) (said string, err error) {
	c, err := control.Dial(p.prefix)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_, err = c.Call(control.Request{Command: name}, func(line string) { said += line + "\n" })
	return said, err
}

// serving waits until n workers serve and none does anything else, and returns their status.
func (p *process) serving(t *testing.T, n int) *control.Status {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if p.ended(0) {
			t.Fatalf("the program ended: %v\n%s", p.err, p.out)
		}
		s, err := p.status()
		if err == nil {
			serving := 0
			for _, w := range s.Workers {
				if w.State == control.StateServing {
					serving++
				}
			}
			if serving == n && len(s.Workers) == n {
				return s
			}
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("not %d workers serve: %+v, %v\n%s", n, s, err, p.out)
		}
	}
}

// who tells which worker serves a new connection: its index and process.
func (p *process) who() (index, pid int, err error) {
	c, err := p.dial("tcp", addr4+":80")
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	return askWho(c)
}

// askWho asks on a connection.
func askWho(c net.Conn) (index, pid int, err error) {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0, 0, err
	}
	b := make([]byte, 4096)
	n := 0
	for !strings.Contains(string(b[:n]), "\r\n\r\n") || strings.HasSuffix(string(b[:n]), "\r\n\r\n") {
		m, err := c.Read(b[n:])
		if err != nil {
			return 0, 0, err
		}
		n += m
	}
	_, body, _ := strings.Cut(string(b[:n]), "\r\n\r\n")
	var slot int
	if _, err := fmt.Sscanf(body, "%d %d %d", &index, &pid, &slot); err != nil {
		return 0, 0, fmt.Errorf("answer %q: %w", b[:n], err)
	}
	return index, pid, nil
}

// shares opens n connections, some at a time, and counts by which worker they were served.
func (p *process) shares(t *testing.T, n int) map[int]int {
	t.Helper()
	const atOnce = 32
	var mu sync.Mutex
	count, failed := map[int]int{}, 0
	tickets := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for range n {
		tickets <- struct{}{}
		all.Go(func() {
			defer func() { <-tickets }()
			index, _, err := p.who()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if failed++; failed < 5 {
					t.Errorf("a connection was not served: %v", err)
				}
				return
			}
			count[index]++
		})
	}
	all.Wait()
	if failed > 0 {
		t.Errorf("%d of %d connections were not served", failed, n)
	}
	return count
}

// fair tells whether each of n workers has a share that is not far from the even one.
func fair(count map[int]int, n int) bool {
	total := 0
	for _, c := range count {
		total += c
	}
	for i := range n {
		if count[i] < total/n/2 {
			return false
		}
	}
	return len(count) == n
}

// TestWorkers: two workers over a TAP of two queues. All connections in and out are served, each worker has its share,
// and pings, fragments and datagrams find their way.
func TestWorkers(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	s := p.serving(t, 2)
	for i, w := range s.Workers {
		if w.Slot != i || w.Lcore != i || w.CPU != i || w.PID == 0 || !w.Pinned || w.Restarts != 0 || len(w.Queues) != 1 || w.Queues[0].Queue != i || w.MbufsInUse == 0 || w.MbufsTotal < w.MbufsInUse {
			t.Errorf("worker %d: %+v", i, w)
		}
	}
	p.meet(t)
	p.settle(t, s)
}

// settle waits until the workers have no more mbufs than at first, when some frames may have been on their way.
func (p *process) settle(t *testing.T, first *control.Status) {
	t.Helper()
	total := func(s *control.Status) (n int) {
		for _, w := range s.Workers {
			n += w.MbufsInUse
		}
		return n
	}
	var now *control.Status
	for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		var err error
		if now, err = p.status(); err == nil && total(now) <= total(first) {
			return
		}
	}
	t.Errorf("mbufs in use: %d at first, %d now", total(first), total(now))
}

// clientOf is a client whose one connection a certain worker serves.
func (p *process) clientOf(t *testing.T, index int) *http.Client {
	t.Helper()
	for range 100 {
		c, err := p.dial("tcp", addr4+":80")
		if err != nil {
			t.Fatal(err)
		}
		if i, _, err := askWho(c); err != nil {
			t.Fatal(err)
		} else if i != index {
			c.Close()
			continue
		}
		c.SetDeadline(time.Time{})
		given := false
		transport := &http.Transport{MaxConnsPerHost: 1, DialContext: func(context.Context, string, string) (net.Conn, error) {
			if given {
				return nil, errors.New("the connection to the worker was closed")
			}
			given = true
			return c, nil
		}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: time.Minute}
	}
	t.Fatalf("no connection of 100 was served by worker %d", index)
	return nil
}

// TestNumberOfWorkers has 1, 2, 4 and 8 of them on two CPUs.
func TestNumberOfWorkers(t *testing.T) {
	for _, n := range []int{1, 2, 4, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			needsHuge(t, 300)
			p := workers(t, n)
			p.meetEach(t, n, 100*n)
		})
	}
}

// TestSharedByLists: workers without a queue of their own reach the port by way of the one that has.
func TestSharedByLists(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2, "netmask=255.255.255.0\nlcore_list=1")
	s := p.serving(t, 2)
	if q := s.Workers[0].Queues[0]; q.Queue != -1 || q.Via != "slot 1" {
		t.Errorf("worker 0 has %+v", q)
	}
	if q := s.Workers[1].Queues[0]; q.Queue != 0 || q.Via != "" {
		t.Errorf("worker 1 has %+v", q)
	}
	if count := p.shares(t, 500); !fair(count, 2) {
		t.Errorf("connections by worker: %v", count)
	}
	p.settle(t, s)
}

// TestPolledForAll: the supervisor polls a device that no worker can, af_packet on one end of a veth pair.
func TestPolledForAll(t *testing.T) {
	needsHuge(t, 200)
	name := fmt.Sprintf("fst-it-%d-veth", os.Getpid())
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, out)
		}
	}
	run("netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	ours := fmt.Sprintf("fsi%d", os.Getpid())
	run("link", "add", ours, "type", "veth", "peer", "name", "peer", "netns", name)
	run("link", "set", ours, "up")
	run("-n", name, "link", "set", "peer", "up")
	run("-n", name, "link", "set", "lo", "up")
	run("-n", name, "addr", "add", "192.168.1.1/24", "dev", "peer")
	run("-n", name, "addr", "add", "fd00:192:168:1::1/64", "dev", "peer", "nodad")
	exec.Command("ip", "netns", "exec", name, "ethtool", "-K", "peer", "tx", "off").Run() // the device does not compute what the kernel leaves out
	p := prepare(t, "server", "tcp=fstack", "no_huge=0", "lcore_mask=3", "devargs=net_af_packet0,iface="+ours, "netns=", "kernel_addr=")
	p.netns = name
	p.start(t)
	s := p.serving(t, 2)
	for _, w := range s.Workers {
		if q := w.Queues[0]; q.Queue != -1 || q.Via != "slot 4" {
			t.Errorf("worker %d has %+v", w.Index, q)
		}
	}
	p.connects(t, 2, 10_000)
	for _, args := range [][]string{{addr4}, {"-6", addr6}, {"-6", "-s", "8000", addr6}} { // of IPv4, the driver loses long ones in fragments
		p.ping(t, args...)
	}
}

// TestTwoRuns of several workers beside each other.
func TestTwoRuns(t *testing.T) {
	needsHuge(t, 400)
	a, b := workers(t, 2), workers(t, 2)
	for _, p := range []*process{a, b} {
		if count := p.shares(t, 100); !fair(count, 2) {
			t.Errorf("connections by worker: %v", count)
		}
	}
}
