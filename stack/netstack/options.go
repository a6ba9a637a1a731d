package netstack

import (
	"bytes"
	"maps"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/fstack-go/fstack/stack"
)

// option is one socket option. A nil function: it cannot be set, or be asked.
type option struct {
	set func(s *socket, v []byte) error
	get func(s *socket) ([]byte, error) // in Linux's layout
	// inherit says that an accepted socket gets what its listener was given. gVisor passes on only little.
	inherit bool
	number  bool // its layout is an int
}

type optionKey struct{ level, name int }

// options are all that netstack knows; the rest is ENOPROTOOPT.
var options = func() map[optionKey]option {
	all := map[optionKey]option{}
	for _, some := range []map[optionKey]option{socketOptions, tcpOptions, ip4Options, ip6Options, multicastOptions} {
		maps.Copy(all, some)
	}
	return all
}()

// given are the options that were set on a stream socket and that what it accepts inherits, in order.
type given struct {
	mu  sync.Mutex
	set []givenOption
}

type givenOption struct {
	key   optionKey
	value []byte
}

// SetOption implements stack.Sockets.
func (n *Netstack) SetOption(h stack.Handle, level, name int, value []byte) error {
	s, err := n.sockets.get(h)
	if err != nil {
		return err
	}
	k := optionKey{level, name}
	o, err := s.option(k)
	if err != nil {
		return err
	}
	if o.set == nil {
		return syscall.ENOPROTOOPT
	}
	if err := o.set(s, value); err != nil {
		return err
	}
	if o.inherit && s.typ == unix.SOCK_STREAM {
		s.given.add(k, value)
	}
	return nil
}

// Option implements stack.Sockets. A value longer than the buffer is cut, as by getsockopt(2).
func (n *Netstack) Option(h stack.Handle, level, name int, value []byte) (int, error) {
	s, err := n.sockets.get(h)
	if err != nil {
		return 0, err
	}
	k := optionKey{level, name}
	o, err := s.option(k)
	if err == syscall.ENOPROTOOPT && s.domain == unix.AF_INET && !s.level(level) {
		err = syscall.EOPNOTSUPP // what Linux's IPv4 says, and its IPv6 does not
	}
	if err != nil {
		return 0, err
	}
	if o.get == nil {
		return 0, syscall.ENOPROTOOPT
	}
	v, err := o.get(s)
	if level == unix.IPPROTO_IP && o.number && len(value) > 0 && len(value) < 4 && native.Uint32(v) < 256 {
		return copy(value[:1], []byte{byte(native.Uint32(v))}), err // an unsigned char will do
	}
	return copy(value, v), err
}

// level tells whether the socket has any options of that level.
func (s *socket) level(level int) bool {
	switch level {
	case unix.SOL_SOCKET, unix.IPPROTO_IP:
		return true
	case unix.IPPROTO_TCP:
		return s.typ == unix.SOCK_STREAM
	case unix.IPPROTO_IPV6:
		return s.domain == unix.AF_INET6
	case unix.IPPROTO_ICMPV6:
		return s.typ == unix.SOCK_RAW && s.proto == unix.IPPROTO_ICMPV6
	}
	return false
}

// option finds an option that a socket of this kind has.
func (s *socket) option(k optionKey) (option, error) {
	o, ok := options[k]
	stream := s.typ == unix.SOCK_STREAM
	switch {
	case !ok || !s.level(k.level):
		return option{}, syscall.ENOPROTOOPT
	case stream && multicastOptions[k].set != nil && k != mcast4Loop && k != mcast6Loop:
		return option{}, syscall.EINVAL
	}
	return o, nil
}

func (g *given) add(k optionKey, value []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.set {
		if g.set[i].key == k {
			g.set[i].value = bytes.Clone(value)
			return
		}
	}
	g.set = append(g.set, givenOption{k, bytes.Clone(value)})
}

// inherit gives an accepted socket the options that its listener was given.
func (s *socket) inherit(listener *socket) {
	g := &listener.given
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.set {
		_ = options[o.key].set(s, o.value) // the listener took it, and so does a socket of the same kind
	}
}

// toInt reads a C int.
func toInt(v []byte) (int, error) {
	if len(v) < 4 {
		return 0, syscall.EINVAL
	}
	return int(int32(native.Uint32(v))), nil
}

// toByte reads a C int or an unsigned char, as IPv4's options take either.
func toByte(v []byte) (int, error) {
	if len(v) > 0 && len(v) < 4 {
		return int(v[0]), nil
	}
	return toInt(v)
}

func fromInt(x int) []byte { return native.AppendUint32(nil, uint32(int32(x))) }

func fromBool(b bool) []byte {
	if b {
		return fromInt(1)
	}
	return fromInt(0)
}

// flag is an option that is on or off, in gVisor's SocketOptions.
func flag(get func(*tcpip.SocketOptions) bool, set func(*tcpip.SocketOptions, bool)) option {
	return option{
		set: func(s *socket, v []byte) error {
			x, err := toInt(v)
			if err == nil {
				set(s.ep.SocketOptions(), x != 0)
			}
			return err
		},
		get:     func(s *socket) ([]byte, error) { return fromBool(get(s.ep.SocketOptions())), nil },
		inherit: true,
	}
}

// number is an option that gVisor has as an int. in and out translate and check; nil: as it is.
func number(opt tcpip.SockOptInt, read func([]byte) (int, error), in func(int) (int, error), out func(int) int) option {
	return option{
		set: func(s *socket, v []byte) error {
			x, err := read(v)
			if err == nil && in != nil {
				x, err = in(x)
			}
			if err != nil {
				return err
			}
			return errno(s.ep.SetSockOptInt(opt, x))
		},
		get: func(s *socket) ([]byte, error) {
			x, err := s.ep.GetSockOptInt(opt)
			if out != nil {
				x = out(x)
			}
			return fromInt(x), errno(err)
		},
		inherit: true,
		number:  true,
	}
}

// within checks a value, or is EINVAL.
func within(low, high int) func(int) (int, error) {
	return func(x int) (int, error) {
		if x < low || x > high {
			return 0, syscall.EINVAL
		}
		return x, nil
	}
}

// duration is an option that gVisor has as a time and Linux as a number of units.
func duration[T ~int64, P interface {
	*T
	tcpip.SettableSocketOption
	tcpip.GettableSocketOption
}](unit time.Duration, in func(int) (int, error)) option {
	return option{
		set: func(s *socket, v []byte) error {
			x, err := toInt(v)
			if err == nil {
				x, err = in(x)
			}
			if err != nil {
				return err
			}
			d := T(time.Duration(x) * unit)
			return errno(s.ep.SetSockOpt(P(&d)))
		},
		get: func(s *socket) ([]byte, error) {
			var d T
			err := s.ep.GetSockOpt(P(&d))
			return fromInt(int(time.Duration(d) / unit)), errno(err)
		},
		inherit: true,
	}
}
