// Command server is what the benchmarks talk to, the same code on this stack and on the kernel's.
//
//	server -on fstack|kernel [-c config.ini]
//
// Port 80 is net/http, port 81 a plain loop over a net.Conn that answers each request read with the same bytes; port 82
// reads and discards, port 83 writes without end.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/fstack-go/fstack"
)

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
		err = fstack.Run(func() error { return serve(fstack.Listen) })
	case "kernel":
		err = serve(net.Listen)
	default:
		err = fmt.Errorf("-on %s: must be fstack or kernel", *on)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(listen func(network, addr string) (net.Listener, error)) error {
	web, err := listen("tcp", ":80")
	if err != nil {
		return err
	}
	loops, err := listen("tcp", ":81")
	if err != nil {
		return err
	}
	for addr, handle := range map[string]func(net.Conn){":82": discard, ":83": flood} {
		l, err := listen("tcp", addr)
		if err != nil {
			return err
		}
		go accept(l, handle)
	}
	go accept(loops, connLoop)
	fmt.Println("serving")
	return http.Serve(web, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Write([]byte(body))
	}))
}

func accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go handle(c)
	}
}

func discard(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func flood(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
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
