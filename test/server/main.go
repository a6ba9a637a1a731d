// Command server is the far side of the integration tests: HTTP on port 80, TCP and UDP echo on port 7.
//
//	GET /            a short text          GET /stats   Stats as JSON, after a garbage collection
//	GET /bytes?n=N   N bytes of stream     GET /slow?for=1s
//	GET /who         the worker that serves: index, process, generation's slot
//	GET /out?n=N&to=ADDRESS   makes N connections to an echo service
//	GET /listen?port=N        this worker alone listens there, too
//	POST /sum        the SHA-256 of what was sent
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/fstack-go/fstack"
	"github.com/fstack-go/fstack/test/stream"
)

// Stats are what must not grow.
type Stats struct {
	Goroutines int
	HeapBytes  uint64
	Mbufs      int
	Counters   map[string]uint64
}

func main() {
	log.SetFlags(0)
	dies := flag.Bool("panic", false, "panic at once")
	fstack.Flags(flag.CommandLine)
	flag.Parse()
	app := serve
	if *dies {
		app = func() error { panic("as it was asked to") }
	}
	if err := fstack.Run(app); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	web, err := fstack.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	echo, err := fstack.Listen("tcp", ":7")
	if err != nil {
		return err
	}
	packets, err := fstack.ListenPacket("udp", ":7")
	if err != nil {
		return err
	}
	go echoStreams(echo)
	go echoPackets(packets)
	context.AfterFunc(fstack.Context(), func() { packets.Close() })

	server := &http.Server{Handler: polite(handler())}
	finished := make(chan error, 1)
	context.AfterFunc(fstack.Context(), func() { finished <- finish(server) })
	fmt.Println("ready")
	if err := server.Serve(web); fstack.Context().Err() == nil {
		return err
	}
	return <-finished
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello from fstack\n") })
	mux.HandleFunc("GET /bytes", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.FormValue("n"), 10, 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		io.CopyBuffer(w, stream.New(1, n), make([]byte, 256<<10))
	})
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.CopyBuffer(sum, r.Body, make([]byte, 256<<10))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%d %x", n, sum.Sum(nil))
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("for"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(d)
		io.WriteString(w, "at last\n")
	})
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		i := fstack.Info()
		fmt.Fprintf(w, "%d %d %d", i.Index, i.PID, i.Slot)
	})
	mux.HandleFunc("GET /out", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err == nil {
			err = dialOut(n, r.FormValue("to"))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%d connections", n)
	})
	mux.HandleFunc("GET /listen", listenHere)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(stats())
	})
	return mux
}

func stats() Stats {
	s := Stats{Counters: map[string]uint64{}}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Goroutines, s.HeapBytes = runtime.NumGoroutine(), m.HeapAlloc
	for _, p := range fstack.Info().Ports {
		s.Mbufs += p.MbufsInUse
	}
	fstack.EachCounter(func(where, name, _ string, value uint64) { s.Counters[where+" "+name] += value })
	return s
}

// dialOut makes n connections, some at a time, and has each echo a word.
func dialOut(n int, to string) error {
	const atOnce = 32
	tickets, failed := make(chan struct{}, atOnce), make(chan error, n)
	var all sync.WaitGroup
	for i := range n {
		tickets <- struct{}{}
		all.Go(func() {
			defer func() { <-tickets }()
			c, err := fstack.DialTimeout("tcp", to, 20*time.Second)
			if err == nil {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				word, got := fmt.Sprintf("%08d", i), make([]byte, 8)
				io.WriteString(c, word)
				if _, err = io.ReadFull(c, got); err == nil && string(got) != word {
					err = fmt.Errorf("%q came back for %q", got, word)
				}
			}
			if err != nil {
				failed <- fmt.Errorf("connection %d: %w", i, err)
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed // the first, nil if there is none
}

// polite tells clients, once the program is to end, that their connection closes behind the answer.
func polite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fstack.Context().Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// finish ends the server. One that is replaced serves all connections until their clients close them.
func finish(server *http.Server) error {
	if errors.Is(context.Cause(fstack.Context()), fstack.ErrReplaced) {
		echoing.Wait()
		time.Sleep(500 * time.Millisecond)
	}
	return server.Shutdown(context.Background())
}

// echoing are the connections of the echo service.
var echoing sync.WaitGroup

func echoStreams(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		echoing.Go(func() {
			defer c.Close()
			io.Copy(c, c)
		})
	}
}

func echoPackets(p net.PacketConn) {
	b := make([]byte, 65536)
	for {
		n, from, err := p.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, err = p.WriteTo(b[:n], from)
		}
		if err != nil {
			log.Print("echo: ", err)
		}
	}
}
