//go:build !nodpdk

package test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/test/netns"
)

// meet has the kernel meet two workers with ten thousand connections each way.
func (p *process) meet(t *testing.T) {
	t.Helper()
	connections := 10_000
	if testing.Short() {
		connections = 1000
	}
	p.meetEach(t, 2, connections)
}

// meetEach has the kernel connect to workers and be connected to, so many times each way, and send what is no TCP.
func (p *process) meetEach(t *testing.T, workers, connections int) {
	t.Helper()
	p.connects(t, workers, connections)
	for _, args := range [][]string{{addr4}, {"-6", addr6}, {"-s", "8000", addr4}, {"-6", "-s", "8000", addr6}} {
		p.ping(t, args...)
	}
	for range 8 * workers / 2 { // from as many ports, so that all workers have some
		c, err := p.dial("udp", addr4+":7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, size := range []int{100, 8000} {
			c.SetDeadline(time.Now().Add(5 * time.Second))
			c.Write(make([]byte, size))
			if n, err := c.Read(make([]byte, 65536)); err != nil || n != size {
				t.Errorf("echo of %d bytes from %s: %d bytes, %v", size, c.LocalAddr(), n, err)
			}
		}
	}
}

// connects has the kernel connect to workers and be connected to, so many times each way.
func (p *process) connects(t *testing.T, workers, connections int) {
	t.Helper()
	start := time.Now()
	count := p.shares(t, connections)
	t.Logf("%d connections in, by worker: %v, in %v", connections, count, time.Since(start))
	if !fair(count, workers) {
		t.Errorf("connections by worker: %v", count)
	}

	var echo net.Listener
	if err := netns.Do("/run/netns/"+p.netns, func() (err error) {
		echo, err = net.Listen("tcp", "192.168.1.1:7")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	start = time.Now()
	for index := range workers { // each worker by itself
		c := p.clientOf(t, index)
		if text, err := get(c, fmt.Sprintf("http://%s/out?n=%d&to=192.168.1.1:7", addr4, connections/workers)); err != nil || text != fmt.Sprintf("%d connections", connections/workers) {
			t.Errorf("worker %d: %s %v", index, text, err)
		}
	}
	t.Logf("%d connections out in %v", connections, time.Since(start))
}

// ping sends ten pings, or some more if answers are late, and looks whether the first ten were answered.
func (p *process) ping(t *testing.T, args ...string) {
	t.Helper()
	out := p.inside(t, "ping", append([]string{"-c", "10", "-i", "0.05", "-w", "30"}, args...)...)
	for i := 1; i <= 10; i++ {
		if !strings.Contains(out, fmt.Sprintf(" icmp_seq=%d ttl=", i)) {
			t.Errorf("ping %v: no answer to %d\n%s", args, i, out)
			return
		}
	}
}
