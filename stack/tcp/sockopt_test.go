package tcp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/simnet"
	"github.com/fstack-go/fstack/stack/tcp/cc"
)

func le32(v int) []byte {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(v))
	return b[:]
}

func TestOptionsAsLinuxHasThem(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct {
		domain, level, name, set, get int
		err                           error
	}{
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_REUSEADDR, 7, 1, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, 1, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, 1, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1, 1, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_SNDBUF, 100_000, 200_000, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_RCVBUF, 50_000, 100_000, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_RCVBUF, 1, 2304, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_SNDBUF, 1, 4608, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 5, 5, nil},
		{unix.AF_INET, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, 1, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, 1, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_CORK, 1, 1, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60, 60, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 0, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 32768, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5, 5, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3, 3, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 128, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 2, 2, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 0, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1234, 1234, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, -1, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 3, 3, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_LINGER2, 30, 30, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_LINGER2, -5, -1, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1000, 1000, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 20, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, 20_000, 20_000, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 16_384, 16_384, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0, 0, nil},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 5, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET, unix.IPPROTO_TCP, unix.TCP_MD5SIG, 1, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET, unix.IPPROTO_TCP, 9999, 1, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET, 9999, 1, 1, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET, unix.IPPROTO_IP, unix.IP_TOS, 0x13, 0x10, nil},
		{unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL, 9, 9, nil},
		{unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL, 256, 0, syscall.EINVAL},
		{unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT, unix.IP_PMTUDISC_DONT, nil},
		{unix.AF_INET, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, 0, syscall.ENOPROTOOPT},
		{unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, 1, nil},
		{unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0x20, 0x20, nil},
		{unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 3, 3, nil},
		{unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, -1, 64, nil},
	} {
		h := b.open(t, c.domain)
		err := b.SetOption(h, c.level, c.name, le32(c.set))
		if err != c.err && !(err == nil && c.err == nil) {
			t.Errorf("set %d/%d to %d: %v, want %v", c.level, c.name, c.set, err, c.err)
		}
		if c.err == nil {
			var v [4]byte
			n, err := b.Option(h, c.level, c.name, v[:])
			if got := int(int32(binary.NativeEndian.Uint32(v[:]))); err != nil || n != 4 || got != c.get {
				t.Errorf("get %d/%d after %d: %d, %v, want %d", c.level, c.name, c.set, got, err, c.get)
			}
			if err := b.SetOption(h, c.level, c.name, nil); err != syscall.EINVAL {
				t.Errorf("set %d/%d to nothing: %v, want EINVAL", c.level, c.name, err)
			}
		}
		must(t, b.Close(h))
	}
	b.empty(t, 0)
}

func TestOptionsAreInheritedAndShared(t *testing.T) {
	b := newBench(t, Config{})
	l := b.listen(t, ap(b.ip4, 80))
	must(t, b.SetOption(l, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, le32(77)))
	must(t, b.SetOption(l, unix.IPPROTO_TCP, unix.TCP_NODELAY, le32(1)))
	must(t, b.SetOption(l, unix.SOL_SOCKET, unix.SO_RCVBUF, le32(20_000)))
	var handles []int
	for i := range uint16(20) {
		_, h := b.accept(l, 100+i, nil)
		handles = append(handles, int(h))
		for name, want := range map[int]int{unix.TCP_KEEPIDLE: 77, unix.TCP_NODELAY: 1} {
			var v [4]byte
			b.Option(h, unix.IPPROTO_TCP, name, v[:])
			if got := int(binary.NativeEndian.Uint32(v[:])); got != want {
				t.Fatalf("option %d of an accepted socket is %d, want %d", name, got, want)
			}
		}
	}
	if u := b.Usage(); u.Options != 1 {
		t.Errorf("%d sets of options, want the listener's", u.Options)
	}
	// One that changes has its own from then on.
	must(t, b.SetOption(stack.Handle(handles[3]), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, le32(5)))
	if u := b.Usage(); u.Options != 2 {
		t.Errorf("%d sets of options, want two", u.Options)
	}
	var v [4]byte
	if b.Option(stack.Handle(handles[4]), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, v[:]); v[0] != 77 {
		t.Errorf("the option of another socket has changed to %d", v[0])
	}
}

func TestLingerAndCongestionOptions(t *testing.T) {
	b := newBench(t, Config{})
	h := b.open(t, unix.AF_INET)
	var v [16]byte
	if n, _ := b.Option(h, unix.SOL_SOCKET, unix.SO_LINGER, v[:]); n != 8 || v != ([16]byte{}) {
		t.Errorf("SO_LINGER is %v in %d bytes", v, n)
	}
	must(t, b.SetOption(h, unix.SOL_SOCKET, unix.SO_LINGER, append(le32(1), le32(5)...)))
	if b.Option(h, unix.SOL_SOCKET, unix.SO_LINGER, v[:]); v[0] != 1 || v[4] != 5 {
		t.Errorf("SO_LINGER is %v", v)
	}
	if err := b.SetOption(h, unix.SOL_SOCKET, unix.SO_LINGER, le32(1)); err != syscall.EINVAL {
		t.Errorf("half a struct linger: %v", err)
	}
	if n, _ := b.Option(h, unix.IPPROTO_TCP, unix.TCP_CONGESTION, v[:]); n != 16 || !bytes.HasPrefix(v[:], []byte("cubic\x00")) {
		t.Errorf("congestion control %q", v)
	}
	must(t, b.SetOption(h, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("reno")))
	if b.Option(h, unix.IPPROTO_TCP, unix.TCP_CONGESTION, v[:]); !bytes.HasPrefix(v[:], []byte("reno\x00")) {
		t.Errorf("congestion control %q", v)
	}
	if err := b.SetOption(h, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("nosuch")); err != syscall.ENOENT {
		t.Errorf("no such congestion control: %v, want ENOENT", err)
	}
}

func TestSysctls(t *testing.T) {
	b := newBench(t, Config{})
	for _, name := range Sysctls() {
		if !strings.HasPrefix(name, "net.inet.") && !strings.HasPrefix(name, "kern.ipc.") || SysctlHelp(name) == "" {
			t.Errorf("%s: help %q", name, SysctlHelp(name))
		}
		v, err := b.Sysctl(name)
		must(t, err)
		if err := b.SetSysctl(name, v); err != nil && name != sysctlCCList {
			t.Errorf("%s: its own value %q is refused: %v", name, v, err)
		}
		for _, bad := range []string{"", "x", "-1", "1e9", "99999999999999999999"} {
			if err := b.SetSysctl(name, bad); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: %v", name, bad, err)
			}
		}
		if w, _ := b.Sysctl(name); w != v {
			t.Errorf("%s: changed from %q to %q by bad values", name, v, w)
		}
	}
	if _, err := b.Sysctl("net.inet.tcp.nosuch"); err == nil {
		t.Error("a setting that is not there is told")
	}
	if err := b.SetSysctl("net.inet.ip.portrange.first", "65000"); err == nil {
		t.Error("the range of ports may be empty")
	}
	before := b.open(t, unix.AF_INET)
	must(t, b.SetSysctl("net.inet.tcp.cc.algorithm", "newreno"))
	must(t, b.SetSysctl("net.inet.tcp.recvspace", "30000"))
	must(t, b.SetSysctl("net.inet.tcp.always_keepalive", "1"))
	after := b.open(t, unix.AF_INET)
	id, _ := cc.Lookup("newreno")
	if b.opts.at(b.pcbs.at(uint32(after)).opts).cc != id || b.opts.at(b.pcbs.at(uint32(before)).opts).cc == id {
		t.Error("the congestion control is not that of new sockets only")
	}
	if p := b.pcbs.at(uint32(after)); p.rcvBuf != 30000 || !p.has(flagKeepAlive) {
		t.Error("new sockets do not have the new settings")
	}
}

func TestSysctlsOfTheSYN(t *testing.T) {
	for _, c := range []struct {
		set  [][2]string
		want optionBits
	}{
		{nil, hasMSS | hasScale | hasSACKPerm | hasStamp},
		{[][2]string{{"net.inet.tcp.rfc1323", "0"}}, hasMSS | hasSACKPerm},
		{[][2]string{{"net.inet.tcp.rfc1323", "2"}}, hasMSS | hasScale | hasSACKPerm},
		{[][2]string{{"net.inet.tcp.rfc1323", "3"}}, hasMSS | hasStamp | hasSACKPerm},
		{[][2]string{{"net.inet.tcp.sack.enable", "0"}}, hasMSS | hasScale | hasStamp},
		{[][2]string{{"net.inet.tcp.sack.enable", "0"}, {"net.inet.tcp.rfc1323", "0"}}, hasMSS},
	} {
		b := newBench(t, Config{})
		for _, s := range c.set {
			must(t, b.SetSysctl(s[0], s[1]))
		}
		b.Connect(b.open(t, unix.AF_INET), ap(b.peer, 80))
		b.turn()
		if r := b.next(); r.opts.has != c.want || r.opts.mss != 1460 {
			t.Errorf("%v: options %#x, MSS %d, want %#x", c.set, r.opts.has, r.opts.mss, c.want)
		}
		l := b.listen(t, ap(b.ip4, 80))
		_ = l
		b.send(packet{src: ap(b.peer, 1), dst: ap(b.ip4, 80), flags: 2, opts: synOptions, wnd: 100})
		if r := b.next(); r.opts.has != c.want {
			t.Errorf("%v: options of the SYN-ACK %#x, want %#x", c.set, r.opts.has, c.want)
		}
	}
}

func TestTCPInfo(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: 5 * time.Millisecond})
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	up := &stream{from: p.host[0], to: p.host[1], w: c, r: s, data: randomBytes(100_000, 3), chunk: 10_000}
	p.sim.Run(time.Second, func() bool { up.step(t); return up.read == len(up.data) })
	p.sim.Sleep(100 * time.Millisecond)
	var i unix.TCPInfo // has Linux's layout
	b := unsafe.Slice((*byte)(unsafe.Pointer(&i)), unsafe.Sizeof(i))
	if n, err := p.host[0].Option(c, unix.IPPROTO_TCP, unix.TCP_INFO, b); n != tcpInfoMost || err != nil {
		t.Fatalf("TCP_INFO: %d bytes, %v", n, err)
	}
	if i.State != 1 || i.Options != 7 || i.Snd_mss != 1448 || i.Pmtu != 1500 || i.Rtt < 9000 || i.Rtt > 60_000 || i.Min_rtt < 9900 || i.Min_rtt > 10_100 ||
		i.Unacked != 0 || i.Bytes_acked != 100_000 || i.Snd_cwnd < 10 || i.Retransmits != 0 || i.Advmss != 1460 || i.Rto < 200_000 ||
		i.Data_segs_out < 69 || i.Segs_out < i.Data_segs_out || i.Bytes_sent != 100_000 || i.Delivered < 69 || i.Last_data_sent < 100 || i.Total_retrans != 0 {
		t.Errorf("sender: %+v", i)
	}
	p.host[1].Option(s, unix.IPPROTO_TCP, unix.TCP_INFO, b)
	if i.Bytes_received != 100_000 || i.Data_segs_in < 69 || i.Rcv_mss != 1448 || i.Rcv_space < 65536 || i.Rcv_wnd == 0 {
		t.Errorf("receiver: %+v", i)
	}
	p.host[1].Option(l, unix.IPPROTO_TCP, unix.TCP_INFO, b)
	if i.State != 10 || i.Unacked != 0 || i.Sacked != 128 {
		t.Errorf("listener: %+v", i)
	}
	small := make([]byte, 5)
	if n, _ := p.host[0].Option(c, unix.IPPROTO_TCP, unix.TCP_INFO, small); n != 5 {
		t.Errorf("a short buffer gets %d bytes", n)
	}
}

func TestTraceOfOneConnection(t *testing.T) {
	p := newPair(t, simnet.Config{Latency: time.Millisecond, Loss: 0.05, Seed: 3})
	var out bytes.Buffer
	p.host[0].SetTraceWriter(&out)
	to := ap(p.host[1].ip4, 80)
	l := p.host[1].listen(t, to)
	c, s := p.dial(l, to)
	c2, s2 := p.dial(l, to)
	a, _ := p.host[0].LocalAddr(c)
	must(t, p.host[0].TraceFlow(a, to, true))
	if err := p.host[0].TraceFlow(to, a, true); err == nil {
		t.Error("a connection that is not there can be traced")
	}
	p.transfer(c2, s2, 50_000, time.Minute)
	if out.Len() != 0 {
		t.Errorf("another connection was traced: %s", out.String())
	}
	p.transfer(c, s, 200_000, time.Minute)
	p.host[0].Close(c)
	seen := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var e TraceEvent
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Local != a.String() || e.Remote != to.String() || e.Time == 0 || e.Cwnd == 0 || e.State == "" {
			t.Fatalf("line %s", line)
		}
		seen[e.Event]++
	}
	for _, what := range []string{"received", "send", "retransmit", "recovery"} {
		if seen[what] == 0 {
			t.Errorf("no %q in the trace: %v", what, seen)
		}
	}
}
