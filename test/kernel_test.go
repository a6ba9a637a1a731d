//go:build !nodpdk

package test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/test/stream"
)

// eachTCP runs a test over gVisor's TCP and over our own.
func eachTCP(t *testing.T, test func(t *testing.T, tcp string)) {
	for _, tcp := range []string{"tcp=netstack", "tcp=fstack"} {
		t.Run(tcp, func(t *testing.T) { test(t, tcp) })
	}
}

func TestCurl(t *testing.T) { eachTCP(t, testCurl) }

func testCurl(t *testing.T, tcp string) {
	needs(t, "curl")
	p := serve(t, "http", tcp)
	for _, host := range []string{addr4, "[" + addr6 + "]"} {
		page := p.inside(t, "curl", "-sS", "--max-time", "10", "http://"+host+"/")
		for _, want := range []string{"<th>lcore</th><td>0", "<code>net_tap0</code>", "driver net_tap", addr4, addr6, "turns of the loop", "frames received", "fstack0"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page has no %q:\n%s", host, want, page)
			}
		}
		if live := p.inside(t, "curl", "-sS", "--max-time", "10", "http://"+host+"/live"); !strings.HasPrefix(live, `<main id="live">`) || strings.Contains(live, "<html") {
			t.Errorf("%s: the live part is\n%s", host, live)
		}
	}
}

// TestFStackFile starts a program with the file that F-Stack ships, with no change but the device.
func TestFStackFile(t *testing.T) {
	needs(t)
	p := prepare(t, "http")
	path := p.cmd.Args[2]
	b, err := os.ReadFile("../config/testdata/fstack.ini")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "nb_vdev=0", "nb_vdev=1\nfile_prefix="+p.prefix, 1)
	text += "\n[vdev0]\ndevargs=net_tap0,iface=fstack0\nnetns=" + p.netns + "\nkernel_addr=192.168.1.1/24\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	p.ready(t, "try: ")
	if live, err := get(p.client(t), "http://"+addr4+"/live"); err != nil || !strings.Contains(live, "idle=poll") {
		t.Error(live, err)
	}
	for _, want := range []string{"[dpdk] vlan_filter: has no effect", "[dpdk] pkt_tx_delay: has no effect", "[freebsd.sysctl]: these have no effect with tcp=fstack: "} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in what the program says", want)
		}
	}
	t.Log(p.out)
}

// TestBrowser has Chromium render the page: its script has replaced the live part, so the request count has moved.
func TestBrowser(t *testing.T) {
	needs(t, "chromium")
	p := serve(t, "http")
	chromium := func(args ...string) string {
		return p.inside(t, "chromium", append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir(), "--virtual-time-budget=6000"}, args...)...)
	}
	page := chromium("--dump-dom", "http://"+addr4+"/")
	n := regexp.MustCompile(`request (\d+) since the start`).FindStringSubmatch(page)
	if n == nil || !strings.Contains(page, "net_tap0") {
		t.Fatalf("the page is\n%s", page)
	}
	if count, _ := strconv.Atoi(n[1]); count < 2 {
		t.Errorf("after 6 s the page shows request %d: its live part was not fetched", count)
	}
	picture := filepath.Join(t.TempDir(), "page.png")
	chromium("--screenshot="+picture, "--window-size=900,900", "http://["+addr6+"]/")
	if b, err := os.ReadFile(picture); err != nil || len(b) < 10_000 {
		t.Errorf("a picture of %d bytes (%v)", len(b), err)
	}
}

func TestPing(t *testing.T) {
	needs(t, "ping")
	p := serve(t, "server")
	for _, args := range [][]string{
		{"-c", "20", "-i", "0.05", "-W", "2", addr4},
		{"-6", "-c", "20", "-i", "0.05", "-W", "2", addr6},
		{"-c", "5", "-i", "0.05", "-W", "2", "-s", "8000", addr4}, // fragments, both ways
		{"-6", "-c", "5", "-i", "0.05", "-W", "2", "-s", "8000", addr6},
	} {
		out := p.inside(t, "ping", args...)
		if !strings.Contains(out, " 0% packet loss") {
			t.Errorf("ping %v:\n%s", args, out)
		}
		// idle=adaptive sleeps between the pings: what it takes to wake up is in the time, as are the machine's other
		// programs. So it is told, not judged.
		var ms []float64
		for _, m := range regexp.MustCompile(`time=([\d.]+) ms`).FindAllStringSubmatch(out, -1) {
			f, _ := strconv.ParseFloat(m[1], 64)
			ms = append(ms, f)
		}
		if slices.Sort(ms); len(ms) == 0 {
			t.Errorf("ping %v tells no times:\n%s", args, out)
		} else {
			t.Logf("ping %v: %v ms in the median", args, ms[len(ms)/2])
		}
	}
}

// TestIdle: with idle=adaptive a program that has nothing to do takes next to no CPU time.
func TestIdle(t *testing.T) {
	needs(t)
	p := serve(t, "server")
	time.Sleep(time.Second) // duplicate address detection, router solicitations
	const span, most = 3 * time.Second, 3 * time.Second * 3 / 100
	var used time.Duration
	for range 3 { // on a machine that others use, too, waking up may cost more for a while
		before := cpuTime(t, p.cmd.Process.Pid)
		time.Sleep(span)
		used = cpuTime(t, p.cmd.Process.Pid) - before
		t.Logf("%v of CPU time in %v", used, span)
		if used <= most {
			return
		}
	}
	t.Errorf("%v of CPU time in %v, want at most %v", used, span, most)
}

// cpuTime is what all threads of a process have used: proc(5), fields 14 and 15 of stat, in 1/100 s.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * time.Second / 100
}

func TestWrk(t *testing.T) { eachTCP(t, testWrk) }

func testWrk(t *testing.T, tcp string) {
	needs(t, "wrk")
	p := serve(t, "server", tcp)
	out := p.inside(t, "wrk", "-t1", "-c256", "-d3s", "--timeout", "5s", "http://"+addr4+"/")
	t.Log(out)
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Error("not all requests were served")
	}
	rate := regexp.MustCompile(`Requests/sec: +([\d.]+)`).FindStringSubmatch(out)
	if rate == nil {
		t.Fatal("wrk gives no rate")
	}
	if r, _ := strconv.ParseFloat(rate[1], 64); r < 100 {
		t.Errorf("%v requests/s", r)
	}
}

// TestBulk moves 1 GiB each way and compares checksums.
func TestBulk(t *testing.T) { eachTCP(t, testBulk) }

func testBulk(t *testing.T, tcp string) {
	needs(t)
	p := serve(t, "server", tcp)
	c := p.client(t)
	const size = 1 << 30
	want := sha256.New()
	io.Copy(want, stream.New(1, size))

	start := time.Now()
	r, err := c.Get(fmt.Sprintf("http://%s/bytes?n=%d", addr4, size))
	if err != nil {
		t.Fatal(err)
	}
	got := sha256.New()
	n, err := io.CopyBuffer(got, r.Body, make([]byte, 256<<10))
	r.Body.Close()
	if err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("received %d bytes (%v), SHA-256 %x, want %x", n, err, got.Sum(nil), want.Sum(nil))
	}
	t.Logf("from the stack: %.2f Gbit/s", float64(size)*8/time.Since(start).Seconds()/1e9)

	start = time.Now()
	r, err = c.Post("http://["+addr6+"]/sum", "application/octet-stream", stream.New(1, size))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if w := fmt.Sprintf("%d %x", size, want.Sum(nil)); err != nil || string(text) != w {
		t.Errorf("sent: %s (%v), want %s", text, err, w)
	}
	t.Logf("to the stack: %.2f Gbit/s", float64(size)*8/time.Since(start).Seconds()/1e9)
}

func TestUDPEcho(t *testing.T) {
	needs(t)
	p := serve(t, "server")
	for _, host := range []string{addr4, "[" + addr6 + "]"} {
		c, err := p.dial("udp", host+":7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		for _, size := range []int{0, 1, 1472, 1473, 8000, 60_000} { // the larger ones go in fragments
			want, _ := io.ReadAll(stream.New(uint64(size), int64(size)))
			if _, err := c.Write(want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 65536)
			n, err := c.Read(got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Fatalf("%s: %d bytes came back as %d (%v)", host, size, n, err)
			}
		}
	}
}

func TestTCPEcho(t *testing.T) { eachTCP(t, testTCPEcho) }

func testTCPEcho(t *testing.T, tcp string) {
	needs(t)
	p := serve(t, "server", tcp)
	c, err := p.dial("tcp", addr4+":7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	const size = 8 << 20
	go func() {
		io.Copy(c, stream.New(3, size))
		c.(*net.TCPConn).CloseWrite() // the far side still sends
	}()
	got, want := sha256.New(), sha256.New()
	io.Copy(want, stream.New(3, size))
	if n, err := io.Copy(got, c); err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes came back (%v), or not the same", n, err)
	}
}

// TestNoLeak connects and closes 1,000 times, from both ends, and looks at what is in use.
func TestNoLeak(t *testing.T) { eachTCP(t, testNoLeak) }

func testNoLeak(t *testing.T, tcp string) {
	needs(t)
	p := serve(t, "server", tcp)
	c := p.client(t)
	round := func(n int) {
		for i := range n {
			conn, err := p.dial("tcp", addr4+":7")
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			fmt.Fprintf(conn, "connection %d", i)
			if _, err := conn.Read(make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if i%10 == 0 { // the stack closes first
				conn, err := p.dial("tcp", addr4+":80")
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n")
				io.Copy(io.Discard, conn)
				conn.Close()
			}
		}
	}
	settled := func() (s stats) {
		for range 30 { // connections end, buffers come back
			if s = p.stats(t, c); s.Goroutines < 40 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		return s
	}
	round(200) // pools and tables have their size
	before := settled()
	round(1000)
	after := settled()
	t.Logf("before: %d goroutines, %d heap bytes, %d mbufs; after: %d, %d, %d", before.Goroutines, before.HeapBytes, before.Mbufs, after.Goroutines, after.HeapBytes, after.Mbufs)
	if after.Goroutines > before.Goroutines+2 {
		t.Errorf("goroutines grew from %d to %d", before.Goroutines, after.Goroutines)
	}
	if after.Mbufs > before.Mbufs+64 { // a burst may be on its way
		t.Errorf("mbufs in use grew from %d to %d", before.Mbufs, after.Mbufs)
	}
	if after.HeapBytes > before.HeapBytes+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes in 1,100 connections", before.HeapBytes, after.HeapBytes)
	}
}
