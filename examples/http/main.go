// Command http serves a page that says, live, which stack it comes from.
//
//	http [-c config.ini] [-listen :80]
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/fstack-go/fstack"
)

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", ":80", "`address` to listen on")
	fstack.Flags(flag.CommandLine)
	flag.Parse()
	if err := fstack.Run(func() error { return serve(*listen) }); err != nil {
		log.Fatal(err)
	}
}

func serve(addr string) error {
	listener, err := fstack.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: polite(pages())}
	finished := make(chan error, 1)
	context.AfterFunc(fstack.Context(), func() { finished <- finish(server) })

	if fstack.Info().Index == 0 { // one of several processes is enough
		invite(listener.Addr())
	}
	if err := server.Serve(listener); fstack.Context().Err() == nil {
		return err
	}
	return <-finished // the requests in flight
}

// polite tells clients, once the program is to end, that their connection closes behind the answer: they ask the next
// thing by a new one, which is served by who takes over.
func polite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fstack.Context().Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// finish leaves clients a moment for the next request on the connection that they have, and closes what is idle then.
func finish(server *http.Server) error {
	time.Sleep(500 * time.Millisecond)
	return server.Shutdown(context.Background())
}
