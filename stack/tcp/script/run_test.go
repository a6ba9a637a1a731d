package script_test

import (
	"strings"
	"testing"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/script"
	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

const opened = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 10) = 0
   +0 < S 0:0(0) win 65535 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>
  +.1 < . 1:1(0) ack 1 win 65535
   +0 accept(3, ..., ...) = 4
   +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
`

func play(t *testing.T, lines string, factory lab.Factory) error {
	t.Helper()
	s, err := script.Parse("test.pkt", []byte(opened+lines))
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(factory, false)
}

// A player that takes everything would prove nothing: each difference must be seen, and be named.
func TestDifferencesAreSeen(t *testing.T) {
	const sent = "+0 write(4, ..., 1000) = 1000\n"
	for _, c := range []struct{ lines, want string }{
		{sent + "+0 > P. 1:1001(1000) ack 1", ""},
		{sent + "+0 > P. 1:1001(1000) ack 1 win 7", "the windows differ"},
		{sent + "+0 > . 1:1001(1000) ack 1", "the flags differ"},
		{sent + "+0 > PE. 1:1001(1000) ack 1", "the ECN flags differ"},
		{sent + "+0 > P. 2:1002(1000) ack 1", "the sequence numbers differ"},
		{sent + "+0 > P. 1:901(900) ack 1", "the payload lengths differ"},
		{sent + "+0 > P. 1:1001(1000) ack 2", "the acknowledgment numbers differ"},
		{sent + "+0 > P. 1:1001(1000) ack 1 urg 5", "the urgent pointers differ"},
		{sent + "+0 > P. 1:1001(1000) ack 1 <nop,nop,TS val 1 ecr 2>", "the TCP options differ"},
		{sent + "+0 > [ect0] P. 1:1001(1000) ack 1", "the ECN bits of the IP header differ"},
		{sent + "+0 > [ect01] P. 1:1001(1000) ack 1", "neither ECT(0) nor ECT(1)"},
		{sent + "+0 > [tos 0x4] P. 1:1001(1000) ack 1", "the types of service differ"},
		{sent + "+0 > (ttl 3) P. 1:1001(1000) ack 1", "the times to live differ"},
		{sent + "+.1 > P. 1:1001(1000) ack 1", "sent at 0.1 s and not at 0.2 s (±4ms)"},
		{sent + "+.01~+.02 > P. 1:1001(1000) ack 1", "sent at 0.1 s and not at 0.11 s … 0.12 s"},
		{sent + "* > icmp unreachable port_unreachable", "one is an ICMP message and one is not"},
		{sent + "+0 > P. 1:1001(1000) ack 1\n+0 > . 1:1(0) ack 1", "the flags differ"},
		{"+0 write(4, ..., 1500) = 1500\n+0 > P. 1:1001(1000) ack 1\n+0 > P. 1001:1501(500) ack 1", "the flags differ"},
		{"+0 > . 1:1(0) ack 1", "nothing was sent until 2.1 s"},
		{"+0 read(4, ..., 10) = 10", "expected 10, got -1 EAGAIN"},
		{"+0 read(4, ..., 10) = -1 EBADF (bad)", "expected -1 EBADF, got -1 EAGAIN"},
		{"+0 accept(3, ..., ...) = 5", "accept blocks, and is expected to return 5 at once"},
		{"+0...0.5 accept(3, ..., ...) = 5\n+0 read(4, ..., 10) = 0", "read while accept of line 10 has not returned"},
		{"+0...0.5 accept(3, ..., ...) = 5", "accept has not returned by 1.604 s"},
		{"+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4", "descriptor 4 is already in use"},
		{"+0 read(9, ..., 10) = 0", "descriptor 9 is not open"},
		{"+0 frob(9) = 0", "system call frob is not supported"},
		{"+0 read(4) = 0", "1 arguments given, 3 expected"},
		{"+0 read(4, ..., FROB) = 0", "FROB is not known"},
		{"+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0", "the option is 0 and not 1"},
		{"+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1", "revents of element 1 are 0x4 and not 0x1"},
		{"+0 %{ assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd }%", "does not hold: 10"},
		{"+0 < . 1:1(0) ack 1 win 1 <nop,nop,TS val 1 ecr 9>", "TS ecr 9: no outgoing segment"},
		{"+0 `rm -rf /`", "not supported: only sysctl and sleep are"},
		{"+0 `sysctl -w net.ipv4.frob=1`", "net.ipv4.frob has no counterpart here"},
		{"+0 `sysctl -w net.inet.tcp.frob=1`", "no such sysctl"},
		{"0.01 read(4, ..., 10) = 0", "time goes back from 0.1 s to 0.01 s"},
	} {
		err := play(t, c.lines, fstackTCP)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s\n%v", c.lines, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "test.pkt:1")):
			t.Errorf("%s\nsays    %v\nand not %s", c.lines, err, c.want)
		}
	}
}

// device lets a test see, and spoil, the frames that a stack sends.
type device struct {
	stack.Device
	each func(frame []byte)
}

func (d *device) Exchange() {
	for i, taken := 0, d.Queue().Taken(); i < len(taken); i++ {
		d.each(taken[i].Bytes())
	}
	d.Device.Exchange()
}

func with(each func(frame []byte, now int64)) lab.Factory {
	return func(cfg lab.Config, dev stack.Device, now func() int64) (*lab.Host, error) {
		return fstackTCP(cfg, &device{dev, func(f []byte) { each(f, now()) }}, now)
	}
}

// reply makes the checksums of a TCP segment over IPv4 right again.
func mend(frame []byte) {
	tcp := frame[34:]
	sum := uint32(6 + len(tcp))
	tcp[16], tcp[17] = 0, 0
	for i, c := range append(append([]byte(nil), frame[26:34]...), tcp...) {
		sum += uint32(c) << (8 * (1 - i&1))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	tcp[16], tcp[17] = byte(^sum>>8), byte(^sum)
}

func TestSpoiledPacketsAreSeen(t *testing.T) {
	const data = 14 + 20 + 20 // bytes of headers
	lines := "+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1"
	for want, spoil := range map[string]func(frame []byte){
		"IPv4 header checksum is wrong": func(f []byte) { f[14+8]++ },
		"TCP checksum is wrong":         func(f []byte) { f[data+500]++ },
		"byte 500 of the payload is not what was written": func(f []byte) {
			f[data+500]++
			mend(f)
		},
		"reserved bits of the TCP header are set": func(f []byte) {
			f[14+20+12] |= 2
			mend(f)
		},
		"TCP header does not fit": func(f []byte) { f[14+20+12] = 0x40 },
		"IPv4 header length":      func(f []byte) { f[14] = 0x44 },
	} {
		err := play(t, lines, with(func(f []byte, _ int64) {
			if len(f) > data+900 {
				spoil(f)
			}
		}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nand not %s", err, want)
		}
	}
}

// What is read is compared with what the peer sent, by its place in the stream.
func TestMisplacedDataIsSeen(t *testing.T) {
	err := play(t, `
   +0 < P. 1:501(500) ack 1 win 65535
   +0 recv(4, ..., 100, MSG_TRUNC) = 100
   +0 read(4, ..., 1000) = 400
   +0 < P. 501:601(100) ack 1 win 65535
   +0 read(4, ..., 100) = 100`, fstackTCP)
	if err != nil {
		t.Error(err)
	}
}

// Two runs of a script are the same, frame by frame and nanosecond by nanosecond.
func TestRunsAreTheSame(t *testing.T) {
	type sent struct {
		at    int64
		frame string
	}
	var runs [2][]sent
	for i := range runs {
		err := play(t, `
   +0 write(4, ..., 20000) = 20000
   +0 > . 1:10001(10000) ack 1
  +.1 < . 1:1(0) ack 5001 win 65535
   +3 close(4) = 0`, with(func(f []byte, now int64) {
			if f[12] == 8 && f[13] == 0 { // IPv4: netstack's group reports of IPv6 have random delays
				runs[i] = append(runs[i], sent{now, string(f)})
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(runs[0]) < 15 {
		t.Fatalf("only %d frames were sent", len(runs[0]))
	}
	for i := range min(len(runs[0]), len(runs[1])) {
		if a, b := runs[0][i], runs[1][i]; a != b {
			t.Fatalf("frame %d of two runs differs:\n%d %x\n%d %x", i, a.at, a.frame, b.at, b.frame)
		}
	}
	if len(runs[0]) != len(runs[1]) {
		t.Errorf("%d frames in one run and %d in the other", len(runs[0]), len(runs[1]))
	}
}
