package fstack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// serve runs an HTTP server on b until the test ends; the address is host:port.
func serve(t *testing.T, w world, server *http.Server, certs ...tls.Certificate) string {
	t.Helper()
	l := w.listen(t, "tcp", b4)
	server.ErrorLog = log.New(io.Discard, "", 0) // of connections that clients dialled and did not need
	done := make(chan error, 1)
	go func() {
		if certs != nil {
			server.TLSConfig = &tls.Config{Certificates: certs}
			done <- server.ServeTLS(l, "", "")
		} else {
			done <- server.Serve(l)
		}
	}()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return l.Addr().String()
}

func client(t *testing.T, w world, tr *http.Transport) *http.Client {
	tr.DialContext = w.a.DialContext
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func get(c *http.Client, url string) (string, *http.Response, error) {
	r, err := c.Get(url)
	if err != nil {
		return "", nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), r, err
}

var echo = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(rw, err.Error(), 500)
		return
	}
	fmt.Fprintf(rw, "%s %s %s %d %s", r.Proto, r.Method, r.URL.Path, len(body), r.RemoteAddr)
})

func TestHTTP(t *testing.T) { worlds(t, testHTTP) }

// TestHTTPWhilePolling has loops that never rest, on as few threads as a worker has, and on more.
func TestHTTPWhilePolling(t *testing.T) {
	wired(t, func(t *testing.T, own bool) {
		for _, procs := range []int{1, 4} {
			t.Run(fmt.Sprint(procs), func(t *testing.T) {
				old := runtime.GOMAXPROCS(procs)
				t.Cleanup(func() { runtime.GOMAXPROCS(old) })
				testHTTP(t, simWorld(t, own, simnet.Config{}, stack.IdlePoll))
			})
		}
	})
}

func testHTTP(t *testing.T, w world) {
	var accepted atomic.Int32
	addr := serve(t, w, &http.Server{
		Handler: echo, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				accepted.Add(1)
			}
		},
	})
	c := client(t, w, &http.Transport{})
	remote := ""
	for i := range 20 { // keep-alive: all over one connection
		body, _, err := get(c, fmt.Sprintf("http://%s/%d", addr, i))
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Fields(body)
		if len(parts) != 5 || parts[0] != "HTTP/1.1" || parts[2] != fmt.Sprintf("/%d", i) {
			t.Fatalf("the answer is %q", body)
		}
		if remote == "" {
			remote = parts[4]
		}
		if parts[4] != remote {
			t.Errorf("request %d came from %s, the first from %s", i, parts[4], remote)
		}
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections for 20 requests in a row", n)
	}
	r, err := c.Post("http://"+addr+"/post", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if !strings.HasPrefix(string(body), "HTTP/1.1 POST /post 1048576 ") {
		t.Errorf("the answer is %q", body)
	}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if _, _, err := get(c, fmt.Sprintf("http://%s/parallel/%d", addr, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// certificate is the one that httptest's servers use, and what trusts it.
func certificate() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

func TestHTTPS(t *testing.T) {
	cert, pool := certificate()
	worlds(t, func(t *testing.T, w world) {
		addr := serve(t, w, &http.Server{Handler: echo}, cert)
		for _, h2 := range []bool{false, true} {
			c := client(t, w, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}, ForceAttemptHTTP2: h2})
			want := "HTTP/1.1 GET /"
			if h2 {
				want = "HTTP/2.0 GET /"
			}
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					body, _, err := get(c, "https://"+addr+"/")
					if err != nil || !strings.HasPrefix(body, want) {
						t.Errorf("the answer is %q, %v, want %s", body, err, want)
					}
				})
			}
			wg.Wait()
			c.CloseIdleConnections()
		}
	})
}

func TestShutdownFinishesRequests(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		const inFlight = 5
		var arrived sync.WaitGroup
		arrived.Add(inFlight)
		release := make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			arrived.Done()
			<-release
			io.WriteString(rw, "finished")
		})}
		addr := serve(t, w, server)
		c := client(t, w, &http.Transport{})
		var requests sync.WaitGroup
		for range inFlight {
			requests.Go(func() {
				if body, _, err := get(c, "http://"+addr); body != "finished" || err != nil {
					t.Errorf("a request in flight got %q, %v", body, err)
				}
			})
		}
		arrived.Wait()
		down := make(chan error, 1)
		go func() { down <- server.Shutdown(context.Background()) }()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			c, err := w.a.Dial("tcp", addr)
			if err != nil {
				break // the listener is closed
			}
			c.Close()
			if time.Now().After(deadline) {
				t.Fatal("Shutdown did not close the listener")
			}
		}
		select {
		case err := <-down:
			t.Fatalf("Shutdown returned %v with requests in flight", err)
		default:
		}
		close(release)
		requests.Wait()
		if err := receive(t, down); err != nil {
			t.Error(err)
		}
	})
}

// TestReadHeaderTimeout has a server end a connection that says nothing, by its read deadline.
func TestReadHeaderTimeout(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		addr := serve(t, w, &http.Server{Handler: echo, ReadHeaderTimeout: 20 * time.Millisecond})
		c, err := w.a.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
			t.Errorf("a connection that says nothing got %q, %v, want it closed", b, err)
		}
	})
}
