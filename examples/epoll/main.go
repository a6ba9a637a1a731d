// Command epoll is an HTTP server in one event loop: as one would write it over package unix for the kernel, but for
// the import, and for Run, which turns the loop together with the stack.
//
//	epoll [-c config.ini] [-port 80]
package main

import (
	"flag"
	"log"

	"github.com/fstack-go/fstack"
	"github.com/fstack-go/fstack/posix"
)

func main() {
	log.SetFlags(0)
	port := flag.Int("port", 80, "`port` to listen on")
	fstack.Flags(flag.CommandLine)
	flag.Parse()
	var s *server
	err := posix.Run(func() (err error) {
		if s == nil { // the first turn
			if s, err = listen(*port); err != nil {
				return err
			}
			log.Printf("epoll: serving on port %d; try: curl http://<address of the stack>:%d/", *port, *port)
		}
		return s.turn()
	})
	if err != nil {
		log.Fatal("epoll: ", err)
	}
}
