package netstack

import (
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/fstack-go/fstack/stack"
)

// option is one socket option: how to set it from, and get it in, Linux's layout. A nil function: it cannot be.
type option struct {
	set     func(s *socket, v []byte) error
	get     func(s *socket, v []byte) (int, error)
	inherit bool // an accepted socket gets what its listener was given
}

type optionKey struct{ level, name int }

// given are the options that were set on a stream socket and that what it accepts inherits, in order.
type given []struct {
	key   optionKey
	value []byte
}

var options = map[optionKey]option{
	{unix.SOL_SOCKET, unix.SO_ERROR}: {get: getInt(func(s *socket) (int, tcpip.Error) {
		if err := errno(s.ep.LastError()); err != nil {
			return int(err.(syscall.Errno)), nil
		}
		return 0, nil
	})},
}

// SetOption implements stack.Sockets.
func (n *Netstack) SetOption(h stack.Handle, level, name int, value []byte) error {
	s, err := n.sockets.get(h)
	if err != nil {
		return err
	}
	o, ok := options[optionKey{level, name}]
	if !ok || o.set == nil {
		return syscall.ENOPROTOOPT
	}
	return o.set(s, value)
}

// Option implements stack.Sockets.
func (n *Netstack) Option(h stack.Handle, level, name int, value []byte) (int, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, err
	}
	o, ok := options[optionKey{level, name}]
	if !ok || o.get == nil {
		return 0, syscall.ENOPROTOOPT
	}
	return o.get(s, value)
}

func (s *socket) inherit(listener *socket) {}

func getInt(f func(s *socket) (int, tcpip.Error)) func(*socket, []byte) (int, error) {
	return func(s *socket, v []byte) (int, error) {
		x, err := f(s)
		if err != nil {
			return 0, errno(err)
		}
		return putInt(v, x), nil
	}
}

// putInt stores x as a C int, cut to what fits, as getsockopt(2) does.
func putInt(v []byte, x int) int {
	b := [4]byte{}
	native.PutUint32(b[:], uint32(int32(x)))
	return copy(v, b[:])
}
