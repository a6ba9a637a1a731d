package fstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameserver answers on b for host.test (A and AAAA of b, IPv6 of a host that is silent), big.test (too much for a
// datagram) and alias.test; all else does not exist.
type nameserver struct {
	udp  net.PacketConn
	tcp  net.Listener
	addr netip.AddrPort
	asks atomic.Int32
}

func serveNames(t *testing.T, s *Stack, address string) *nameserver {
	t.Helper()
	n := new(nameserver)
	var err error
	if n.udp, err = s.ListenPacket("udp", address); err != nil {
		t.Fatal(err)
	}
	n.addr = netip.MustParseAddrPort(n.udp.LocalAddr().String())
	if n.tcp, err = s.Listen("tcp", n.addr.String()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 2)
	go func() { n.serveUDP(t); done <- struct{}{} }()
	go func() { n.serveTCP(t); done <- struct{}{} }()
	t.Cleanup(func() {
		n.udp.Close()
		n.tcp.Close()
		<-done
		<-done
	})
	return n
}

func (n *nameserver) serveUDP(t *testing.T) {
	buf := make([]byte, 1500)
	for {
		l, from, err := n.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		n.asks.Add(1)
		n.udp.WriteTo(n.answer(t, buf[:l], true), from)
	}
}

func (n *nameserver) serveTCP(t *testing.T) {
	for {
		c, err := n.tcp.Accept()
		if err != nil {
			return
		}
		var size [2]byte
		io.ReadFull(c, size[:])
		q := make([]byte, int(size[0])<<8|int(size[1]))
		io.ReadFull(c, q)
		a := n.answer(t, q, false)
		c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...))
		c.Close()
	}
}

func (n *nameserver) answer(t *testing.T, query []byte, datagram bool) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		t.Errorf("a question that cannot be read: %v", err)
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	put := func(name string, body dnsmessage.ResourceBody, typ dnsmessage.Type) {
		h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET, TTL: 1}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: body})
	}
	name := q.Name.String()
	switch {
	case name == "alias.test.":
		put(name, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("host.test.")}, dnsmessage.TypeCNAME)
		name = "host.test."
		fallthrough
	case name == "host.test.":
		switch q.Type {
		case dnsmessage.TypeA:
			put(name, &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}, q.Type)
		case dnsmessage.TypeAAAA:
			put(name, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("fd00::77").As16()}, q.Type)
		}
	case name == "big.test." && q.Type == dnsmessage.TypeTXT:
		if m.Truncated = datagram; !datagram {
			for range 20 {
				put(name, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 200)}}, q.Type)
			}
		}
	case q.Type == dnsmessage.TypePTR:
		put(name, &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("host.test.")}, q.Type)
	case name == "test." && q.Type == dnsmessage.TypeMX:
		put(name, &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("host.test.")}, q.Type)
	case name == "test." && q.Type == dnsmessage.TypeNS:
		put(name, &dnsmessage.NSResource{NS: dnsmessage.MustNewName("host.test.")}, q.Type)
	case name == "_http._tcp.test." && q.Type == dnsmessage.TypeSRV:
		put(name, &dnsmessage.SRVResource{Port: 80, Target: dnsmessage.MustNewName("host.test.")}, q.Type)
	default:
		m.RCode = dnsmessage.RCodeNameError
	}
	b, err := m.Pack()
	if err != nil {
		t.Errorf("an answer that cannot be written: %v", err)
	}
	return b
}

func TestLookup(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 30*time.Second, "look-ups")()
		n := serveNames(t, w.b, b4+":53")
		w.a.Nameservers = []netip.AddrPort{n.addr}
		asDefault(t, w.a)
		for _, c := range []struct {
			name   string
			lookup func() (any, error)
			want   string
		}{
			{"host", func() (any, error) { return LookupHost("host.test.") }, "10.0.0.2 fd00::77"},
			{"alias", func() (any, error) { return LookupHost("alias.test.") }, "10.0.0.2 fd00::77"},
			{"literal", func() (any, error) { return LookupHost("10.0.0.9") }, "10.0.0.9"},
			{"ip4", func() (any, error) { return DefaultResolver.LookupIP(context.Background(), "ip4", "host.test.") }, "10.0.0.2"},
			{"ip", func() (any, error) { return LookupIP("host.test.") }, "10.0.0.2 fd00::77"},
			{"zones", func() (any, error) { return DefaultResolver.LookupIPAddr(context.Background(), "host.test.") }, "10.0.0.2 fd00::77"},
			{"address", func() (any, error) { return LookupAddr("192.0.2.8") }, "host.test."},
			{"cname", func() (any, error) { c, err := LookupCNAME("alias.test."); return []string{c}, err }, "host.test."},
			{"text over TCP", func() (any, error) { return LookupTXT("big.test.") }, strings.TrimSpace(strings.Repeat(strings.Repeat("x", 200)+" ", 20))},
			{"port", func() (any, error) { p, err := LookupPort("tcp", "80"); return []int{p}, err }, "80"},
			{"mx", func() (any, error) {
				mx, err := LookupMX("test.")
				return []string{mx[0].Host}, err
			}, "host.test."},
			{"ns", func() (any, error) {
				ns, err := LookupNS("test.")
				return []string{ns[0].Host}, err
			}, "host.test."},
			{"srv", func() (any, error) {
				_, srv, err := LookupSRV("http", "tcp", "test.")
				return []string{srv[0].Target}, err
			}, "host.test."},
		} {
			t.Run(c.name, func(t *testing.T) {
				got, err := c.lookup()
				if err != nil {
					t.Fatal(err)
				}
				if !sameWords(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		}
		_, err := LookupHost("nosuch.test.")
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("a name that does not exist gave %v", err)
		}
	})
}

func sameWords(got any, want string) bool {
	s := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "{", " ", "}", " ").Replace(fmt.Sprint(got)))
	words := strings.Fields(want)
	if len(s) != len(words) {
		return false
	}
	count := map[string]int{}
	for i := range s {
		count[s[i]]++
		count[words[i]]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestDialName dials a name of which one address does not answer.
func TestDialName(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 20*time.Second, "dial by name")()
		n := serveNames(t, w.b, b4+":0")
		w.a.Nameservers = []netip.AddrPort{n.addr}
		l := w.listen(t, "tcp", "")
		for _, network := range []string{"tcp", "tcp4"} {
			c, err := w.a.Dial(network, "host.test."+port(l.Addr()))
			if err != nil {
				t.Fatal(err)
			}
			if c.RemoteAddr().String() != b4+port(l.Addr()) {
				t.Errorf("connected to %v", c.RemoteAddr())
			}
			c.Close()
		}
		_, err := w.a.Dial("tcp", "nosuch.test.:80")
		var dns *net.DNSError
		if !errors.As(err, &dns) || !strings.HasPrefix(err.Error(), "dial tcp: lookup nosuch.test.") {
			t.Errorf("a name that does not exist gave %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err = w.a.DialContext(ctx, "tcp", "host.test.:80"); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled look-up gave %v", err)
		}
	})
}

// TestNextNameserver has a look-up go on to the second nameserver, and the ones after it stay there.
func TestNextNameserver(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		defer within(t, 30*time.Second, "look-up")()
		n := serveNames(t, w.b, b4+":0")
		w.a.Nameservers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:1"), n.addr} // the first refuses
		for range 2 {
			got, err := (&Resolver{Stack: w.a}).LookupHost(context.Background(), "host.test.")
			if err != nil || len(got) != 2 {
				t.Fatalf("got %v, %v", got, err)
			}
		}
		if turn := w.a.nameserver.Load(); turn%2 != 1 {
			t.Errorf("the nameserver that answers is not the one to ask: turn %d", turn)
		}
	})
}

func TestLoopbackNameserverOfTheKernel(t *testing.T) {
	w := fakeWorld(t)
	_, err := w.a.dialNameserver(context.Background(), "udp", "127.0.0.53:53")
	if err == nil || !strings.Contains(err.Error(), "set [stack] nameserver") {
		t.Errorf("got %v", err)
	}
}

func TestResolverDial(t *testing.T) {
	var asked atomic.Int32
	r := &Resolver{Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("not today")
	}}
	if _, err := r.LookupHost(context.Background(), "host.test."); err == nil || asked.Load() == 0 {
		t.Errorf("got %v after %d calls of Dial", err, asked.Load())
	}
	if got, err := (*Resolver)(nil).LookupHost(context.Background(), "10.0.0.1"); err != nil || len(got) != 1 {
		t.Errorf("a nil Resolver gave %v, %v", got, err)
	}
}
