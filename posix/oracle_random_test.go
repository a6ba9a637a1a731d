package posix

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	sequences = flag.Int("sequences", 12, "how many random sequences of calls are compared with Linux")
	sequence0 = flag.Int("sequence", 0, "seed of the first")
)

// TestOracleRandomOverTCP makes the same random calls on Linux and here, and stops at the first difference.
func TestOracleRandomOverTCP(t *testing.T) {
	for seed := *sequence0; seed < *sequence0+*sequences; seed++ {
		t.Run(fmt.Sprintf("sequence=%d", seed), func(t *testing.T) {
			t.Parallel()
			var difference string
			for settle := 3 * time.Millisecond; settle < 50*time.Millisecond; settle *= 7 { // once more, slower: it may have been too fast
				linux, here := &transcript{calls: kernel{}}, &transcript{calls: overTCP(t)}
				play := func(r *transcript) { newRandomCalls(r, uint64(seed), settle).run(80) }
				inNamespace(t, func() { play(linux) })
				soon(t, "the sequence", func() { play(here) })
				if difference = firstDifference(linux.lines, here.lines); difference == "" {
					return
				}
			}
			t.Error(difference)
		})
	}
}

// firstDifference tells it, with all that was before.
func firstDifference(linux, here []string) string {
	for i, line := range linux {
		if i >= len(here) || line != here[i] {
			got := "nothing"
			if i < len(here) {
				got = here[i]
			}
			return fmt.Sprintf("after\n\t%s\nLinux %s\nhere  %s", strings.Join(linux[:i], "\n\t"), line, got)
		}
	}
	return ""
}

// randomCalls makes calls on a few sockets, which it names by where it keeps them.
type randomCalls struct {
	*transcript
	rand      *rand.Rand
	fds       [7]int // -1: none
	listening [7]Sockaddr
	spoilt    [7]bool // shut down without a connection: on Linux one that it makes then stays shut down, not here
	eps       [2]int
	wait      time.Duration // for what a call sets off
}

func newRandomCalls(r *transcript, seed uint64, settle time.Duration) *randomCalls {
	c := &randomCalls{transcript: r, rand: rand.New(rand.NewPCG(seed, 0x0ac1e)), wait: settle}
	for i := range c.fds {
		c.fds[i] = -1
	}
	for i := range c.eps {
		var err error
		c.eps[i], err = r.EpollCreate1(0)
		r.must(err)
	}
	c.listen(0)
	return c
}

func (c *randomCalls) listen(i int) {
	c.fds[i], c.listening[i] = c.listener(unix.AF_INET)
}

// settle lets what the last call set off happen.
func (c *randomCalls) settle() { time.Sleep(c.wait) }

func (c *randomCalls) run(n int) {
	for range n {
		c.step()
	}
	for i, fd := range c.fds {
		if fd >= 0 {
			c.errno(fmt.Sprint("close ", i), c.Close(fd))
		}
	}
}

var askFor = []uint32{
	unix.EPOLLIN, unix.EPOLLOUT, unix.EPOLLIN | unix.EPOLLOUT, unix.EPOLLIN | unix.EPOLLRDHUP, unix.EPOLLRDHUP, 0,
}

var modes = []uint32{0, 0, unix.EPOLLET, unix.EPOLLET, unix.EPOLLONESHOT}

func (c *randomCalls) step() {
	i := c.rand.IntN(len(c.fds))
	fd := c.fds[i]
	ep := c.rand.IntN(len(c.eps))
	events := askFor[c.rand.IntN(len(askFor))] | modes[c.rand.IntN(len(modes))]
	what := func(s string) string { return fmt.Sprintf("%s of %d", s, i) }
	switch op := c.rand.IntN(30); {
	case op < 4 && fd < 0:
		c.fds[i] = c.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		c.logf("%s", what("socket"))
	case op < 5:
		if fd >= 0 && i > 0 {
			c.errno(what("close"), c.Close(fd))
			c.fds[i], c.listening[i], c.spoilt[i] = -1, nil, false
			c.settle()
		}
	case op < 10:
		if to := c.listening[c.rand.IntN(2)]; to != nil && !c.spoilt[i] {
			err := c.errno(what("connect"), c.Connect(fd, to))
			if c.settle(); err == unix.EINPROGRESS {
				c.errno(what("connect again"), c.Connect(fd, to))
			}
		}
	case op < 14:
		j := slices.Index(c.fds[:], -1)
		if j >= 0 {
			l := c.rand.IntN(2)
			n, _, err := c.Accept4(c.fds[l], unix.SOCK_NONBLOCK)
			c.logf("accept at %d as %d: %s", l, j, errName(err))
			if c.fds[j] = -1; err == nil {
				c.fds[j] = n
			}
		}
	case op < 17:
		c.write(what("write"), fd, strings.Repeat("x", c.rand.IntN(200)+1))
		c.settle()
	case op < 20:
		c.read(what("read"), fd, c.rand.IntN(300)+1)
	case op == 20 && c.listening[i] == nil:
		how := []int{unix.SHUT_WR, unix.SHUT_WR, unix.SHUT_RDWR, unix.SHUT_RD}[c.rand.IntN(4)]
		err := c.errno(fmt.Sprintf("shutdown %d of %d", how, i), c.Shutdown(fd, how))
		c.spoilt[i] = c.spoilt[i] || err == unix.ENOTCONN
		c.settle()
	case op == 21 && fd >= 0:
		n, err := c.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		c.logf("%s: %d %s", what("so_error"), n, errName(err))
	case op == 22:
		if i == 1 && fd < 0 {
			c.listen(1)
			c.logf("%s", what("listen"))
		} else if c.rand.IntN(4) == 0 {
			c.errno(what("linger"), c.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &Linger{Onoff: 1}))
		}
	case op == 23:
		sa, err := c.Getsockname(fd)
		c.logf("%s: %v %s", what("getsockname"), portOf(sa) > 0, errName(err))
		sa, err = c.Getpeername(fd)
		c.logf("%s: %v %s", what("getpeername"), portOf(sa) > 0, errName(err))
	case op == 24:
		c.polled(what("poll"), fd)
	case op < 27:
		do := []int{unix.EPOLL_CTL_ADD, unix.EPOLL_CTL_ADD, unix.EPOLL_CTL_ADD, unix.EPOLL_CTL_MOD, unix.EPOLL_CTL_DEL}[c.rand.IntN(5)]
		err := c.EpollCtl(c.eps[ep], do, fd, &EpollEvent{Events: events, Fd: int32(i)})
		c.errno(fmt.Sprintf("epoll_ctl %d of %d at %d for %s", do, i, ep, eventNames(events&0xffff)), err)
	default:
		c.epollWait(ep)
	}
}

// epollWait logs all that is ready, by name.
func (c *randomCalls) epollWait(ep int) {
	c.settle()
	var events [16]EpollEvent
	n, err := c.EpollWait(c.eps[ep], events[:], 0)
	var lines []string
	for _, e := range events[:max(n, 0)] {
		lines = append(lines, fmt.Sprintf("%d%s", e.Fd, eventNames(e.Events)))
	}
	slices.Sort(lines)
	c.logf("epoll_wait at %d: %v %s", ep, lines, errName(err))
}
