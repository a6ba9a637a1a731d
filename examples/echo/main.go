// Command echo sends back what it receives, over TCP and UDP (RFC 862).
//
//	echo [-c config.ini] [-listen :7]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"sync"

	"github.com/fstack-go/fstack"
)

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", ":7", "`address` to listen on")
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
	packets, err := fstack.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer packets.Close()
	fmt.Println("echo on TCP and UDP", listener.Addr())
	go func() {
		if err := echoPackets(packets); !errors.Is(err, net.ErrClosed) {
			log.Print(err)
		}
	}()
	err = echoStreams(listener)
	if errors.Is(context.Cause(fstack.Context()), fstack.ErrReplaced) {
		open.Wait() // new connections go to the version that has taken over, these stay here
	}
	return err
}

// open are the connections.
var open sync.WaitGroup

// echoStreams has a goroutine for each connection, until the listener is closed.
func echoStreams(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		open.Go(func() {
			defer conn.Close()
			io.Copy(conn, conn) // until the peer closes or resets
		})
	}
}

// echoPackets answers datagrams until the socket is closed.
func echoPackets(packets net.PacketConn) error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := packets.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err == nil {
			_, err = packets.WriteTo(buf[:n], from)
		}
		if err != nil {
			log.Print(err) // of this datagram: the next may go well
		}
	}
}
