package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packet parses one line that is a packet.
func packet(t *testing.T, line string) *Packet {
	t.Helper()
	s, err := Parse("test.pkt", []byte("0 "+line))
	if err != nil {
		t.Fatal(err)
	}
	return s.Events[0].Packet
}

func TestPacketsAreShownAsWritten(t *testing.T) {
	for _, line := range []string{
		"< S 0:0(0) win 65535 <mss 1000,sackOK,TS val 5000 ecr 0,nop,wscale 7>",
		"> S. 0:0(0) ack 1 <...>",
		"> P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 100 ecr 200>",
		"> . 1:1(0) ack 1 <nop,nop,sack 1001:2001 3001:4001>",
		"< PU. 1:11(10) ack 1 win 100 urg 10",
		"< [ce] . 1:1(0) ack 1 win 100",
		"> [tos 0x10, ttl 64] SEW 0:0(0)",
		"> S.5 0:0(0) ack 1",
		"< - 0:0(0) win 0",
		"< 2000>8080 S 4294967295:4294967295(0) win 0 <eol,nop,nop,nop>",
		"< S 0:0(0) win 0 <FO,nop,nop>",
		"< S 0:0(0) win 0 <FO a1b2c3d4,nop,nop>",
		"< S 0:0(0) win 0 <FOEXP a1b2c3d4>",
		"< . 1:1(0) ack 1 win 0 <nop,nop,md5 000102030405060708090a0b0c0d0e0f>",
		"< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]",
		"< icmp packet_too_big mtu 1300 [1:1441(1440)]",
		"< icmp type_3 code_13",
	} {
		if got := packet(t, line).String(); got != line {
			t.Errorf("%s\nis shown as\n%s", line, got)
		}
	}
}

func TestTimes(t *testing.T) {
	const ms = 1_000_000
	for line, want := range map[string]Time{
		"0":          {Absolute, 0, 0},
		"0.25":       {Absolute, 250 * ms, 0},
		".001":       {Absolute, ms, 0},
		"+.1":        {Relative, 100 * ms, 0},
		"+0":         {Relative, 0, 0},
		"*":          {Any, 0, 0},
		"+.1~+.2":    {RelativeRange, 100 * ms, 200 * ms},
		"0.1~0.3":    {AbsoluteRange, 100 * ms, 300 * ms},
		"+0.000001":  {Relative, 1000, 0},
		"+0.0000004": {Relative, 0, 0}, // the grain is the microsecond
	} {
		s, err := Parse("test.pkt", []byte(line+" > . 1:1(0) ack 1"))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if got := s.Events[0].Time; got != want {
			t.Errorf("%s: %+v, want %+v", line, got, want)
		}
	}
}

func TestCalls(t *testing.T) {
	for _, line := range []string{
		"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
		"0...0.2 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)",
		".1...0.2 accept(3, ..., ...) = 4",
		"0 fcntl(4, F_GETFL) = 0x2 (flags O_RDWR)",
		"0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
		`0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "re" "no", 4) = 0`,
		"0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN}], 1, 0) = 1",
		"0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, -1) = 1",
		"0 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=0}, 0) = 30",
		"0 writev(4, [{..., 10}, {..., 20}], 2) = 30",
		`0 bind(3, {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("1.2.3.4")}, ...) = 0`,
	} {
		s, err := Parse("test.pkt", []byte(line))
		if err != nil {
			t.Error(err)
		} else if s.Events[0].Call == nil {
			t.Errorf("%s: no call", line)
		}
	}
	s, err := Parse("test.pkt", []byte("+.1...0.25 read(4, ..., 10) = 5"))
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Events[0].Call; !c.Blocks || c.End != 250_000_000 {
		t.Errorf("blocks %v until %d, want until 250 ms", c.Blocks, c.End)
	}
}

func TestScriptParts(t *testing.T) {
	s, err := Parse("test.pkt", []byte("// comment\n--tolerance_usecs=5000\n--define=N=7\n`sysctl -q a.b=1`\n"+
		"/* two\nlines */ 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = N\n+0 `sleep 1`\n+0 %{\nassert 1 == 1\n}%\n`true`\n"))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(s.Options) != 2 || s.Options[0] != (Option{2, "tolerance_usecs", "5000"}):
		t.Errorf("options %+v", s.Options)
	case s.Init != "sysctl -q a.b=1" || s.Cleanup != "true":
		t.Errorf("commands %q and %q", s.Init, s.Cleanup)
	case len(s.Events) != 3 || s.Events[0].Line != 6 || s.Events[1].Command != "sleep 1" || s.Events[2].Code == nil:
		t.Errorf("events %+v", s.Events)
	case s.Events[0].Call.Result.Int != 7:
		t.Errorf("--define: the result is %v and not 7", s.Events[0].Call.Result)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"", "test.pkt:1: a script without an event"},
		{"0 > . 1:1(0) ack 1 <mss 1460", `test.pkt:1: expected ",", found the end of the file`},
		{"0 > . 1:1001(999) ack 1", "1:1001(999): the end is not start + length"},
		{"0 < . 1:1(0) ack 1", "an incoming segment needs a window: win N"},
		{"0 < . 1:1(0) ack 1 win 1 <...>", "<...> is only for outgoing segments"},
		{"0 < . 1:1(0) ack 1 win 70000", "win 70000 is not in 0 … 65535"},
		{"0 < X 1:1(0) win 1", `'X' is no TCP flag here`},
		{"0 < . 1:1(0) win 1 <mss 1460,nop>", "the TCP options have 5 bytes"},
		{"0 < . 1:1(0) win 1 <wscale 256>", "window scale 256 is not in 0 … 255"},
		{"0 < . 1:1(0) win 1 <frob>", "expected mss, wscale"},
		{"0 < icmp nonsense [1:2(1)]", `"nonsense" is no ICMP type`},
		{"0 < icmp unreachable nonsense [1:2(1)]", `"nonsense" is no code of ICMP unreachable`},
		{"0 > udp (100)", "udp packets are not supported"},
		{"0\n\nfoo(", "test.pkt:3: expected a value, found the end of the file"},
		{"0 read(3, ..., 10)", `expected "="`},
		{"0 read(3 4) = 0", `expected ","`},
		{"0 read(3) = -1 EAGAIN", "expected (what EAGAIN says)"},
		{"*  < . 1:1(0) win 1", "a time range or * is only for outgoing packets"},
		{"0.2~0.1 > . 1:1(0) ack 1", "the time range ends before it begins"},
		{"-1 > . 1:1(0) ack 1", "time -1 is not in 0"},
		{"0 `unended", "` without its end"},
		{"0 %{ assert 1", "%{ without its }%"},
		{"/* unended", "comment without its end"},
		{"0 %{ frob 1 }%", "expected assert, print or an assignment"},
		{"0 %{ if x: pass }%", "if is not supported"},
		{"0 %{\nassert (1\n}%", "test.pkt:2: "},
		{"0 > . 99999999999999999999:1(0)", "number 99999999999999999999 is out of range"},
		{"0 x([" + strings.Repeat("[", 50) + ") = 0", "expression nested deeper than 32"},
		{"0 %{ assert " + strings.Repeat("(", 50) + " }%", "expression nested deeper than 32"},
		{"0 x({a=1, 2}) = 0", "a nameless member among named ones"},
	} {
		_, err := Parse("test.pkt", []byte(c.src))
		if err == nil {
			t.Errorf("%q is taken", c.src)
		} else if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "test.pkt:") {
			t.Errorf("%q\nsays    %v\nand not %s", c.src, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.pkt")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse("fuzz.pkt", src)
		if err != nil {
			if s != nil {
				t.Error("a script beside an error")
			}
			return
		}
		for _, e := range s.Events {
			if e.Packet == nil {
				continue
			}
			line := e.Packet.String()
			again, err := Parse("again.pkt", []byte("0 "+line))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if shown := again.Events[0].Packet.String(); shown != line {
				t.Errorf("%s\nis shown as\n%s", line, shown)
			}
		}
	})
}
