package netstack

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// sockError waits for an error to be pending and takes it.
func (w *network) sockError(h stack.Handle, limit time.Duration) (e syscall.Errno) {
	w.Helper()
	w.until(limit, "a pending error", func() bool {
		b := make([]byte, 4)
		_, err := w.a.Option(h, unix.SOL_SOCKET, unix.SO_ERROR, b)
		w.a.ok(err)
		e = syscall.Errno(native.Uint32(b))
		return e != 0
	})
	return e
}

// TestNobodyAnswersARP has the resolution fail: RFC 1122 §2.3.2.2, §3.3.1.4.
func TestNobodyAnswersARP(t *testing.T) {
	for _, to := range []string{"10.0.0.77", "fd00::77"} {
		to := netip.AddrPortFrom(addr(to), 9)
		w := newNetwork(t, simnet.Config{})
		c := w.a.open(family(to.Addr()), unix.SOCK_STREAM, 0)
		if err := w.a.Connect(c, to); err != syscall.EINPROGRESS {
			t.Fatalf("connect: %v", err)
		}
		if e := w.sockError(c, 10*time.Second); e != syscall.EHOSTUNREACH {
			t.Errorf("connect to %v: %v, want EHOSTUNREACH", to, e)
		}
		if now := time.Duration(w.sim.Now()); now > 4*time.Second {
			t.Errorf("it took %v", now)
		}

		// A datagram is lost without word, as on Linux without IP_RECVERR, and counted.
		lost := w.stat("IP.OutgoingPacketErrors")
		u := w.a.open(family(to.Addr()), unix.SOCK_DGRAM, 0)
		w.a.ok(w.a.Connect(u, to))
		_, err := w.a.Send(u, []byte("x"), 0)
		w.a.ok(err)
		w.sim.Sleep(5 * time.Second)
		_, err = w.a.Send(u, []byte("x"), 0)
		w.a.ok(err)
		if now := w.stat("IP.OutgoingPacketErrors"); now <= lost {
			t.Errorf("datagram to %v: %d outgoing packet errors, had %d before", to, now, lost)
		}
	}
}

// stat is one of gVisor's counters on host a.
func (w *network) stat(name string) (value uint64) {
	found := false
	w.a.EachStat(func(n string, v uint64) {
		if n == name {
			value, found = v, true
		}
	})
	if !found {
		w.Fatalf("no statistic %s", name)
	}
	return value
}

func TestNoRoute(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	for _, to := range []string{"192.0.2.1", "2001:db8::1"} {
		to := netip.AddrPortFrom(addr(to), 9)
		c := w.a.open(family(to.Addr()), unix.SOCK_STREAM, 0)
		if err := w.a.Connect(c, to); err != syscall.ENETUNREACH {
			t.Errorf("connect to %v: %v, want ENETUNREACH", to, err)
		}
		u := w.a.open(family(to.Addr()), unix.SOCK_DGRAM, 0)
		if _, err := w.a.SendTo(u, []byte("x"), to, 0); err != syscall.ENETUNREACH {
			t.Errorf("datagram to %v: %v, want ENETUNREACH", to, err)
		}
	}
}

// TestPortUnreachable has the peer answer with ICMP (RFC 1122 §4.1.3.3) and with a reset.
func TestPortUnreachable(t *testing.T) {
	w := newNetwork(t, simnet.Config{Latency: time.Millisecond})
	for _, ip := range []netip.Addr{b4, b6} {
		to := netip.AddrPortFrom(ip, 9)
		u := w.a.open(family(ip), unix.SOCK_DGRAM, 0)
		w.a.ok(w.a.Connect(u, to))
		_, err := w.a.Send(u, []byte("x"), 0)
		w.a.ok(err)
		if e := w.sockError(u, time.Second); e != syscall.ECONNREFUSED {
			t.Errorf("datagram to %v: %v, want ECONNREFUSED", to, e)
		}
		c := w.a.open(family(ip), unix.SOCK_STREAM, 0)
		_ = w.a.Connect(c, to)
		if e := w.sockError(c, time.Second); e != syscall.ECONNREFUSED {
			t.Errorf("connect to %v: %v, want ECONNREFUSED", to, e)
		}
	}
}

func TestConnectTimesOut(t *testing.T) {
	w := newNetwork(t, simnet.Config{Drop: func(end int, f []byte) bool { return end == 1 && f[12] == 8 && f[13] == 0 }})
	c := w.a.open(unix.AF_INET, unix.SOCK_STREAM, 0)
	w.a.ok(w.a.SetOption(c, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, cint(0)))
	_ = w.a.Connect(c, netip.AddrPortFrom(b4, 80))
	if e := w.sockError(c, 10*time.Minute); e != syscall.ETIMEDOUT {
		t.Errorf("%v, want ETIMEDOUT", e)
	}
}

// TestBroadcast needs SO_BROADCAST, as on Linux.
func TestBroadcast(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	r := w.b.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	w.b.ok(w.b.Bind(r, netip.AddrPortFrom(netip.IPv4Unspecified(), 67)))
	for _, to := range []string{"10.0.0.255", "255.255.255.255"} {
		to := netip.AddrPortFrom(addr(to), 67)
		s := w.a.open(unix.AF_INET, unix.SOCK_DGRAM, 0)
		w.a.ok(w.a.Bind(s, netip.AddrPortFrom(a4, 0)))
		if _, err := w.a.SendTo(s, []byte("all"), to, 0); err != syscall.EACCES {
			t.Errorf("to %v without SO_BROADCAST: %v, want EACCES", to, err)
		}
		w.a.ok(w.a.SetOption(s, unix.SOL_SOCKET, unix.SO_BROADCAST, cint(1)))
		w.a.ok(w.a.SetOption(s, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, []byte("sim0")))
		if _, err := w.a.SendTo(s, []byte("all"), to, 0); err != nil {
			t.Errorf("to %v: %v", to, err)
		}
		w.until(time.Second, "the broadcast", func() bool {
			n, _, err := w.b.RecvFrom(r, make([]byte, 10), 0)
			return err == nil && n == 3
		})
	}
}
