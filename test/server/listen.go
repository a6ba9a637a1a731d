package main

import (
	"fmt"
	"net/http"

	"github.com/fstack-go/fstack"
)

// listenHere has this worker alone listen on a further port, with what port 80 has.
func listenHere(w http.ResponseWriter, r *http.Request) {
	l, err := fstack.Listen("tcp", ":"+r.FormValue("port"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	go http.Serve(l, handler())
	fmt.Fprintf(w, "%v", l.Addr())
}
