package steer_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/wire"
)

func each(t *testing.T, lcores int, f func(w *world)) {
	for _, md := range modes {
		t.Run(md.name, func(t *testing.T) { f(newWorld(t, md, lcores, simnet.Config{Latency: 50 * time.Microsecond})) })
	}
}

// TestNeighboursAreKnownToAll: one request on the wire is enough for all workers, none is answered twice, and who moves
// to another link address is followed by all.
func TestNeighboursAreKnownToAll(t *testing.T) {
	each(t, 3, func(w *world) {
		for _, h := range w.living() {
			h.listen(80)
		}
		conns := w.open(60, 80) // the client asks for both addresses of the server
		known := func(mac [6]byte) {
			t := w.TB
			t.Helper()
			for _, h := range w.living() {
				seen := map[netip.Addr][6]byte{}
				for _, n := range h.net.Neighbours() {
					seen[n.Addr] = n.MAC
				}
				if seen[client4] != mac || seen[client6] != mac {
					t.Errorf("worker %s knows the client as %x and %x, want %x", h.name, seen[client4], seen[client6], mac)
				}
			}
		}
		known([6]byte{2, 0, 0, 0, 0, 2})

		// A frame for a queue at random, of each kind that says it.
		moved := [6]byte{2, 0, 0, 0, 0, 0x22}
		w.wire.Inject(0, gratuitous(client4, moved))
		w.wire.Inject(0, advertisement(client6, moved))
		w.sleep(time.Millisecond)
		known(moved)
		back := [6]byte{2, 0, 0, 0, 0, 2}
		w.wire.Inject(0, gratuitous(client4, back))
		w.wire.Inject(0, advertisement(client6, back))
		w.sleep(time.Millisecond)
		known(back)
		w.exchange("after the moves", conns)

		answers := 0
		w.tap2(func(b []byte) {
			if wire.EthernetAt(b).Type() == wire.TypeARP && b[21] == 2 || wire.EthernetAt(b).Type() == wire.TypeIPv6 && b[20] == wire.ProtoICMPv6 && b[54] == 136 {
				answers++
			}
		})
		w.wire.Inject(0, arpRequest(netip.MustParseAddr("10.0.0.77"), server4, [6]byte{2, 0, 0, 0, 0, 0x77}))
		w.wire.Inject(0, solicitation(netip.MustParseAddr("fd00::77"), server6, [6]byte{2, 0, 0, 0, 0, 0x77}))
		w.sleep(time.Millisecond)
		if answers != 2 {
			w.Errorf("%d answers to two requests", answers)
		}
		for _, h := range w.living() {
			n := 0
			for _, x := range h.net.Neighbours() {
				if x.MAC == [6]byte{2, 0, 0, 0, 0, 0x77} {
					n++
				}
			}
			if n != 2 {
				w.Errorf("worker %s has learned %d of two new neighbours", h.name, n)
			}
		}
	})
}

// TestLostNeighbour: connections notice that the next hop is gone, and go on when it is back.
func TestLostNeighbour(t *testing.T) {
	each(t, 2, func(w *world) {
		for _, h := range w.living() {
			h.listen(80)
		}
		conns := w.open(200, 80) // enough that each worker has some of either family
		silent := true
		w.nic.lose = func([]byte) bool { return silent }
		for _, h := range w.living() {
			for _, c := range h.accepted {
				c.send("are you there?")
			}
		}
		w.sleep(150 * time.Second) // reachable for up to 45 s, then probed by what is sent again, ever more seldom
		for _, h := range w.living() {
			r, err := h.net.Route(netip.Addr{}, client4)
			w.ok(err)
			if _, state := h.net.Resolve(&r); state == stack.Resolved {
				w.Errorf("worker %s still believes in its neighbour", h.name)
			}
		}
		silent = false
		w.sleep(2 * time.Minute)
		w.all("data after the silence", conns, func(c *conn) bool { return c.got == "are you there?" })
	})
}

// TestPathMTU: a router tells that a packet was too big, at any queue; the worker whose it was sends smaller ones.
func TestPathMTU(t *testing.T) {
	each(t, 3, func(w *world) {
		for _, h := range w.living() {
			h.listen(80)
		}
		conns := w.open(40, 80)
		const mtu = 1300
		lost := 0
		w.tap2(func(b []byte) {
			f, ok := flowOf(b)
			if !ok || f.proto != wire.ProtoTCP || len(b) <= 14+mtu {
				return
			}
			lost++
			w.wire.Inject(0, tooBig(b, mtu))
		})
		w.nic.drop = func(b []byte) bool { return len(b) > 14+mtu }
		data := strings.Repeat("0123456789", 600)
		for _, h := range w.living() {
			for _, c := range h.accepted {
				c.send(data)
			}
		}
		before := w.sim.Now()
		w.all("data through the narrow path", conns, func(c *conn) bool { return c.got == data })
		if took := time.Duration(w.sim.Now() - before); took > 100*time.Millisecond {
			w.Errorf("it took %v: not by the router's word", took)
		}
		if lost < 3 || lost > 40*5 {
			w.Errorf("%d packets were too big", lost)
		}
		reduced := uint64(0)
		for _, h := range w.living() {
			c := h.tcp.Counters()
			if c.PathMTUsReduced == 0 {
				w.Errorf("worker %s has not heard of it", h.name)
			}
			reduced += c.PathMTUsReduced
		}
		if reduced < 6 {
			w.Errorf("%d paths were reduced", reduced)
		}
	})
}

// TestFragmentedSegments: all that comes in is in pieces; whoever puts a segment together, its owner gets it.
func TestFragmentedSegments(t *testing.T) {
	each(t, 3, func(w *world) {
		w.nic.cut = 16
		w.odd()
	})
}

// TestOptionsAndExtensions: all that comes in has a header that only netstack takes off, where a card may not find the
// ports.
func TestOptionsAndExtensions(t *testing.T) {
	each(t, 3, func(w *world) {
		w.nic.wrap = true
		w.odd()
	})
}

// odd opens connections both ways over packets that are not plain.
func (w *world) odd() {
	w.Helper()
	for _, h := range w.living() {
		h.listen(80)
	}
	w.client.listen(8080)
	conns := w.open(60, 80)
	names := w.exchange("request", conns)
	for _, h := range w.living() {
		if names[h.name] == 0 || names[h.name] != len(h.accepted) {
			w.Errorf("worker %s has answered %d of %d connections", h.name, names[h.name], len(h.accepted))
		}
	}
	var out []*conn
	for i := range 60 {
		out = append(out, w.workers[i%3].connect(netip.AddrPortFrom([]netip.Addr{client4, client6}[i%2], 8080), 0))
	}
	w.all("connect out", out, func(c *conn) bool { return c.up })
	w.exchange("request out", out)
	w.quiet("odd packets")
}

func TestDatagramsIn(t *testing.T) {
	each(t, 3, func(w *world) {
		var servers []stack.Handle
		for _, h := range w.living() {
			servers = append(servers, h.datagram(netip.IPv6Unspecified(), 53, netip.AddrPort{}))
		}
		one := w.workers[1].datagram(netip.IPv6Unspecified(), 123, netip.AddrPort{}) // on one worker only
		serve := func() {
			for i, h := range w.living() {
				h.reflect(servers[i])
			}
			w.workers[1].reflect(one)
		}
		for _, size := range []int{5, 5000} {
			names := map[string]int{}
			for i := range 120 {
				to, from := server4, client4
				if i%2 == 1 {
					to, from = server6, client6
				}
				port := uint16(53)
				if i%4 > 1 {
					port = 123
				}
				c := w.client.datagram(from, 0, netip.AddrPortFrom(to, port))
				data := strings.Repeat("x", size)
				_, err := w.client.packets.Send(c, []byte(data), 0)
				w.ok(err)
				buf := make([]byte, 65536)
				w.until(time.Second, "answer", func() bool {
					serve()
					n, err := w.client.packets.Recv(c, buf, 0)
					if err == syscall.EAGAIN {
						return false
					}
					w.ok(err)
					name, rest, _ := strings.Cut(string(buf[:n]), " ")
					if rest != data || port == 123 && name != "1" {
						w.Errorf("%q answers port %d with %d bytes", name, port, len(rest))
					}
					if port == 53 {
						names[name]++
					}
					return true
				})
				w.ok(w.client.packets.Close(c))
			}
			if size == 5 && (names["0"] == 0 || names["1"] == 0 || names["2"] == 0) && !w.tap {
				w.Errorf("answers %v", names)
			}
		}
		w.quiet("datagrams")
	})
}

func TestDatagramsOut(t *testing.T) {
	each(t, 3, func(w *world) {
		servers := []stack.Handle{w.client.datagram(client4, 53, netip.AddrPort{}), w.client.datagram(client6, 53, netip.AddrPort{})}
		for _, size := range []int{5, 5000} {
			for i := range 90 {
				h := w.workers[i%3]
				ip, to := server4, client4
				if i%2 == 1 {
					ip, to = server6, client6
				}
				remote := netip.AddrPortFrom(to, 53)
				before := w.nic.crossed
				var c stack.Handle
				var err error
				data := bytes.Repeat([]byte{'y'}, size)
				if i%4 > 1 {
					c = h.datagram(ip, 0, remote)
					_, err = h.packets.Send(c, data, 0)
				} else {
					c = h.datagram(ip, 0, netip.AddrPort{})
					_, err = h.packets.SendTo(c, data, remote, 0)
				}
				w.ok(err)
				buf := make([]byte, 65536)
				w.until(time.Second, "answer", func() bool {
					for _, s := range servers {
						w.client.reflect(s)
					}
					n, from, err := h.packets.RecvFrom(c, buf, 0)
					if err == syscall.EAGAIN {
						return false
					}
					w.ok(err)
					if from != remote || n != size+len("client ") {
						w.Errorf("%d bytes from %v", n, from)
					}
					return true
				})
				if size == 5 && !w.poller && w.nic.crossed != before {
					w.Errorf("an answer was handed over")
				}
				// What is not from the remote of its first word finds it too.
				if i%4 < 2 && size == 5 {
					local, err := h.packets.LocalAddr(c)
					w.ok(err)
					for range 8 {
						other := w.client.datagram(to, 0, netip.AddrPort{})
						_, err = w.client.packets.SendTo(other, []byte("hello"), netip.AddrPortFrom(ip, local.Port()), 0)
						w.ok(err)
						w.until(time.Second, "a stranger's word", func() bool {
							_, err := h.packets.Recv(c, buf, 0)
							return err == nil
						})
						w.ok(w.client.packets.Close(other))
					}
				}
				w.ok(h.packets.Close(c))
			}
		}
		w.quiet("datagrams")
	})
}

// TestPortUnreachable: the error finds the socket that it is about, and one that nobody wants is answered once.
func TestPortUnreachable(t *testing.T) {
	each(t, 3, func(w *world) {
		for i := range 30 {
			h := w.workers[i%3]
			ip, to := server4, client4
			if i%2 == 1 {
				ip, to = server6, client6
			}
			c := h.datagram(ip, 0, netip.AddrPortFrom(to, 9))
			_, err := h.packets.Send(c, []byte("x"), 0)
			w.ok(err)
			w.until(time.Second, "refusal", func() bool {
				_, err := h.packets.Recv(c, make([]byte, 10), 0)
				return err == syscall.ECONNREFUSED
			})
			w.ok(h.packets.Close(c))
		}
		answers := 0
		w.tap2(func(b []byte) {
			if f, ok := flowOf(b); ok && (f.proto == wire.ProtoICMP || f.proto == wire.ProtoICMPv6 && b[54] == 1) {
				answers++
			}
		})
		for i, size := range []int{10, 10, 4000, 4000} {
			to, from := server4, client4
			if i%2 == 1 {
				to, from = server6, client6
			}
			c := w.client.datagram(from, 0, netip.AddrPortFrom(to, 9))
			_, err := w.client.packets.Send(c, make([]byte, size), 0)
			w.ok(err)
			w.until(time.Second, "refusal", func() bool {
				_, err := w.client.packets.Recv(c, make([]byte, 10), 0)
				return err == syscall.ECONNREFUSED
			})
		}
		w.sleep(10 * time.Millisecond)
		if answers != 4 {
			w.Errorf("%d answers to 4 datagrams", answers)
		}
	})
}

// TestPings: one answer to each, whoever gives it; and the answers to a worker's own pings find it.
func TestPings(t *testing.T) {
	each(t, 3, func(w *world) {
		ping := func(h *host, to netip.Addr, n int) {
			proto, typ := unix.IPPROTO_ICMP, byte(8)
			if to.Is6() {
				proto, typ = unix.IPPROTO_ICMPV6, 128
			}
			s, err := h.packets.Open(family(to), unix.SOCK_DGRAM, proto)
			w.ok(err)
			for i := range n {
				_, err := h.packets.SendTo(s, []byte{typ, 0, 0, 0, 0, 0, 0, byte(i), 'p', 'i', 'n', 'g'}, netip.AddrPortFrom(to, 0), 0)
				w.ok(err)
			}
			got := 0
			w.until(time.Second, "answers", func() bool {
				for {
					if _, err := h.packets.Recv(s, make([]byte, 100), 0); err != nil {
						return got == n
					}
					got++
				}
			})
			w.sleep(time.Millisecond)
			if _, err := h.packets.Recv(s, make([]byte, 100), 0); err != syscall.EAGAIN {
				w.Errorf("more answers than requests")
			}
			w.ok(h.packets.Close(s))
		}
		ping(w.client, server4, 10)
		ping(w.client, server6, 10)
		for _, h := range w.living() {
			ping(h, client4, 5)
			ping(h, client6, 5)
		}
	})
}

// TestMulticast: a datagram to a group is for each worker that is in it.
func TestMulticast(t *testing.T) {
	each(t, 3, func(w *world) {
		group := netip.MustParseAddr("239.1.2.3")
		var socks []stack.Handle
		for _, h := range w.living() {
			s := h.datagram(netip.IPv4Unspecified(), 5000, netip.AddrPort{})
			if h.slot != 2 {
				req := append(group.AsSlice(), server4.AsSlice()...)
				w.ok(h.packets.SetOption(s, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, req))
			}
			socks = append(socks, s)
		}
		c := w.client.datagram(client4, 6000, netip.AddrPort{})
		w.ok(w.client.packets.SetOption(c, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, client4.AsSlice()))
		w.ok(w.client.net.AddRoute(netstack.Route{Dst: netip.MustParsePrefix("224.0.0.0/4"), Port: 0}))
		for _, size := range []int{10, 3000} {
			_, err := w.client.packets.SendTo(c, make([]byte, size), netip.AddrPortFrom(group, 5000), 0)
			w.ok(err)
			w.sleep(10 * time.Millisecond)
			for i, h := range w.living() {
				n, err := h.packets.Recv(socks[i], make([]byte, 4000), 0)
				if i < 2 && (n != size || err != nil) || i == 2 && err != syscall.EAGAIN {
					w.Errorf("worker %d: %d bytes, %v", i, n, err)
				}
				if _, err := h.packets.Recv(socks[i], make([]byte, 4000), 0); err != syscall.EAGAIN {
					w.Errorf("worker %d got it twice", i)
				}
			}
		}
	})
}

// tap2 has f see what the servers send.
func (w *world) tap2(f func(b []byte)) { w.nic.seen = f }

func ethernet(typ uint16, dst, src [6]byte, body ...[]byte) []byte {
	b := make([]byte, 14)
	wire.EthernetAt(b).Set(&dst, &src, typ)
	return append(b, bytes.Join(body, nil)...)
}

var broadcast = [6]byte{255, 255, 255, 255, 255, 255}

func arp(op byte, from, to netip.Addr, mac [6]byte) []byte {
	return ethernet(wire.TypeARP, broadcast, mac, []byte{0, 1, 8, 0, 6, 4, 0, op}, mac[:], from.AsSlice(), make([]byte, 6), to.AsSlice())
}

func arpRequest(from, to netip.Addr, mac [6]byte) []byte { return arp(1, from, to, mac) }
func gratuitous(a netip.Addr, mac [6]byte) []byte        { return arp(2, a, a, mac) }

// icmp6 is an ICMPv6 message in a frame; group: to a multicast link address.
func icmp6(src, dst netip.Addr, mac, to [6]byte, body []byte) []byte {
	s, d := src.As16(), dst.As16()
	ip := make([]byte, wire.IPv6Len)
	wire.IPv6At(ip).Set(0, 0, len(body), wire.ProtoICMPv6, 255, &s, &d)
	binary.BigEndian.PutUint16(body[2:4], ^wire.PseudoIPv6(&s, &d, wire.ProtoICMPv6, len(body)).Add(body).Fold())
	return ethernet(wire.TypeIPv6, to, mac, ip, body)
}

// advertisement is an unsolicited neighbour advertisement that overrides (RFC 4861 §4.4).
func advertisement(a netip.Addr, mac [6]byte) []byte {
	body := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, a.AsSlice()...)
	return icmp6(a, netip.MustParseAddr("ff02::1"), mac, [6]byte{0x33, 0x33, 0, 0, 0, 1}, append(append(body, 2, 1), mac[:]...))
}

func solicitation(from, to netip.Addr, mac [6]byte) []byte {
	t := to.As16()
	group := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]})
	body := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, t[:]...)
	return icmp6(from, group, mac, [6]byte{0x33, 0x33, 0xff, t[13], t[14], t[15]}, append(append(body, 1, 1), mac[:]...))
}

// tooBig is what a router answers to a frame that does not fit its next link.
func tooBig(b []byte, mtu uint16) []byte {
	router := [6]byte{2, 0, 0, 0, 0, 2}
	if wire.EthernetAt(b).Type() == wire.TypeIPv6 {
		body := append([]byte{2, 0, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, b[14:min(len(b), 14+1200)]...)
		return icmp6(client6, netip.AddrFrom16(*wire.IPv6At(b[14:]).Src()), router, [6]byte(serverMAC), body)
	}
	body := append([]byte{3, 4, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, b[14:14+28]...)
	binary.BigEndian.PutUint16(body[2:4], ^wire.Sum(0).Add(body).Fold())
	ip, s := make([]byte, wire.IPv4Len), client4.As4()
	wire.IPv4At(ip).Set(0, len(body), 1, 0, 64, wire.ProtoICMP, &s, wire.IPv4At(b[14:]).Src())
	wire.IPv4At(ip).SetChecksum()
	return ethernet(wire.TypeIPv4, [6]byte(serverMAC), router, ip, body)
}

// TestDuplicateAddressDetection: that all workers have the same addresses is no duplicate, another host with one is, for
// all of them.
func TestDuplicateAddressDetection(t *testing.T) {
	for _, taken := range []bool{false, true} {
		w := newWorld(t, mode{hardware: true, dad: true}, 3, simnet.Config{Latency: 50 * time.Microsecond})
		if taken {
			w.ok(w.client.net.AddAddr(0, netip.PrefixFrom(server6, 64)))
		}
		w.sleep(5 * time.Second)
		for _, h := range w.living() {
			if got := h.net.IsLocal(server6); got == taken {
				t.Errorf("worker %s, address taken by another: %t, used: %t", h.name, taken, got)
			}
			if n := h.net.Counters().DuplicateAddresses; taken != (n > 0) {
				t.Errorf("worker %s, address taken by another: %t, has found %d", h.name, taken, n)
			}
		}
		if taken {
			continue
		}
		// Another host asks whether it may have the address: it is answered, once.
		answers := 0
		w.tap2(func(b []byte) {
			if wire.EthernetAt(b).Type() == wire.TypeIPv6 && b[20] == wire.ProtoICMPv6 && b[54] == 136 {
				answers++
			}
		})
		probe := icmp6(netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1:ff00:1"), [6]byte{2, 0, 0, 0, 0, 0x66}, [6]byte{0x33, 0x33, 0xff, 0, 0, 1},
			append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, server6.AsSlice()...))
		w.wire.Inject(0, probe)
		w.sleep(time.Millisecond)
		if answers != 1 {
			t.Errorf("%d answers to one probe", answers)
		}
		for _, h := range w.living() {
			if !h.net.IsLocal(server6) {
				t.Errorf("worker %s has given up its address", h.name)
			}
		}
	}
}
