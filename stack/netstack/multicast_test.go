package netstack

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/simnet"
)

func TestMulticast(t *testing.T) {
	w := newNetwork(t, simnet.Config{})
	nic := cint(int(nicOf(0)))
	for _, c := range []struct {
		group, from netip.Addr
		level       int
		join, leave int
		mreq        []byte
		ifOpt       int
		ifValue     []byte
	}{
		{addr("239.1.2.3"), a4, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, unix.IP_DROP_MEMBERSHIP,
			append(addr("239.1.2.3").AsSlice(), b4.AsSlice()...), unix.IP_MULTICAST_IF, a4.AsSlice()},
		{addr("239.1.2.4"), a4, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, unix.IP_DROP_MEMBERSHIP,
			append(append(addr("239.1.2.4").AsSlice(), 0, 0, 0, 0), nic...), unix.IP_MULTICAST_IF, append([]byte{0, 0, 0, 0, 0, 0, 0, 0}, nic...)},
		{addr("ff05::123"), a6, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, unix.IPV6_LEAVE_GROUP,
			append(addr("ff05::123").AsSlice(), nic...), unix.IPV6_MULTICAST_IF, nic},
	} {
		r := w.b.open(family(c.group), unix.SOCK_DGRAM, 0)
		any := netip.AddrPortFrom(unspecified(c.group), 5353)
		w.b.ok(w.b.Bind(r, any))
		s := w.a.open(family(c.group), unix.SOCK_DGRAM, 0)
		w.a.ok(w.a.SetOption(s, c.level, c.ifOpt, c.ifValue))
		got := func() bool {
			if _, err := w.a.SendTo(s, []byte("group"), netip.AddrPortFrom(c.group, 5353), 0); err != nil {
				t.Fatalf("send to %v: %v", c.group, err)
			}
			return w.sim.Run(time.Second, func() bool { _, err := w.b.Recv(r, make([]byte, 10), 0); return err == nil })
		}
		if got() {
			t.Errorf("%v arrived before the group was joined", c.group)
		}
		w.b.ok(w.b.SetOption(r, c.level, c.join, c.mreq))
		if err := w.b.SetOption(r, c.level, c.join, c.mreq); err != syscall.EADDRINUSE {
			t.Errorf("joined twice: %v, want EADDRINUSE", err)
		}
		if !got() {
			t.Errorf("%v did not arrive", c.group)
		}
		w.b.ok(w.b.SetOption(r, c.level, c.leave, c.mreq))
		if err := w.b.SetOption(r, c.level, c.leave, c.mreq); err != syscall.EADDRNOTAVAIL {
			t.Errorf("left twice: %v, want EADDRNOTAVAIL", err)
		}
		if got() {
			t.Errorf("%v arrived after the group was left", c.group)
		}
		if err := w.b.SetOption(r, c.level, c.join, c.mreq[:6]); err != syscall.EINVAL {
			t.Errorf("half a request: %v, want EINVAL", err)
		}
		w.b.ok(w.b.Close(r))
	}
}
