package fstack

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// udpPair is a socket of a's that is connected to one of b's, which is not connected.
func udpPair(t *testing.T, w world, network, host string) (a, b *UDPConn) {
	t.Helper()
	pc, err := w.b.ListenPacket(network, host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	to := host
	if host == "" {
		to = b4
	}
	c, err := w.a.Dial("udp", to+port(pc.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*UDPConn), pc.(*UDPConn)
}

func TestUDPEcho(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		for _, c := range []struct{ network, host string }{{"udp", ""}, {"udp4", ""}, {"udp", b4}, {"udp", b6}, {"udp6", b6}} {
			t.Run(c.network+" "+c.host, func(t *testing.T) {
				defer within(t, 5*time.Second, "echo")()
				a, b := udpPair(t, w, c.network, c.host)
				buf := make([]byte, 2000)
				for _, size := range []int{0, 1, 1200} {
					want := bytes.Repeat([]byte{byte(size)}, size)
					if n, err := a.Write(want); n != size || err != nil {
						t.Fatalf("Write: %d, %v", n, err)
					}
					n, from, err := b.ReadFrom(buf)
					if err != nil || !bytes.Equal(buf[:n], want) || from.String() != a.LocalAddr().String() {
						t.Fatalf("ReadFrom: %d bytes of %d from %v, %v; sent from %v", n, size, from, err, a.LocalAddr())
					}
					if n, err := b.WriteTo(want, from); n != size || err != nil {
						t.Fatalf("WriteTo: %d, %v", n, err)
					}
					if n, err := a.Read(buf); err != nil || !bytes.Equal(buf[:n], want) {
						t.Fatalf("Read: %d bytes of %d, %v", n, size, err)
					}
				}
				if b.RemoteAddr() != nil || a.RemoteAddr() == nil {
					t.Errorf("remote addresses are %v and %v", a.RemoteAddr(), b.RemoteAddr())
				}
			})
		}
	})
}

func TestUDPTruncation(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 5*time.Second, "truncation")()
		a, b := udpPair(t, w, "udp", b4)
		buf := make([]byte, 4)
		a.Write([]byte("0")) // what waits for the neighbour's address may be overtaken by what comes when it is there
		if n, err := b.Read(buf); n != 1 || err != nil {
			t.Errorf("Read: %d, %v", n, err)
		}
		for range 3 {
			a.Write([]byte("0123456789"))
		}
		a.Write([]byte("next"))
		if n, _, err := b.ReadFromUDPAddrPort(buf); n != 4 || err != nil || string(buf) != "0123" {
			t.Errorf("ReadFromUDPAddrPort: %q, %v", buf[:n], err)
		}
		if n, oobn, flags, from, err := b.ReadMsgUDPAddrPort(buf, nil); n != 4 || oobn != 0 || flags != unix.MSG_TRUNC || err != nil || from.String() != a.LocalAddr().String() {
			t.Errorf("ReadMsgUDPAddrPort: %d, %d, %#x, %v, %v", n, oobn, flags, from, err)
		}
		if n, err := b.Read(buf); n != 4 || err != nil {
			t.Errorf("Read: %d, %v", n, err)
		}
		if n, _, flags, _, err := b.ReadMsgUDP(buf, nil); n != 4 || flags != 0 || err != nil || string(buf) != "next" {
			t.Errorf("ReadMsgUDP: %q, %#x, %v", buf[:n], flags, err)
		}
	})
}

func TestUDPWrongDestinations(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, b := udpPair(t, w, "udp4", b4)
		p := []byte("x")
		to := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9}
		for _, c := range []struct {
			name string
			err  error
			is   error
			text string
		}{
			{"WriteTo on a connected socket", second(a.WriteTo(p, to)), net.ErrWriteToConnected, ""},
			{"WriteToUDP nil on a connected socket", second(a.WriteToUDP(p, nil)), net.ErrWriteToConnected, ""},
			{"Write on one that is not", second(b.Write(p)), syscall.EDESTADDRREQ, ": write: destination address required"},
			{"WriteTo nil", second(b.WriteTo(p, nil)), errMissingAddress, ": missing address"},
			{"WriteTo an address of another kind", second(b.WriteTo(p, &net.TCPAddr{IP: to.IP, Port: 9})), syscall.EINVAL, ": invalid argument"},
			{"WriteTo IPv6 on udp4", second(b.WriteTo(p, &net.UDPAddr{IP: net.IPv6loopback, Port: 9})), nil, ": address ::1: non-IPv4 address"},
			{"a datagram that is too long", second(b.WriteTo(make([]byte, 65508), to)), syscall.EMSGSIZE, ": sendto: message too long"},
			{"no route", second(b.WriteTo(p, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9})), nil, ""},
		} {
			var op *net.OpError
			if !errors.As(c.err, &op) || op.Op != "write" || c.is != nil && !errors.Is(c.err, c.is) || !strings.HasSuffix(c.err.Error(), c.text) {
				t.Errorf("%s: %v", c.name, c.err)
			}
		}
		if _, _, err := b.WriteMsgUDP(p, []byte{1}, to); !errors.Is(err, syscall.EOPNOTSUPP) {
			t.Errorf("out-of-band data: %v", err)
		}
		if n, _, err := b.WriteMsgUDPAddrPort(p, nil, netip.MustParseAddrPort("10.0.0.2:9")); n != 1 || err != nil {
			t.Errorf("WriteMsgUDPAddrPort: %d, %v", n, err)
		}
	})
}

func TestUDPRefused(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		c, err := w.a.Dial("udp", b4+":1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte("nobody there"))
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Read after an ICMP error: %v, want ECONNREFUSED", err)
		}
	})
}

func TestUDPLoopback(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 5*time.Second, "loopback")()
		u, err := w.a.ListenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		c, err := w.a.Dial("udp", port(u.LocalAddr())) // no host: this one
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.1:") {
			t.Errorf("connected to %v", c.RemoteAddr())
		}
		c.Write([]byte("self"))
		p := make([]byte, 10)
		if n, from, err := u.ReadFrom(p); string(p[:n]) != "self" || err != nil || from.String() != c.LocalAddr().String() {
			t.Errorf("%q from %v, %v", p[:n], from, err)
		}
	})
}

// TestUDPConcurrent has several goroutines read one socket and several write it.
func TestUDPConcurrent(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		a, b := udpPair(t, w, "udp", b4)
		const each, goroutines = 25, 4
		var got sync.Map
		var readers, writers sync.WaitGroup
		for range goroutines {
			readers.Go(func() {
				p := make([]byte, 10)
				for {
					n, _, err := b.ReadFromUDPAddrPort(p)
					if err != nil {
						return
					}
					got.Store(string(p[:n]), true)
				}
			})
		}
		for g := range byte(goroutines) {
			writers.Go(func() {
				for i := range byte(each) {
					a.Write([]byte{g, i})
					time.Sleep(100 * time.Microsecond)
				}
			})
		}
		writers.Wait()
		count := func() (missing int) {
			missing = each * goroutines
			got.Range(func(any, any) bool { missing--; return true })
			return missing
		}
		if n := settle(0, count); n != 0 {
			t.Errorf("%d of %d datagrams did not come", n, each*goroutines)
		}
		b.Close()
		readers.Wait()
	})
}
