package fstack

import (
	"encoding/binary"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func (s *socket) setOption(level, name int, value []byte) error {
	return s.control("setsockopt", func() error { return s.table.SetOption(s.handle, level, name, value) })
}

func (s *socket) option(level, name int, value []byte) (n int, err error) {
	err = s.control("getsockopt", func() (err error) {
		n, err = s.table.Option(s.handle, level, name, value)
		return err
	})
	return n, err
}

func (s *socket) setInt(level, name, value int) error {
	return s.control("setsockopt", func() error {
		binary.NativeEndian.PutUint32(s.value[:], uint32(int32(value)))
		return s.table.SetOption(s.handle, level, name, s.value[:])
	})
}

func (s *socket) int(level, name int) (int, error) {
	value := 0
	err := s.control("getsockopt", func() error {
		s.value = [4]byte{}
		_, err := s.table.Option(s.handle, level, name, s.value[:])
		value = int(int32(binary.NativeEndian.Uint32(s.value[:])))
		return err
	})
	return value, err
}

func (s *socket) setBool(level, name int, on bool) error {
	if on {
		return s.setInt(level, name, 1)
	}
	return s.setInt(level, name, 0)
}

// The keep-alive of connections for which nothing is said, as package net has it.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

// setKeepAlive sets a whole configuration: zero is the default, negative leaves what is set.
func (s *socket) setKeepAlive(k net.KeepAliveConfig) error {
	if err := s.setBool(unix.SOL_SOCKET, unix.SO_KEEPALIVE, k.Enable); err != nil {
		return err
	}
	if k.Idle == 0 {
		k.Idle = keepAliveIdle
	}
	if k.Interval == 0 {
		k.Interval = keepAliveInterval
	}
	if k.Count == 0 {
		k.Count = keepAliveCount
	}
	for _, o := range []struct{ name, value int }{
		{unix.TCP_KEEPIDLE, seconds(k.Idle)}, {unix.TCP_KEEPINTVL, seconds(k.Interval)}, {unix.TCP_KEEPCNT, k.Count},
	} {
		if o.value < 0 {
			continue
		}
		if err := s.setInt(unix.IPPROTO_TCP, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// seconds rounds up, as a shorter time would be sooner than asked for.
func seconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Second - 1) / time.Second)
}

// keepAliveOf is what the fields KeepAlive and KeepAliveConfig of ListenConfig and Dialer mean together.
func keepAliveOf(period time.Duration, k net.KeepAliveConfig) net.KeepAliveConfig {
	if !k.Enable && period >= 0 {
		return net.KeepAliveConfig{Enable: true, Idle: period}
	}
	return k
}

// setStreamDefaults sets what package net sets for each TCP connection. A listener's connections inherit it, so that
// Accept has no option to set. A table without one of the options goes without.
func (s *socket) setStreamDefaults(k net.KeepAliveConfig) {
	s.setBool(unix.IPPROTO_TCP, unix.TCP_NODELAY, true)
	if k.Enable {
		s.setKeepAlive(k)
	}
}

// RawConn is what Control functions are given: the socket before it is bound or connected. It has no kernel
// descriptor, so Control, Read and Write fail with ErrNoDescriptor; options are set like this:
//
//	lc := fstack.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
//		return c.(*fstack.RawConn).SetsockoptInt(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
//	}}
type RawConn struct{ s *socket }

var _ syscall.RawConn = (*RawConn)(nil)

// Control implements syscall.RawConn: it returns ErrNoDescriptor and does not call f.
func (*RawConn) Control(func(fd uintptr)) error { return ErrNoDescriptor }

// Read implements syscall.RawConn: it returns ErrNoDescriptor and does not call f.
func (*RawConn) Read(func(fd uintptr) bool) error { return ErrNoDescriptor }

// Write implements syscall.RawConn: it returns ErrNoDescriptor and does not call f.
func (*RawConn) Write(func(fd uintptr) bool) error { return ErrNoDescriptor }

// SetsockoptInt sets an option whose value is a C int, as the function of that name in golang.org/x/sys/unix.
func (c *RawConn) SetsockoptInt(level, name, value int) error { return c.s.setInt(level, name, value) }

// GetsockoptInt returns an option whose value is a C int, as the function of that name in golang.org/x/sys/unix.
func (c *RawConn) GetsockoptInt(level, name int) (int, error) { return c.s.int(level, name) }

// SetOption is setsockopt(2), with Linux's levels, names and layouts.
func (c *RawConn) SetOption(level, name int, value []byte) error {
	return c.s.setOption(level, name, value)
}

// Option is getsockopt(2), with Linux's levels, names and layouts. It returns the length of the value.
func (c *RawConn) Option(level, name int, value []byte) (int, error) {
	return c.s.option(level, name, value)
}
