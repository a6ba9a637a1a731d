package netstack

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/simnet"
)

func TestUDPCarriesDatagramsBothWays(t *testing.T) {
	for _, ip := range []struct{ a, b netip.Addr }{{a4, b4}, {a6, b6}} {
		for _, size := range []int{0, 1, 1400, 8000, 65507 - 20} { // the last ones in fragments
			w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
			sa := w.a.open(family(ip.a), unix.SOCK_DGRAM, 0)
			sb := w.b.open(family(ip.b), unix.SOCK_DGRAM, 0)
			w.b.ok(w.b.Bind(sb, netip.AddrPortFrom(ip.b, 53)))
			data, buf := random(uint64(size), size), make([]byte, 65536)
			if n, err := w.a.SendTo(sa, data, netip.AddrPortFrom(ip.b, 53), 0); n != size || err != nil {
				t.Fatalf("send %d bytes: %d, %v", size, n, err)
			}
			var from netip.AddrPort
			w.until(time.Second, "request", func() bool {
				n, f, err := w.b.RecvFrom(sb, buf, 0)
				if err == syscall.EAGAIN {
					return false
				}
				if err != nil || !bytes.Equal(buf[:n], data) || f.Addr() != ip.a {
					t.Fatalf("received %d bytes of %d from %v: %v", n, size, f, err)
				}
				from = f
				return true
			})
			if _, err := w.b.SendTo(sb, data, from, 0); err != nil {
				t.Fatal(err)
			}
			w.until(time.Second, "answer", func() bool {
				n, f, err := w.a.RecvFrom(sa, buf, 0)
				if err == syscall.EAGAIN {
					return false
				}
				if err != nil || !bytes.Equal(buf[:n], data) || f != netip.AddrPortFrom(ip.b, 53) {
					t.Fatalf("received %d bytes of %d from %v: %v", n, size, f, err)
				}
				return true
			})
		}
	}
}

func TestFlagsThatAreNotSupported(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	u := w.a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	c, _ := w.connect(netip.AddrPortFrom(b4, 80))
	for _, err := range []error{
		third(w.a.Send(u, []byte("x"), unix.MSG_MORE)), third(w.a.Send(c, []byte("x"), unix.MSG_OOB)), third(w.a.Recv(u, nil, unix.MSG_ERRQUEUE)),
	} {
		if err != syscall.EOPNOTSUPP {
			t.Errorf("%v, want EOPNOTSUPP", err)
		}
	}
}

func third(_ int, err error) error { return err }
