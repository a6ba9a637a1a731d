package fstack_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack"
)

func ExampleListen() {
	err := fstack.Run(func() error {
		l, err := fstack.Listen("tcp", ":80")
		if err != nil {
			return err
		}
		return http.Serve(l, http.FileServer(http.Dir("/srv/www")))
	})
	log.Fatal(err)
}

func ExampleListenPacket() {
	err := fstack.Run(func() error {
		c, err := fstack.ListenPacket("udp", ":7")
		if err != nil {
			return err
		}
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return err
			}
			c.WriteTo(buf[:n], from)
		}
	})
	log.Fatal(err)
}

func ExampleDialContext() {
	client := &http.Client{Transport: &http.Transport{DialContext: fstack.DialContext}}
	err := fstack.Run(func() error {
		r, err := client.Get("http://192.168.1.1/")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		fmt.Println(len(body))
		return err
	})
	log.Fatal(err)
}

func ExampleDialer() {
	d := fstack.Dialer{Timeout: 3 * time.Second, KeepAlive: time.Minute}
	err := fstack.Run(func() error {
		c, err := d.DialContext(fstack.Context(), "tcp", "example.com:25")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = fmt.Fprint(c, "QUIT\r\n")
		return err
	})
	log.Fatal(err)
}

// Several listeners share a port.
func ExampleListenConfig() {
	lc := fstack.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.(*fstack.RawConn).SetsockoptInt(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}}
	err := fstack.Run(func() error {
		l, err := lc.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			return err
		}
		return http.Serve(l, nil)
	})
	log.Fatal(err)
}

func ExampleResolver() {
	r := fstack.Resolver{StrictErrors: true}
	err := fstack.Run(func() error {
		addrs, err := r.LookupHost(fstack.Context(), "example.com")
		fmt.Println(addrs)
		return err
	})
	log.Fatal(err)
}
