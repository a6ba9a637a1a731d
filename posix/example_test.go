package posix_test

import (
	"log"

	unix "github.com/fstack-go/fstack/posix" // was: golang.org/x/sys/unix
)

// A server that sends back what it gets, in one event loop. But for Run, it is a program for Linux.
func Example() {
	ep, events, buf := -1, make([]unix.EpollEvent, 64), make([]byte, 4096)
	var listener int

	start := func() (err error) {
		if ep, err = unix.EpollCreate1(0); err != nil {
			return err
		}
		if listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		if err := unix.Bind(listener, &unix.SockaddrInet4{Port: 7}); err != nil {
			return err
		}
		if err := unix.Listen(listener, unix.SOMAXCONN); err != nil {
			return err
		}
		return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, listener, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(listener)})
	}

	err := unix.Run(func() error {
		if ep < 0 {
			if err := start(); err != nil {
				return err
			}
		}
		n, err := unix.EpollWait(ep, events, -1) // in Run, it never waits
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			fd := int(e.Fd)
			if fd == listener {
				if fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK); err == nil {
					unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
				}
				continue
			}
			n, err := unix.Read(fd, buf)
			if err == unix.EAGAIN {
				continue
			}
			if n > 0 {
				_, err = unix.Write(fd, buf[:n])
			}
			if n <= 0 || err != nil {
				unix.Close(fd)
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}
