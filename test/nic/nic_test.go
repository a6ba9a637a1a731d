//go:build !nodpdk

package nic

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/test/netns"
)

const (
	addr4 = "192.168.1.2"
	addr6 = "[fd00:192:168:1::2]"
	card  = "0000:00:03.0"
)

// configFile is a config for the guest's card.
func configFile(mask, idle string) []byte {
	return fmt.Appendf(nil, `[dpdk]
lcore_mask=%s
no_huge=0
memory=128
file_prefix=nic
allow=%s
port_list=0
[stack]
idle=%s
log_level=debug
[port0]
addr=192.168.1.2
netmask=255.255.255.0
gateway=192.168.1.1
addr6=fd00:192:168:1::2
prefix_len=64
gateway6=fd00:192:168:1::1
[freebsd.sysctl]
net.inet6.ip6.dad_count=0
`, mask, card, idle)
}

// programs builds the programs under test into a directory for the guest.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "../server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// start has the guest serve with a config.
func (v *vm) start(share string, config []byte) {
	v.t.Helper()
	before := len(v.log())
	name := fmt.Sprintf("/nic%d.ini", before) // a new one each time: the guest keeps what it has seen of a file
	if err := os.WriteFile(share+name, config, 0o644); err != nil {
		v.t.Fatal(err)
	}
	v.do(Command{Start: []string{"/tmp/share/server", "-c", "/tmp/share" + name}})
	v.awaitAfter(before, "\nready\n", 3*time.Minute)
}

// twoServe waits until both workers of a run that has just begun serve.
func (v *vm) twoServe(from int) {
	v.t.Helper()
	for _, slot := range []string{"0", "1"} {
		v.awaitAfter(from, `msg="worker serves" pid=`, 3*time.Minute)
		for start := time.Now(); !regexp.MustCompile(`msg="worker serves" pid=\d+ slot=` + slot).MatchString(v.log()[from:]); time.Sleep(50 * time.Millisecond) {
			if time.Since(start) > 3*time.Minute {
				v.t.Fatalf("worker %s does not serve:\n%s", slot, v.log()[from:])
			}
		}
	}
}

// pools checks that each of two workers, whose CPUs are of a NUMA node each, has its mbufs there: all other memory that
// they share is on the supervisor's node.
func (v *vm) pools(from int) {
	v.t.Helper()
	pid := regexp.MustCompile(`msg="worker serves" pid=\d+ slot=1 lcore=1 worker=(\d+)`).FindStringSubmatch(v.log()[from:])[1]
	pages := map[string]int{}
	maps := v.run("/bin/cat", "/proc/"+pid+"/numa_maps")
	for l := range strings.Lines(maps) {
		if strings.Contains(l, " huge ") {
			for _, m := range regexp.MustCompile(` (N\d)=(\d+)`).FindAllStringSubmatch(l, -1) {
				n, _ := strconv.Atoi(m[2])
				pages[m[1]] += n
			}
		}
	}
	if pool := 4095 * (2048 + 128 + 128) >> 21; pages["N0"] < pool || pages["N1"] < pool || pages["N1"] > 3*pool {
		v.t.Errorf("hugepages by NUMA node: %v, want %d or some more on N1, the rest on N0:\n%s", pages, pool, maps)
	}
	v.t.Logf("hugepages by NUMA node: %v", pages)
}

// end has the server end as it should, and returns what it counted, by the lcore's number and the counter's place and name.
func (v *vm) end() map[string]uint64 {
	v.t.Helper()
	before := len(v.log())
	v.do(Command{Signal: "server", With: 15})
	if r := v.do(Command{Signal: "server"}); r.Code != 0 {
		v.t.Errorf("the server ended with status %d:\n%s", r.Code, v.log())
	}
	counted := map[string]uint64{}
	for _, m := range lastWords.FindAllStringSubmatch(v.log()[before:], -1) {
		n, _ := strconv.ParseUint(m[4], 10, 64)
		counted[m[1]+" "+strings.Trim(m[2], `"`)+" "+m[3]] += n
	}
	return counted
}

var lastWords = regexp.MustCompile(`msg=counted .*?lcore=(\d+) .*?where=("[^"]*"|\S+) name=(\S+) value=(\d+)`)

// serves checks that curl, ping and wrk get what they want.
func serves(t *testing.T, ns string) {
	t.Helper()
	for _, host := range []string{addr4, addr6} {
		if out, err := in(t, ns, "curl", "-gsS", "-m", "10", "http://"+host+"/"); err != nil || out != "hello from fstack\n" {
			t.Errorf("curl %s: %v: %q", host, err, out)
		}
	}
	if out, err := in(t, ns, "ping", "-c", "5", "-i", "0.2", "-W", "2", addr4); err != nil {
		t.Errorf("ping: %v: %s", err, out)
	}
	out, err := in(t, ns, "curl", "-gsS", "-m", "30", "-o", "/dev/null", "-w", "%{size_download}", "http://"+addr4+"/bytes?n=10000000")
	if err != nil || out != "10000000" {
		t.Errorf("10 MB: %v: %s", err, out)
	}
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Log("without wrk")
		return
	}
	out, err = in(t, ns, "wrk", "-t1", "-c32", "-d2", "http://"+addr4+"/")
	if err != nil || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Errorf("wrk: %v: %s", err, out)
	}
}

// TestCard drives one queue of the card, by polling and by the card's receive interrupt.
func TestCard(t *testing.T) {
	ns := newNetns(t)
	share := programs(t)
	v := boot(t, ns, "nic0", share, 2)
	for _, idle := range []string{"poll", "adaptive"} {
		v.start(share, configFile("1", idle))
		serves(t, ns)
		counted := v.end()
		if counted["0 tcp Accepted"] < 34 || counted["0 port 0 RxPackets"] == 0 {
			t.Errorf("idle=%s: counted %v", idle, counted)
		}
		if slept := counted["0 loop Sleeps"] > 0; slept != (idle == "adaptive") {
			t.Errorf("idle=%s: slept %t", idle, slept)
		}
	}
	if t.Failed() {
		t.Log(v.log())
	}
}

// TestWorkers has two processes drive a queue of the card each. The card's RSS and ours agree about every flow: no frame
// of a connection crosses from one to the other, whoever opened it.
func TestWorkers(t *testing.T) {
	ns := newNetns(t)
	echo(t, ns)
	share := programs(t)
	v := boot(t, ns, "nic0", share, 2)
	from := len(v.log())
	v.start(share, configFile("3", "adaptive"))
	v.twoServe(from)
	v.pools(from)
	serves(t, ns)
	for _, host := range []string{addr4, addr6} { // a connection for each request
		for range 100 {
			if out, err := in(t, ns, "curl", "-gsS", "-m", "10", "http://"+host+"/"); err != nil || out != "hello from fstack\n" {
				v.end()
				t.Fatalf("curl %s: %v: %q\n%s", host, err, out, v.log())
			}
		}
	}
	for range 8 { // each request is some worker's
		for _, far := range []string{"192.168.1.1:7", "[fd00:192:168:1::1]:7"} {
			if out, err := in(t, ns, "curl", "-gsS", "-m", "30", "http://"+addr4+"/out?n=25&to="+far); err != nil || out != "25 connections" {
				t.Fatalf("connects to %s: %v: %q", far, err, out)
			}
		}
	}
	counted := v.end()
	for _, lcore := range []string{"0", "1"} {
		for _, name := range []string{"ToOwner", "ToListener", "ToFormer", "DropHand"} {
			if n := counted[lcore+" steering "+name]; n != 0 {
				t.Errorf("lcore %s: %s is %d", lcore, name, n)
			}
		}
		if n := counted[lcore+" tcp Accepted"]; n < 60 {
			t.Errorf("lcore %s has accepted %d connections of more than 240", lcore, n)
		}
		if n := counted[lcore+" tcp Established"] - counted[lcore+" tcp Accepted"]; n == 0 || n%25 != 0 {
			t.Errorf("lcore %s has connected %d times, want a multiple of 25", lcore, n)
		}
	}
	if t.Failed() {
		t.Log(v.log())
	}
}

// TestKilledWorker kills one of two workers. Its share of the card's flows goes to the other one at once, and comes back.
func TestKilledWorker(t *testing.T) {
	ns := newNetns(t)
	share := programs(t)
	v := boot(t, ns, "nic0", share, 2)
	from := len(v.log())
	v.start(share, configFile("3", "adaptive"))
	v.twoServe(from)
	pid := regexp.MustCompile(`msg="worker serves" pid=\d+ slot=1 lcore=1 worker=(\d+)`).FindStringSubmatch(v.log()[from:])[1]
	from = len(v.log())
	v.run("/bin/kill", "-9", pid)
	for i := range 40 { // at once, and while it is started again
		if out, err := in(t, ns, "curl", "-gsS", "-m", "10", "http://"+addr4+"/"); err != nil || out != "hello from fstack\n" {
			t.Errorf("curl %d after the kill: %v: %q", i, err, out)
		}
	}
	v.awaitAfter(from, `slot=1 lcore=1 worker=`, 3*time.Minute)
	v.awaitAfter(from, `msg="worker serves" pid=`, 3*time.Minute)
	serves(t, ns)
	counted := v.end()
	for _, lcore := range []string{"0", "1"} {
		if n := counted[lcore+" tcp Accepted"]; n < 5 {
			t.Errorf("lcore %s has accepted %d connections", lcore, n)
		}
	}
	if t.Failed() {
		t.Log(v.log())
	}
}

// echo has port 7 of the namespace return what it gets.
func echo(t *testing.T, ns string) {
	t.Helper()
	var l net.Listener
	if err := netns.Do("/run/netns/"+ns, func() (err error) {
		l, err = net.Listen("tcp", ":7")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
}
