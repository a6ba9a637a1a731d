// Command https serves a page over TLS, by HTTP/2 where the client can. Without a certificate of yours it makes one for
// itself, which no client trusts: curl --insecure.
//
//	https [-c config.ini] [-listen :443] [-cert cert.pem -key key.pem]
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/fstack-go/fstack"
)

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", ":443", "`address` to listen on")
	cert := flag.String("cert", "", "`file` with the certificate chain, PEM")
	key := flag.String("key", "", "`file` with the certificate's private key, PEM")
	fstack.Flags(flag.CommandLine)
	flag.Parse()
	if err := run(*listen, *cert, *key); err != nil {
		log.Fatal(err)
	}
}

func run(addr, certFile, keyFile string) error {
	cert, err := certificate(certFile, keyFile)
	if err != nil {
		return err
	}
	return fstack.Run(func() error {
		listener, err := fstack.Listen("tcp", addr)
		if err != nil {
			return err
		}
		fmt.Println("HTTPS on", listener.Addr())
		return serve(fstack.Context(), listener, cert)
	})
}

// serve ends when ctx is done and the requests in flight are finished.
func serve(ctx context.Context, listener net.Listener, cert tls.Certificate) error {
	server := &http.Server{
		Handler:   http.HandlerFunc(page),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	}
	finished := make(chan error, 1)
	context.AfterFunc(ctx, func() { finished <- server.Shutdown(context.Background()) })
	if err := server.ServeTLS(listener, "", ""); ctx.Err() == nil {
		return err
	}
	return <-finished
}

func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s over %s with %s\n", r.Proto, tls.VersionName(r.TLS.Version), tls.CipherSuiteName(r.TLS.CipherSuite))
}

// certificate loads the one in the files, or makes one if none are named.
func certificate(certFile, keyFile string) (tls.Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return selfSigned()
	case certFile == "" || keyFile == "":
		return tls.Certificate{}, errors.New("-cert and -key belong together: name both or none")
	}
	return tls.LoadX509KeyPair(certFile, keyFile)
}
