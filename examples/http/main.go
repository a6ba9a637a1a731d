// Command http serves a page that says, live, which stack it comes from.
//
//	http [-c config.ini] [-listen :80]
package main

import (
	"context"
	"flag"
	"log"
	"net/http"

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
	server := &http.Server{Handler: pages()}
	finished := make(chan error, 1)
	context.AfterFunc(fstack.Context(), func() { finished <- server.Shutdown(context.Background()) })

	invite(listener.Addr())
	if err := server.Serve(listener); fstack.Context().Err() == nil {
		return err
	}
	return <-finished // the requests in flight
}
