package netstack

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// script is a test's part that runs twice, over netstack and over Linux's own sockets, both on their loopback
// interfaces, and logs what it sees. The logs must be the same.
type script struct {
	*testing.T
	stack.Sockets
	settle func()
	log    []string
	open   []stack.Handle
}

func (s *script) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *script) socket(domain, typ, proto int) stack.Handle {
	h, err := s.Open(domain, typ, proto)
	if err != nil {
		s.Fatalf("open: %v", err)
	}
	s.open = append(s.open, h)
	return h
}

func (s *script) close(h stack.Handle) {
	s.note("close: %v", name(s.Close(h)))
	for i := range s.open {
		if s.open[i] == h {
			s.open = append(s.open[:i], s.open[i+1:]...)
			break
		}
	}
	s.settle()
}

// name is an error's number by name, so that a log line says EAGAIN.
func name(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

func (s *script) do(what string, err error) {
	s.settle()
	s.note("%s: %s", what, name(err))
}

func (s *script) events(what string, h stack.Handle) {
	s.settle()
	var set []string
	ev := s.Events(h)
	for _, e := range []struct {
		bit  stack.Events
		name string
	}{{stack.EventIn, "IN"}, {stack.EventPri, "PRI"}, {stack.EventOut, "OUT"}, {stack.EventErr, "ERR"}, {stack.EventHup, "HUP"}, {stack.EventRdHup, "RDHUP"}} {
		if ev&e.bit != 0 {
			set = append(set, e.name)
		}
	}
	s.note("events of %s: %s", what, strings.Join(set, "|"))
}

func (s *script) recv(what string, h stack.Handle, size, flags int) {
	s.settle()
	b := make([]byte, size)
	n, err := s.Recv(h, b, flags)
	s.note("receive at %s: %d %q %s", what, n, b[:min(max(n, 0), size)], name(err))
}

func (s *script) send(what string, h stack.Handle, data string, flags int) {
	n, err := s.Send(h, []byte(data), flags)
	s.note("send at %s: %d %s", what, n, name(err))
	s.settle()
}

func (s *script) option(what string, h stack.Handle, level, opt, size int) {
	b := make([]byte, size)
	n, err := s.Option(h, level, opt, b)
	s.note("option %s: %x %s", what, b[:n], name(err))
}

func (s *script) set(what string, h stack.Handle, level, opt int, value ...byte) {
	s.note("set %s to %x: %s", what, value, name(s.SetOption(h, level, opt, value)))
}

func loopbackOf(domain int) netip.Addr {
	if domain == unix.AF_INET {
		return netip.MustParseAddr("127.0.0.1")
	}
	return netip.IPv6Loopback()
}

// bound binds to a free port and returns the address.
func (s *script) bound(h stack.Handle, ip netip.Addr) netip.AddrPort {
	if err := s.Bind(h, netip.AddrPortFrom(ip, 0)); err != nil {
		s.Fatalf("bind: %v", err)
	}
	a, err := s.LocalAddr(h)
	if err != nil {
		s.Fatal(err)
	}
	return a
}

// pair is a connection and its listener.
func (s *script) pair(domain int) (l, c, a stack.Handle) {
	l = s.socket(domain, unix.SOCK_STREAM, 0)
	to := s.bound(l, loopbackOf(domain))
	if err := s.Listen(l, 5); err != nil {
		s.Fatal(err)
	}
	c = s.socket(domain, unix.SOCK_STREAM, 0)
	if err := s.Connect(c, to); err != nil && err != syscall.EINPROGRESS {
		s.Fatal(err)
	}
	s.settle()
	a, _, err := s.Accept(l)
	if err != nil {
		s.Fatal(err)
	}
	s.open = append(s.open, a)
	return l, c, a
}

// asLinux runs a script over both and compares the logs.
func asLinux(t *testing.T, run func(s *script)) {
	t.Helper()
	w := newNetwork(t, simnet.Config{})
	ours := &script{T: t, Sockets: w.a, settle: func() { w.sim.Sleep(20 * time.Millisecond) }}
	linux := &script{T: t, Sockets: kernel{}, settle: func() { time.Sleep(2 * time.Millisecond) }}
	for _, s := range []*script{ours, linux} {
		run(s)
		for _, h := range s.open {
			s.Close(h)
		}
	}
	for i := range max(len(ours.log), len(linux.log)) {
		var o, l string
		if i < len(ours.log) {
			o = ours.log[i]
		}
		if i < len(linux.log) {
			l = linux.log[i]
		}
		if o != l {
			t.Errorf("step %d\n  netstack  %s\n  Linux     %s", i, o, l)
		}
	}
}

var domains = []int{unix.AF_INET, unix.AF_INET6}

func TestStreamLifeAsOnLinux(t *testing.T) {
	for _, domain := range domains {
		asLinux(t, func(s *script) {
			fresh := s.socket(domain, unix.SOCK_STREAM, 0)
			s.events("a fresh socket", fresh)
			s.recv("a fresh socket", fresh, 1, 0)
			s.send("a fresh socket", fresh, "x", 0)
			s.do("shutdown of a fresh socket", s.Shutdown(fresh, unix.SHUT_WR))
			s.do("accept on a fresh socket", second(s.Accept(fresh)))
			s.do("peer of a fresh socket", err2(s.PeerAddr(fresh)))

			l, c, a := s.pair(domain)
			s.events("the listener", l)
			s.do("accept again", second(s.Accept(l)))
			s.do("connect of a listener", s.Connect(l, netip.AddrPortFrom(loopbackOf(domain), 9)))
			s.recv("the listener", l, 1, 0)
			s.send("the listener", l, "x", 0)
			s.do("bind again", s.Bind(c, netip.AddrPortFrom(loopbackOf(domain), 0)))
			s.do("connect again", s.Connect(c, netip.AddrPortFrom(loopbackOf(domain), 9)))
			s.do("listen on a connection", s.Listen(c, 1))
			s.events("the client", c)
			s.events("the server", a)

			s.send("the client", c, "hello", 0)
			s.events("the server with data", a)
			s.recv("the server, peeking", a, 10, unix.MSG_PEEK)
			s.recv("the server, truncating", a, 2, unix.MSG_TRUNC)
			s.recv("the server", a, 10, 0)
			s.recv("the server without data", a, 10, 0)
			s.recv("the server, out of band", a, 10, unix.MSG_OOB)
			s.recv("the server, nothing wanted", a, 0, 0)
			s.send("the client, nothing", c, "", 0)

			s.do("shutdown for writing", s.Shutdown(c, unix.SHUT_WR))
			s.events("the client, half closed", c)
			s.events("the server, half closed", a)
			s.send("the client, half closed", c, "x", 0)
			s.recv("the server, half closed", a, 10, 0)
			s.recv("the server, half closed, again", a, 10, 0)
			s.send("the server, half closed", a, "bye", 0)
			s.recv("the client, half closed", c, 10, 0)
			s.close(a)
			s.events("the client, closed by the server", c)
			s.recv("the client, closed by the server", c, 10, 0)
			s.close(c)
			s.close(l)
		})
	}
}

func TestResetAsOnLinux(t *testing.T) {
	for _, domain := range domains {
		asLinux(t, func(s *script) {
			_, c, a := s.pair(domain)
			s.set("SO_LINGER", a, unix.SOL_SOCKET, unix.SO_LINGER, 1, 0, 0, 0, 0, 0, 0, 0)
			s.close(a)
			s.events("the client after a reset", c)
			s.option("SO_ERROR", c, unix.SOL_SOCKET, unix.SO_ERROR, 4)
			s.option("SO_ERROR again", c, unix.SOL_SOCKET, unix.SO_ERROR, 4)
			s.recv("the client after SO_ERROR", c, 1, 0)
			s.send("the client after SO_ERROR", c, "x", 0)

			_, c, a = s.pair(domain)
			s.set("SO_LINGER", a, unix.SOL_SOCKET, unix.SO_LINGER, 1, 0, 0, 0, 0, 0, 0, 0)
			s.close(a)
			s.recv("the client after a reset", c, 1, 0)
			s.recv("the client after a reset, again", c, 1, 0)
			s.send("the client after a reset", c, "x", 0)

			_, c, a = s.pair(domain) // unread data makes a close a reset: RFC 9293 §3.6
			s.send("the client", c, "unread", 0)
			s.close(a)
			s.recv("the client", c, 1, 0)
		})
	}
}

func TestConnectRefusedAsOnLinux(t *testing.T) {
	for _, domain := range domains {
		asLinux(t, func(s *script) {
			probe := s.socket(domain, unix.SOCK_STREAM, 0)
			closed := s.bound(probe, loopbackOf(domain)) // bound, not listening

			c := s.socket(domain, unix.SOCK_STREAM, 0)
			_ = s.Connect(c, closed) // Linux may know at once, over loopback
			s.events("the client", c)
			s.option("SO_ERROR", c, unix.SOL_SOCKET, unix.SO_ERROR, 4)

			u := s.socket(domain, unix.SOCK_DGRAM, 0)
			s.do("connect a datagram socket", s.Connect(u, closed))
			s.send("the datagram socket", u, "x", 0)
			s.events("the datagram socket", u)
			s.send("the datagram socket, refused", u, "x", 0)
			s.recv("the datagram socket, refused again", u, 1, 0)
			s.recv("the datagram socket", u, 1, 0)
		})
	}
}

func TestDatagramsAsOnLinux(t *testing.T) {
	for _, domain := range domains {
		asLinux(t, func(s *script) {
			a, b := s.socket(domain, unix.SOCK_DGRAM, 0), s.socket(domain, unix.SOCK_DGRAM, 0)
			s.events("a fresh socket", a)
			s.do("listen", s.Listen(a, 1))
			s.do("accept", second(s.Accept(a)))
			s.do("shutdown of an unconnected socket", s.Shutdown(s.socket(domain, unix.SOCK_DGRAM, 0), unix.SHUT_WR))
			s.send("a socket without a peer", a, "x", 0)
			to := s.bound(b, loopbackOf(domain))
			n, err := s.SendTo(a, []byte("12345678"), to, 0)
			s.note("send to: %d %s", n, name(err))
			s.events("the receiver", b)
			s.recv("b, peeking", b, 4, unix.MSG_PEEK)
			s.recv("b, peeking for the size", b, 4, unix.MSG_PEEK|unix.MSG_TRUNC)
			s.recv("b, nothing wanted", b, 0, unix.MSG_PEEK)
			s.recv("b, truncated", b, 4, 0)
			s.recv("b, no more", b, 4, 0)

			s.do("connect", s.Connect(a, to))
			s.send("a, empty", a, "", 0)
			s.events("the receiver of nothing", b)
			s.recv("b, empty", b, 4, 0)
			s.send("a, too long", a, strings.Repeat("x", 70000), 0)
			peer, err := s.PeerAddr(a)
			s.note("peer is right: %v %s", peer == to, name(err))
			s.do("disconnect", s.Connect(a, netip.AddrPort{}))
			s.do("peer of a disconnected socket", err2(s.PeerAddr(a)))
			s.send("a, disconnected", a, "x", 0)

			s.do("connect", s.Connect(a, to))
			s.do("shutdown for reading", s.Shutdown(a, unix.SHUT_RD))
			s.events("a, shut down for reading", a)
			s.do("shutdown for writing", s.Shutdown(a, unix.SHUT_WR))
			s.send("a, shut down for writing", a, "x", 0)
			s.events("a, shut down", a)
			s.do("wrong shutdown", s.Shutdown(a, 3))
		})
	}
}

func TestBindingAsOnLinux(t *testing.T) {
	for _, domain := range domains {
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			asLinux(t, func(s *script) {
				a, b := s.socket(domain, typ, 0), s.socket(domain, typ, 0)
				to := s.bound(a, loopbackOf(domain))
				s.do("bind to a port in use", s.Bind(b, to))
				foreign := netip.MustParseAddr("192.0.2.1")
				if domain == unix.AF_INET6 {
					foreign = netip.MustParseAddr("2001:db8::1")
				}
				s.do("bind to a foreign address", s.Bind(b, netip.AddrPortFrom(foreign, 0)))
				one := []byte{1, 0, 0, 0}
				c, d := s.socket(domain, typ, 0), s.socket(domain, typ, 0)
				s.set("SO_REUSEPORT", c, unix.SOL_SOCKET, unix.SO_REUSEPORT, one...)
				s.set("SO_REUSEPORT", d, unix.SOL_SOCKET, unix.SO_REUSEPORT, one...)
				to = s.bound(c, loopbackOf(domain))
				s.do("bind with SO_REUSEPORT", s.Bind(d, to))
				s.do("bind twice", s.Bind(d, to))
				s.do("close a handle that is none", s.Close(1<<20))
				s.do("bind a handle that is none", s.Bind(1<<20, to))
			})
		}
	}
}

func TestDualStackAsOnLinux(t *testing.T) {
	for _, v6only := range []byte{0, 1} {
		asLinux(t, func(s *script) {
			l := s.socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
			s.set("IPV6_V6ONLY", l, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only, 0, 0, 0)
			port := s.bound(l, netip.IPv6Unspecified()).Port()
			s.set("IPV6_V6ONLY of a bound socket", l, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, 0, 0, 0)
			s.do("listen", s.Listen(l, 5))
			c := s.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			_ = s.Connect(c, netip.AddrPortFrom(loopbackOf(unix.AF_INET), port))
			s.settle()
			a, peer, err := s.Accept(l)
			s.note("accept from %v: %s", peer.Addr(), name(err))
			if err == nil {
				s.open = append(s.open, a)
				local, err := s.LocalAddr(a)
				s.note("local %v %s", local.Addr(), name(err))
			}
			s.option("SO_ERROR", c, unix.SOL_SOCKET, unix.SO_ERROR, 4)

			u := s.socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
			s.set("IPV6_V6ONLY", u, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only, 0, 0, 0)
			r := s.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			to := s.bound(r, loopbackOf(unix.AF_INET))
			mapped := netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
			_, err = s.SendTo(u, []byte("mapped"), mapped, 0)
			s.do("send to a mapped address", err)
			s.recv("the IPv4 socket", r, 10, 0)
		})
	}
}

func TestUnspecifiedAddressesAsOnLinux(t *testing.T) {
	for _, domain := range domains {
		any := netip.IPv4Unspecified()
		if domain == unix.AF_INET6 {
			any = netip.IPv6Unspecified()
		}
		asLinux(t, func(s *script) {
			l := s.socket(domain, unix.SOCK_STREAM, 0)
			s.do("listen unbound", s.Listen(l, 5))
			local, err := s.LocalAddr(l)
			s.note("local %v %v %s", local.Addr(), local.Port() != 0, name(err))
			c := s.socket(domain, unix.SOCK_STREAM, 0)
			_ = s.Connect(c, netip.AddrPortFrom(any, local.Port()))
			s.settle()
			peer, err := s.PeerAddr(c)
			s.note("peer %v %s", peer.Addr(), name(err))
			a, from, err := s.Accept(l)
			s.note("accept from %v: %s", from.Addr(), name(err))
			s.open = append(s.open, a)

			u, v := s.socket(domain, unix.SOCK_DGRAM, 0), s.socket(domain, unix.SOCK_DGRAM, 0)
			to := s.bound(u, any)
			local, err = s.LocalAddr(u)
			s.note("bound to %v %s", local.Addr(), name(err))
			_, err = s.SendTo(v, []byte("to any"), to, 0)
			s.do("send to the unspecified address", err)
			s.recv("u", u, 10, 0)
			s.do("connect to the unspecified address", s.Connect(v, to))
			peer, err = s.PeerAddr(v)
			s.note("peer %v %s", peer.Addr(), name(err))
			local, err = s.LocalAddr(v)
			s.note("local %v %s", local.Addr(), name(err))
			s.do("connect to port 0", s.Connect(v, netip.AddrPortFrom(loopbackOf(domain), 0)))
		})
	}
}

func second(_ stack.Handle, _ netip.AddrPort, err error) error { return err }
func err2(_ netip.AddrPort, err error) error                   { return err }
