package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fstack-go/fstack/posix"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
)

// serveOn runs the server over a stack that has loopback alone, with our own TCP or gVisor's, and returns a table for
// its clients.
func serveOn(t *testing.T, own bool, port int) *posix.Table {
	t.Helper()
	base := time.Now()
	st := stack.New(func() int64 { return int64(time.Since(base)) })
	n, err := netstack.New(st, netstack.Config{TCP: !own})
	if err != nil {
		t.Fatal(err)
	}
	var socks stack.Sockets = n
	if own {
		o, err := tcp.New(st, n, tcp.Config{Connections: 1024, Memory: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Destroy() })
		st.AddLayer(o)
		socks = o
	}
	st.AddLayer(n)
	posix.Use(posix.New(st, socks))
	clients := posix.New(st, socks)

	failed := make(chan error, 1)
	up := make(chan struct{})
	var s *server
	posix.Default().Serve(func() (err error) {
		if s == nil {
			if s, err = listen(port); err != nil {
				return err
			}
			close(up)
		}
		return s.turn()
	}, func(err error) { failed <- err })
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- st.Loop(stack.IdleAdaptive, stop) }()
	t.Cleanup(func() {
		close(stop)
		st.Kick()
		<-done
		n.Destroy()
		select {
		case err := <-failed:
			t.Error(err)
		default:
		}
	})
	select {
	case <-up:
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(5 * time.Second):
		t.Fatal("the server does not come up")
	}
	return clients
}

// client is a connection to the server, as a reader and writer that block.
type client struct {
	t  *testing.T
	p  *posix.Table
	fd int
	*bufio.Reader
}

func dial(t *testing.T, p *posix.Table, port int) *client {
	t.Helper()
	fd, err := p.Socket(posix.AF_INET, posix.SOCK_STREAM, 0)
	if err == nil {
		err = p.Connect(fd, &posix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
	}
	if err == nil {
		err = p.SetsockoptTimeval(fd, posix.SOL_SOCKET, posix.SO_RCVTIMEO, &posix.Timeval{Sec: 5})
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, p: p, fd: fd}
	c.Reader = bufio.NewReader(c)
	return c
}

func (c *client) Read(p []byte) (int, error) {
	n, err := c.p.Read(c.fd, p)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (c *client) send(s string) {
	c.t.Helper()
	if n, err := c.p.Write(c.fd, []byte(s)); n != len(s) || err != nil {
		c.t.Fatalf("write: %d, %v", n, err)
	}
}

// want reads an answer.
func (c *client) want(status int, method string) *http.Response {
	c.t.Helper()
	r, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.StatusCode != status {
		c.t.Fatalf("status %d, want %d", r.StatusCode, status)
	}
	if status == 200 && method == "GET" && string(body) != page {
		c.t.Fatalf("another page: %q", body)
	}
	if date, err := http.ParseTime(r.Header.Get("Date")); err != nil || time.Since(date) > time.Minute {
		c.t.Errorf("date %q: %v", r.Header.Get("Date"), err)
	}
	return r
}

func (c *client) wantEnd() {
	c.t.Helper()
	if b, err := c.ReadByte(); err != io.EOF {
		c.t.Fatalf("read %q, %v, want the end", b, err)
	}
	c.p.Close(c.fd)
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func TestServerOverNetstack(t *testing.T) { testServer(t, false) }

func TestServerOverTCP(t *testing.T) { testServer(t, true) }

func testServer(t *testing.T, own bool) {
	p := serveOn(t, own, 80)
	for name, test := range map[string]func(c *client){
		"keep-alive": func(c *client) {
			for range 3 {
				c.send(get)
				c.want(200, "GET")
			}
		},
		"pipelining": func(c *client) {
			c.send(strings.Repeat(get, 1000))
			for range 1000 {
				c.want(200, "GET")
			}
		},
		"byte by byte": func(c *client) {
			for _, b := range get + get {
				c.send(string(b))
				time.Sleep(100 * time.Microsecond)
			}
			c.want(200, "GET")
			c.want(200, "GET")
		},
		"split between requests": func(c *client) {
			c.send(get + get[:10])
			c.want(200, "GET")
			c.send(get[10:])
			c.want(200, "GET")
		},
		"close": func(c *client) {
			c.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n")
			if r := c.want(200, "GET"); !r.Close {
				t.Error("the answer does not say that the connection is closed")
			}
			c.wantEnd()
		},
		"HTTP/1.0": func(c *client) {
			c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			c.want(200, "GET")
			c.send("GET / HTTP/1.0\r\n\r\n")
			c.want(200, "GET")
			c.wantEnd()
		},
		"HEAD and content": func(c *client) {
			c.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
			c.want(200, "HEAD")
			c.send("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("x", 30000) + get)
			c.want(200, "GET")
			c.want(200, "GET")
		},
		"half-close": func(c *client) {
			c.send(get + get)
			c.p.Shutdown(c.fd, posix.SHUT_WR)
			c.want(200, "GET")
			c.want(200, "GET")
			c.wantEnd()
		},
		"bad request": func(c *client) {
			c.send(get + "BAD\r\n\r\n" + get + strings.Repeat("more", 5000))
			c.want(200, "GET")
			c.want(400, "GET")
			c.p.Shutdown(c.fd, posix.SHUT_WR)
			c.wantEnd()
		},
		"too long": func(c *client) {
			c.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*headerMax))
			c.want(431, "GET")
			c.p.Shutdown(c.fd, posix.SHUT_WR)
			c.wantEnd()
		},
		"the peer does not read": func(c *client) {
			const n = 60_000 // 40 MB of answers
			go func() {
				for range n / 100 {
					c.send(strings.Repeat(get, 100))
				}
			}()
			time.Sleep(100 * time.Millisecond)
			for range n {
				c.want(200, "GET")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, p, 80)
			test(c)
			p.Close(c.fd)
		})
	}
}

func TestAnswerIsAbout650Bytes(t *testing.T) {
	var a answers
	a.refresh(time.Now())
	if n := len(a.of(request{status: 200})); n < 630 || n > 670 {
		t.Errorf("%d bytes", n)
	}
}

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		text    string
		status  int // 0: not whole
		close   bool
		content int64
	}{
		{get, 200, false, 0},
		{"\r\n\r\n" + get, 200, false, 0},
		{get[:len(get)-1], 0, false, 0},
		{"", 0, false, 0},
		{"\r\n", 0, false, 0},
		{"GET / HTTP/1.1\r\n\r\n", 400, false, 0}, // no Host
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.0\r\n\r\n", 200, true, 0},
		{"GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", 200, false, 0},
		{"GET / HTTP/1.1\r\nhOsT:x\r\nCONNECTION:\tclose \r\n\r\n", 200, true, 0},
		{"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 200, false, 0},
		{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, false, 0},
		{"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400, false, 0},
		{"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400, false, 0},
		{"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, false, 0},
		{"GET /\r\n\r\n", 400, false, 0},
		{"\n\r\n\r\n", 400, false, 0},
		{"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\n\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\n:\r\n\r\n", 400, false, 0},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n", 405, false, 7},
		{"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n", 200, false, 7},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n", 400, false, 7},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -7\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +7\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400, false, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501, false, 0},
	} {
		r, size := parse([]byte(c.text))
		if size == 0 && c.status == 0 {
			continue
		}
		if size != len(c.text) && c.status == 200 || r.status != c.status || r.close != c.close && r.status == 200 || r.content != c.content {
			t.Errorf("%q: %+v, %d bytes, want status %d", c.text, r, size, c.status)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(get))
	f.Add([]byte("POST / HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive, close\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, size := parse(data)
		if size < 0 || size > len(data) {
			t.Fatalf("size %d of %d", size, len(data))
		}
		if whole := bytes.Contains(data, []byte("\n\r\n")); size > 0 && !whole {
			t.Fatal("a request that is not whole was taken")
		}
		if size == 0 {
			return
		}
		var a answers
		a.refresh(time.Now())
		if len(a.of(r)) == 0 {
			t.Fatalf("no answer to %+v", r)
		}
		if again, n := parse(append(append([]byte(nil), data[:size]...), "rest"...)); n != size || again != r {
			t.Fatalf("with other bytes after it: %+v and %+v", r, again)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	request := []byte("GET / HTTP/1.1\r\nHost: 192.168.1.2\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n")
	s := &server{}
	s.page.refresh(time.Now())
	var c conn
	if b.Elapsed(); len(s.answer(&c, request)) != 0 || !bytes.HasPrefix(s.out, []byte("HTTP/1.1 200")) {
		b.Fatalf("%q", s.out)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.answer(&c, request)
	}
}
