package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/fstack-go/fstack"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// facts are what the page shows.
type facts struct {
	fstack.Instance
	Up         time.Duration
	Requests   uint64
	Client     string
	Go         string
	Goroutines int
	Counters   []counter
}

type counter struct {
	Where, Name, Help string
	Value             uint64
}

var requests atomic.Uint64

// pages has the page at / and its live part at /live.
func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { show(w, r, "page") })
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { show(w, r, "live") })
	return mux
}

func show(w http.ResponseWriter, r *http.Request, name string) {
	f := facts{Instance: fstack.Info(), Requests: requests.Add(1), Client: r.RemoteAddr, Go: runtime.Version(), Goroutines: runtime.NumGoroutine()}
	f.Up = time.Since(f.Since).Round(time.Second)
	fstack.EachCounter(func(where, name, help string, value uint64) {
		if value > 0 {
			f.Counters = append(f.Counters, counter{where, name, help, value})
		}
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	page.ExecuteTemplate(w, name, f) // an error is the client's that went away
}

// invite prints what to type to see the page.
func invite(addr net.Addr) {
	_, port, _ := net.SplitHostPort(addr.String())
	for _, p := range fstack.Info().Ports {
		var prefix string
		if p.Netns != "" {
			prefix = "sudo ip netns exec " + p.Netns + " "
		}
		for _, a := range p.Addrs {
			host := a.Addr().String()
			if a.Addr().Is6() {
				host = "[" + host + "]"
			}
			if port != "80" {
				host += ":" + port
			}
			fmt.Printf("try: %scurl 'http://%s/'\n", prefix, host)
		}
	}
}
