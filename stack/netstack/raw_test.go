package netstack

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// receive waits for a datagram at a.
func (w *network) receive(h stack.Handle) (b []byte, from netip.AddrPort) {
	w.Helper()
	buf := make([]byte, 4096)
	w.until(time.Second, "a datagram", func() bool {
		n, f, err := w.a.RecvFrom(h, buf, 0)
		if err != nil && err != syscall.EAGAIN {
			w.Fatal(err)
		}
		b, from = buf[:n], f
		return err == nil
	})
	return b, from
}

func TestRawSockets(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	data := []byte("raw data")
	for _, to := range []netip.Addr{b4, b6} {
		proto, request := echo(a4, b4, data)
		if to.Is6() {
			proto, request = echo(a6, b6, data)
		}
		h := w.a.open(family(to), unix.SOCK_RAW, int(proto))
		if to.Is6() { // only echo replies, not neighbour discovery
			filter := bytes.Repeat([]byte{0xff}, 32)
			filter[header.ICMPv6EchoReply/8] &^= 1 << (header.ICMPv6EchoReply % 8)
			w.a.ok(w.a.SetOption(h, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, filter))
			got := make([]byte, 32)
			if n, err := w.a.Option(h, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, got); n != 32 || err != nil || !bytes.Equal(got, filter) {
				t.Errorf("filter %x, %v", got[:n], err)
			}
		}
		if _, err := w.a.SendTo(h, request, netip.AddrPortFrom(to, 0), 0); err != nil {
			t.Fatalf("to %v: %v", to, err)
		}
		b, from := w.receive(h)
		if from.Addr() != to || !bytes.HasSuffix(b, data) {
			t.Errorf("%q from %v", b, from)
		}
		if head := len(b) - len(request); to.Is4() && head != header.IPv4MinimumSize || to.Is6() && head != 0 {
			t.Errorf("%d bytes before ICMP from %v: IPv4 has its header, IPv6 has not (RFC 3542 §3)", head, to)
		}
		w.a.Close(h)
	}
}

// TestHeaderIncluded sends a whole IPv4 packet, and has gVisor fill in what Linux does.
func TestHeaderIncluded(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	r := w.b.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	w.b.ok(w.b.Bind(r, netip.AddrPortFrom(b4, 7)))
	packet := ip(a4, b4, 17, datagram(netip.AddrPortFrom(a4, 1234), netip.AddrPortFrom(b4, 7), []byte("whole")))
	header.IPv4(packet).SetTotalLength(0)
	header.IPv4(packet).SetChecksum(0)
	for _, proto := range []int{unix.IPPROTO_RAW, unix.IPPROTO_UDP} {
		h := w.a.open(unix.AF_INET, unix.SOCK_RAW, proto)
		if proto != unix.IPPROTO_RAW { // which implies it: raw(7)
			w.a.ok(w.a.SetOption(h, unix.IPPROTO_IP, unix.IP_HDRINCL, cint(1)))
		}
		_, err := w.a.SendTo(h, packet, netip.AddrPortFrom(b4, 0), 0)
		w.a.ok(err)
		w.until(time.Second, "the packet", func() bool {
			b := make([]byte, 10)
			n, from, err := w.b.RecvFrom(r, b, 0)
			return err == nil && string(b[:n]) == "whole" && from == netip.AddrPortFrom(a4, 1234)
		})
	}
}

func TestOpenErrors(t *testing.T) {
	with, without := newSolo(t, newFake(4, 1514, 0), Config{TCP: true}), newSolo(t, newFake(4, 1514, 0), Config{})
	for _, c := range []struct {
		s                  *solo
		domain, typ, proto int
		want               error
	}{
		{with, unix.AF_INET, unix.SOCK_STREAM, 0, nil},
		{with, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP, nil},
		{with, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_TCP, nil},
		{without, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_TCP, nil},
		{without, unix.AF_INET, unix.SOCK_RAW, 143, nil},
		{without, unix.AF_INET, unix.SOCK_STREAM, 0, syscall.EPROTONOSUPPORT},
		{with, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP, syscall.EPROTONOSUPPORT},
		{with, unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_TCP, syscall.EPROTONOSUPPORT},
		{with, unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6, syscall.EPROTONOSUPPORT},
		{with, unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, syscall.EPROTONOSUPPORT},
		{with, unix.AF_INET, unix.SOCK_RAW, 0, syscall.EPROTONOSUPPORT},
		{with, unix.AF_INET, unix.SOCK_SEQPACKET, 0, syscall.ESOCKTNOSUPPORT},
		{with, unix.AF_INET, unix.SOCK_STREAM, 256, syscall.EINVAL},
		{with, unix.AF_INET, unix.SOCK_STREAM, -1, syscall.EINVAL},
		{with, unix.AF_UNIX, unix.SOCK_STREAM, 0, syscall.EAFNOSUPPORT},
	} {
		if _, err := c.s.Open(c.domain, c.typ, c.proto); err != c.want {
			t.Errorf("open %d, %d, %d: %v, want %v", c.domain, c.typ, c.proto, err, c.want)
		}
	}
	h := with.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := with.Connect(h, netip.AddrPortFrom(b6, 1)); err != syscall.EAFNOSUPPORT {
		t.Errorf("connect of an IPv4 socket to IPv6: %v", err)
	}
	with.ok(with.Close(h))
	for what, err := range map[string]error{
		"bind": with.Bind(h, netip.AddrPortFrom(a4, 1)), "listen": with.Listen(h, 1), "connect": with.Connect(h, netip.AddrPortFrom(b4, 1)),
		"shutdown": with.Shutdown(h, 0), "close": with.Close(h), "accept": second(with.Accept(h)), "local": err2(with.LocalAddr(h)),
		"peer": err2(with.PeerAddr(h)), "set": with.SetOption(h, 1, 1, cint(1)),
	} {
		if err != syscall.EBADF {
			t.Errorf("%s of a closed handle: %v, want EBADF", what, err)
		}
	}
}

func TestPortsRunOut(t *testing.T) {
	s := newSolo(t, newFake(64, 1514, 0), Config{TCP: true})
	s.ok(s.SetSysctl("net.inet.ip.portrange.first", "40000"))
	s.ok(s.SetSysctl("net.inet.ip.portrange.last", "40001"))
	for i := range 3 {
		err := s.Bind(s.open(unix.AF_INET, unix.SOCK_DGRAM, 0), netip.AddrPortFrom(a4, 0))
		if want := error(nil); i == 2 && err != syscall.EADDRINUSE || i < 2 && err != want {
			t.Errorf("bind %d: %v", i, err)
		}
		err = s.Connect(s.open(unix.AF_INET, unix.SOCK_STREAM, 0), netip.AddrPortFrom(b4, 80))
		if i == 2 && err != syscall.EADDRNOTAVAIL || i < 2 && err != syscall.EINPROGRESS {
			t.Errorf("connect %d: %v", i, err)
		}
	}
}
