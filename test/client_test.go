//go:build !nodpdk

package test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fstack-go/fstack/test/netns"
)

// dial connects from the kernel's side.
func (p *process) dial(network, addr string) (net.Conn, error) {
	return p.dialWithin(network, addr, 5*time.Second)
}

func (p *process) dialWithin(network, addr string, timeout time.Duration) (conn net.Conn, err error) {
	path := fmt.Sprintf("/proc/%d/root/run/netns/%s", cmp.Or(p.root, p.cmd.Process.Pid), p.netns) // as the process sees it
	err = netns.Do(path, func() error {
		conn, err = net.DialTimeout(network, addr, timeout)
		return err
	})
	return conn, err
}

// client is an HTTP client on the kernel's side.
func (p *process) client(t *testing.T) *http.Client {
	transport := &http.Transport{
		DialContext:     func(_ context.Context, network, addr string) (net.Conn, error) { return p.dial(network, addr) },
		WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Minute}
}

func get(c *http.Client, url string) (string, error) {
	r, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// stats is what test/server says of itself.
type stats struct {
	Goroutines int
	HeapBytes  uint64
	Mbufs      int
	Counters   map[string]uint64
}

func (p *process) stats(t *testing.T, c *http.Client) (s stats) {
	t.Helper()
	text, err := get(c, "http://"+addr4+"/stats")
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}
