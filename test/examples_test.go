//go:build !nodpdk

package test

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fstack-go/fstack/test/netns"
)

// The other examples, each over both TCPs, with the kernel's programs at the other end.

func TestEpoll(t *testing.T) { eachTCP(t, testEpoll) }

func testEpoll(t *testing.T, tcp string) {
	needs(t, "curl", "wrk")
	p := serve(t, "epoll", tcp)
	for _, host := range []string{addr4, "[" + addr6 + "]"} {
		if page := p.inside(t, "curl", "-sSi", "--max-time", "10", "http://"+host+"/"); !strings.HasPrefix(page, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: %s", host, page)
		}
	}
	out := p.inside(t, "wrk", "-t1", "-c64", "-d1s", "--timeout", "5s", "http://"+addr4+"/")
	t.Log(out)
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, "Requests/sec") {
		t.Error("not all requests were served")
	}
	p.cmd.Process.Signal(syscall.SIGINT)
	if !p.ended(5*time.Second) || p.err != nil {
		t.Errorf("the program ended with %v", p.err)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestHTTPS(t *testing.T) { eachTCP(t, testHTTPS) }

func testHTTPS(t *testing.T, tcp string) {
	needs(t, "curl")
	p := serve(t, "https", tcp)
	for flag, want := range map[string]string{"--http2": "HTTP/2.0 over TLS 1.3", "--http1.1": "HTTP/1.1 over TLS 1.3"} {
		if page := p.inside(t, "curl", "-sS", flag, "--insecure", "--max-time", "10", "https://"+addr4+"/"); !strings.Contains(page, want) {
			t.Errorf("curl %s: %s", flag, page)
		}
	}
}

// TestClient has the stack connect to a web server of the kernel's.
func TestClient(t *testing.T) { eachTCP(t, testClient) }

func testClient(t *testing.T, tcp string) {
	needs(t)
	p := prepare(t, "client", tcp)
	if out, err := exec.Command("ip", "netns", "add", p.netns).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	defer exec.Command("ip", "netns", "del", p.netns).Run()
	var listener net.Listener
	if err := netns.Do("/run/netns/"+p.netns, func() (err error) {
		listener, err = net.Listen("tcp", ":8000")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s from the kernel\n", r.URL.Path)
	}))
	p.cmd.Args = append(p.cmd.Args, "http://192.168.1.1:8000/greeting")
	p.start(t)
	if !p.ended(15*time.Second) || p.err != nil || !strings.Contains(p.out.String(), "hello /greeting from the kernel") {
		t.Errorf("%v\n%s", p.err, p.out)
	}
}
