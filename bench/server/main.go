// Command server is what the benchmarks talk to, the same code on this stack and on the kernel's.
//
//	server -on fstack|kernel [-c config.ini]
//
// Port 80 is net/http, port 81 a plain loop over a net.Conn that answers each request read with the same bytes, port 82
// tells Stats as JSON.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/fstack-go/fstack"
)

// Stats are running totals.
type Stats struct {
	BusyNanos int64 // of the stack's loop with all that runs in its turns; on the kernel: CPU time of the process
}

// body makes answers of about 650 bytes.
var body = strings.Repeat("fstack ", 70)

func main() {
	log.SetFlags(0)
	on := flag.String("on", "fstack", "`stack` to serve on: fstack or kernel")
	fstack.Flags(flag.CommandLine)
	flag.Parse()
	var err error
	switch *on {
	case "fstack":
		err = fstack.Run(func() error { return serve(fstack.Listen, loopBusy) })
	case "kernel":
		err = serve(net.Listen, processBusy)
	default:
		err = fmt.Errorf("-on %s: must be fstack or kernel", *on)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(listen func(network, addr string) (net.Listener, error), busy func() int64) error {
	var listeners []net.Listener
	for _, addr := range []string{":80", ":81", ":82"} {
		l, err := listen("tcp", addr)
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	go connLoops(listeners[1])
	go http.Serve(listeners[2], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(Stats{busy()})
	}))
	fmt.Println("ready")
	return http.Serve(listeners[0], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Write([]byte(body))
	}))
}

func connLoops(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go connLoop(c)
	}
}

var (
	answer     = []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: fstack\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	lastAnswer = bytes.Replace(answer, []byte("Server: fstack"), []byte("Connection: close"), 1)
	wantsClose = []byte("Connection: close")
)

func connLoop(c net.Conn) {
	defer c.Close()
	request := make([]byte, 4096)
	for {
		n, err := c.Read(request)
		if err != nil {
			return
		}
		if bytes.Contains(request[:n], wantsClose) {
			c.Write(lastAnswer)
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func loopBusy() (nanos int64) {
	fstack.EachCounter(func(where, name, _ string, value uint64) {
		if where == "loop" && name == "BusyNanos" {
			nanos = int64(value)
		}
	})
	return nanos
}

func processBusy() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
