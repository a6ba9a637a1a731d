//go:build !nodpdk

package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fstack-go/fstack/test/netns"
)

// shell runs commands in the namespace of the kernel's end, each a line of arguments.
func (p *process) shell(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		p.inside(t, "sh", "-c", l)
	}
}

// behind makes a namespace behind the kernel's end, and a link to it over which the kernel sends packets of up to mtu
// bytes; the far end does not know.
func (p *process) behind(t *testing.T, mtu int) (far string) {
	t.Helper()
	far = p.netns + "-far"
	if out, err := exec.Command("ip", "netns", "add", far).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", far).Run() })
	p.shell(t, "ip link add far type veth peer name near netns "+far,
		"ip addr add fe80::1/64 dev fstack0 nodad", // the kernel's own is that of the stack: net_tap gives both one MAC address
		"ip addr add 10.9.0.1/24 dev far", "ip addr add fd00:9::1/64 dev far nodad", fmt.Sprintf("ip link set far up mtu %d", mtu),
		"echo 1 > /proc/sys/net/ipv4/ip_forward", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
		"echo 0 > /proc/sys/net/ipv4/icmp_ratelimit", "echo 0 > /proc/sys/net/ipv6/icmp/ratelimit")
	for _, args := range []string{"addr add 10.9.0.2/24 dev near", "addr add fd00:9::2/64 dev near nodad", "link set near up",
		"route add default via 10.9.0.1", "-6 route add default via fd00:9::1"} {
		if out, err := exec.Command("ip", append([]string{"-n", far}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	return far
}

// TestPathMTUOfWorkers: an ICMP error "fragmentation needed", or "packet too big", comes to the worker whose connection
// it is about, wherever the kernel puts it.
func TestPathMTUOfWorkers(t *testing.T) {
	needsHuge(t, 300)
	const n = 4
	p := workers(t, n)
	far := p.behind(t, 1300)
	download := func(host string) (index int) {
		t.Helper()
		var c net.Conn
		if err := netns.Do("/run/netns/"+far, func() (err error) {
			c, err = net.DialTimeout("tcp", host+":80", 20*time.Second)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		index, _, err := askWho(c)
		if err != nil {
			t.Fatal(err)
		}
		const size = 100_000
		c.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(c, "GET /bytes?n=%d HTTP/1.1\r\nHost: x\r\n\r\n", size)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("worker %d, %s: %v", index, host, err)
		}
		defer r.Body.Close()
		if got, err := io.Copy(io.Discard, r.Body); err != nil || got != size {
			t.Fatalf("worker %d, %s: %d bytes, %v", index, host, got, err)
		}
		return index
	}
	for _, host := range []string{addr4, "[" + addr6 + "]"} {
		had := map[int]bool{}
		for range 200 {
			if had[download(host)] = true; len(had) == n {
				break
			}
		}
		if len(had) != n {
			t.Errorf("%s: of 200 connections the workers had some: %v", host, had)
		}
	}
	var crossed uint64
	for index := range n {
		c := p.stats(t, p.clientOf(t, index)).Counters
		if c["tcp PathMTUsReduced"] != 2 { // one of each version
			t.Errorf("worker %d has reduced %d path MTUs, and has had %d ICMP errors", index, c["tcp PathMTUsReduced"], c["tcp RxICMPErrors"])
		}
		crossed += c["steering Errors"]
	}
	if crossed == 0 {
		t.Error("no ICMP error arrived at another worker than that of its connection: nothing was tested")
	}
}

// TestNeighbourMoves: the kernel's end gets another MAC address, and says so once. It answers no ARP requests any more,
// so that a worker to which that did not come could not go on.
func TestNeighbourMoves(t *testing.T) {
	needsHuge(t, 300)
	const n = 4
	p := workers(t, n)
	type kept struct {
		net.Conn
		index int
	}
	var all []kept
	for _, host := range []string{addr4, "[" + addr6 + "]"} {
		had := map[int]bool{}
		for i := 0; i < 200 && (i < 16 || len(had) < n); i++ {
			c, err := p.dial("tcp", host+":80")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			index, _, err := askWho(c)
			if err != nil {
				t.Fatal(err)
			}
			all, had[index] = append(all, kept{c, index}), true
		}
		if len(had) != n {
			t.Fatalf("%s: of 200 connections the workers had some: %v", host, had)
		}
	}
	p.shell(t, "echo 1 > /proc/sys/net/ipv4/conf/fstack0/arp_notify", "echo 1 > /proc/sys/net/ipv6/conf/fstack0/ndisc_notify",
		"echo 8 > /proc/sys/net/ipv4/conf/fstack0/arp_ignore")
	for i := range 3 {
		p.shell(t, fmt.Sprintf("ip link set fstack0 address 02:00:00:00:99:%02d", i))
		for _, c := range all {
			if index, _, err := askWho(c.Conn); err != nil || index != c.index {
				t.Fatalf("move %d: connection of worker %d to %s: served by %d, %v", i, c.index, c.RemoteAddr(), index, err)
			}
		}
	}
}

// TestNeighbourLost: each worker finds out that nobody has an address, and its connects to it fail.
func TestNeighbourLost(t *testing.T) {
	needsHuge(t, 300)
	const n = 4
	p := workers(t, n)
	var all sync.WaitGroup
	for index := range n {
		for _, to := range []string{"192.168.1.99:7", "[fd00:192:168:1::99]:7"} {
			c := p.clientOf(t, index)
			all.Go(func() {
				r, err := c.Get("http://" + addr4 + "/out?n=1&to=" + to)
				if err != nil {
					t.Errorf("worker %d: %v", index, err)
					return
				}
				defer r.Body.Close()
				text, _ := io.ReadAll(r.Body)
				if r.StatusCode != http.StatusInternalServerError || !strings.Contains(string(text), "no route to host") {
					t.Errorf("worker %d: %s: %s %s", index, to, r.Status, text)
				}
			})
		}
	}
	all.Wait()
}
