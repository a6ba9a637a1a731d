package fstack

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
)

// TestPing sends echo requests from a raw socket; b's stack answers them.
func TestPing(t *testing.T) {
	w := simWorld(t, true, simnet.Config{}, stack.IdleAdaptive)
	for _, c := range []struct {
		network, local string
		to             net.IP
		ask, answer    icmp.Type
		proto          int
	}{
		{"ip4:icmp", "10.0.0.1", net.IPv4(10, 0, 0, 2), ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, 1},
		{"ip4:1", "", net.IPv4(10, 0, 0, 2), ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, 1},
		{"ip6:ipv6-icmp", "fd00::1", net.ParseIP("fd00::2"), ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58},
	} {
		t.Run(c.network+" "+c.local, func(t *testing.T) {
			pc, err := w.a.ListenPacket(c.network, c.local)
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			var pseudo []byte
			if c.proto == 58 {
				pseudo = icmp.IPv6PseudoHeader(net.ParseIP(c.local), c.to)
			}
			m := icmp.Message{Type: c.ask, Body: &icmp.Echo{ID: 7, Seq: 1, Data: []byte("ping")}}
			b, err := m.Marshal(pseudo)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := pc.WriteTo(b, &net.IPAddr{IP: c.to}); n != len(b) || err != nil {
				t.Fatalf("WriteTo: %d, %v", n, err)
			}
			pc.SetReadDeadline(time.Now().Add(5 * time.Second))
			buf := make([]byte, 1500)
			for {
				n, from, err := pc.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				r, err := icmp.ParseMessage(c.proto, buf[:n])
				if err != nil || r.Type != c.answer {
					continue // neighbour discovery, or our own request
				}
				if e := r.Body.(*icmp.Echo); e.ID != 7 || !bytes.Equal(e.Data, []byte("ping")) || !from.(*net.IPAddr).IP.Equal(c.to) {
					t.Errorf("answer %v from %v", e, from)
				}
				break
			}
		})
	}
	c, err := w.a.Dial("ip4:icmp", b4)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != b4 || c.RemoteAddr().Network() != "ip" {
		t.Errorf("connected to %v", c.RemoteAddr())
	}
}

func TestStripIPv4(t *testing.T) {
	for _, c := range []struct{ in, want []byte }{
		{[]byte{}, []byte{}},
		{[]byte{0x45, 1, 2}, []byte{0x45, 1, 2}},
		{append(bytes.Repeat([]byte{0x45}, 20), 7, 8), []byte{7, 8}},
		{append(bytes.Repeat([]byte{0x46}, 24), 9), []byte{9}},
		{bytes.Repeat([]byte{0x4f}, 30), []byte{}}, // says it has 60 bytes of header
	} {
		b := bytes.Clone(c.in)
		if n := stripIPv4(b, len(b)); !bytes.Equal(b[:n], c.want) {
			t.Errorf("%v became %v, want %v", c.in, b[:n], c.want)
		}
	}
}
