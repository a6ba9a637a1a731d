//go:build !nodpdk

package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fstack-go/fstack/internal/hugepages"
)

// TestGraceful asks the program to end while a request is in flight: that one finishes, new ones are refused.
func TestGraceful(t *testing.T) { eachTCP(t, testGraceful) }

func testGraceful(t *testing.T, tcp string) {
	needs(t)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			p := serve(t, "server", tcp)
			c := p.client(t)
			if _, err := get(c, "http://"+addr4+"/"); err != nil { // a connection that will be idle
				t.Fatal(err)
			}
			answer := make(chan string, 1)
			go func() {
				text, err := get(p.client(t), "http://"+addr4+"/slow?for=1500ms")
				answer <- fmt.Sprint(text, err)
			}()
			time.Sleep(300 * time.Millisecond)
			p.cmd.Process.Signal(s)
			time.Sleep(300 * time.Millisecond)
			if conn, err := p.dial("tcp", addr4+":80"); err == nil {
				conn.Close()
				t.Error("a new connection was accepted while the program ends")
			}
			if got := <-answer; got != "at last\n<nil>" {
				t.Errorf("the request in flight got %q", got)
			}
			if !p.ended(5*time.Second) || p.err != nil {
				t.Errorf("the program ended with %v", p.err)
			}
			if left := leftovers(p.prefix); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestLastBytes: what was written just before the end still arrives.
func TestLastBytes(t *testing.T) { eachTCP(t, testLastBytes) }

func testLastBytes(t *testing.T, tcp string) {
	needs(t)
	p := serve(t, "server", tcp)
	conn, err := p.dial("tcp", addr4+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	const size = 4 << 20
	fmt.Fprintf(conn, "GET /bytes?n=%d HTTP/1.1\r\nHost: x\r\n\r\n", size)
	io.ReadFull(conn, make([]byte, 64<<10))
	p.cmd.Process.Signal(syscall.SIGTERM)
	if n, err := io.Copy(io.Discard, conn); err != nil || n < size-64<<10 {
		t.Errorf("%d bytes, then %v", n, err)
	}
	if !p.ended(5*time.Second) || p.err != nil {
		t.Errorf("the program ended with %v", p.err)
	}
}

// TestSecondSignal: the first waits for the request, the second does not.
func TestSecondSignal(t *testing.T) {
	needs(t)
	p := serve(t, "server")
	go get(p.client(t), "http://"+addr4+"/slow?for=60s")
	time.Sleep(300 * time.Millisecond)
	p.cmd.Process.Signal(syscall.SIGINT)
	if p.ended(time.Second) {
		t.Fatal("the program did not wait for the request in flight")
	}
	p.cmd.Process.Signal(syscall.SIGINT)
	if !p.ended(3 * time.Second) {
		t.Fatal("the program did not end at the second signal")
	}
	if p.err == nil || !strings.Contains(p.out.String(), "the application was still running") {
		t.Errorf("%v\n%s", p.err, p.out)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDeadline: a request that takes too long does not hold the end up for ever.
func TestDeadline(t *testing.T) {
	needs(t)
	if testing.Short() {
		t.Skip("takes 11 s")
	}
	p := serve(t, "server")
	go get(p.client(t), "http://"+addr4+"/slow?for=60s")
	time.Sleep(300 * time.Millisecond)
	p.cmd.Process.Signal(syscall.SIGTERM)
	if p.ended(9 * time.Second) {
		t.Error("the program did not wait for the request in flight")
	}
	if !p.ended(4*time.Second) || p.err == nil || !strings.Contains(p.out.String(), "did not return within 10s") {
		t.Errorf("%v\n%s", p.err, p.out)
	}
}

// TestNothingIsLeft: no namespace, TAP, lock, EAL or hugepage file stays, also after kill -9 and another run.
func TestNothingIsLeft(t *testing.T) {
	needs(t)
	p := serve(t, "http")
	if left := leftovers(p.prefix); len(left) == 0 {
		t.Error("the check for what is left sees nothing of a running program")
	}
	p.cmd.Process.Signal(syscall.SIGINT)
	if !p.ended(5*time.Second) || p.err != nil {
		t.Errorf("the program ended with %v\n%s", p.err, p.out)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	p = serve(t, "http")
	p.cmd.Process.Kill()
	<-p.exited
	again := p.again()
	again.start(t)
	again.ready(t, "try: ")
	again.cmd.Process.Signal(syscall.SIGINT)
	if !again.ended(5*time.Second) || again.err != nil {
		t.Errorf("the program ended with %v\n%s", again.err, again.out)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind by a run that was killed and one that was not: %v", left)
	}
}

// TestHugepages: a run takes hugepages and gives them back, also after kill -9 and another run.
func TestHugepages(t *testing.T) {
	needsHuge(t, 256)
	before := hugepages.Free()
	p := serve(t, "http", "no_huge=0")
	if now := hugepages.Free(); now >= before {
		t.Errorf("%d MB of hugepages are free, as before", now)
	}
	if live, err := get(p.client(t), "http://"+addr4+"/live"); err != nil || !strings.Contains(live, "<td>hugepages</td>") {
		t.Error(live, err)
	}
	p.cmd.Process.Kill()
	<-p.exited
	p = p.again()
	p.start(t)
	p.ready(t, "try: ")
	p.cmd.Process.Signal(syscall.SIGINT)
	if !p.ended(5*time.Second) || p.err != nil {
		t.Errorf("the program ended with %v\n%s", p.err, p.out)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPanic: a program that panics shows where, and still gives everything back.
func TestPanic(t *testing.T) {
	needs(t)
	p := prepare(t, "server")
	p.cmd.Args = append(p.cmd.Args, "-panic")
	p.start(t)
	if !p.ended(10*time.Second) || p.err == nil {
		t.Fatal("the program did not end, or with success")
	}
	if said := p.out.String(); !strings.Contains(said, "panic: as it was asked to") || !strings.Contains(said, "server/main.go") {
		t.Error(said)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestForeignNamespace: a namespace that was there before stays.
func TestForeignNamespace(t *testing.T) {
	needs(t)
	name := fmt.Sprintf("fst-it-%d-own", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	defer exec.Command("ip", "netns", "del", name).Run()
	p := prepare(t, "http", "netns="+name)
	p.netns = name
	p.start(t)
	p.ready(t, "try: ")
	if _, err := get(p.client(t), "http://"+addr4+"/live"); err != nil {
		t.Error(err)
	}
	p.cmd.Process.Signal(syscall.SIGINT)
	if !p.ended(5 * time.Second) {
		t.Fatal("the program did not end")
	}
	if _, err := os.Stat(filepath.Join("/run/netns", name)); err != nil {
		t.Error("a namespace that was there before is gone: ", err)
	}
}
