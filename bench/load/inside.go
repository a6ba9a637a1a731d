package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/bench/memory"
	"github.com/fstack-go/fstack/posix"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
)

// inside is a server in this process, at the other end of a link in memory: an event loop on package posix, turned each
// time that the client looks for frames. It tells its own part of the time.
type inside struct {
	*memory.End // the client's
	st          *stack.Stack
	table       *posix.Table
	clock       func() int64
	mode        string
	epoll       int
	listener    int
	answer      []byte
	buf         []byte
	busy        int64 // ns of turns that did something
	failed      error

	empty, full int64 // bytes resident before the first connection, and with all of them
	pauses      metrics.Float64Histogram
	gcs         uint32
	gcTime      float64
}

// serverReport is what is known of a server in the same process.
type serverReport struct {
	Busy      float64 `json:"busy_share"`     // of the time; it is part of the client's cpu_share
	Nanos     float64 `json:"ns_per_request"` // of CPU time
	PerConn   float64 `json:"bytes_per_connection"`
	GCs       uint32  `json:"gcs"`
	GCPause   float64 `json:"gc_pause_max_us"`
	GCSeconds float64 `json:"gc_cpu_seconds"`
	MaxRSS    float64 `json:"rss_mb"`
}

// newInside makes the server that the options ask for.
func newInside(o *options, clock func() int64) (*inside, error) {
	ends := memory.New(max(o.mtu, 1500), o.tso)
	s := &inside{End: ends[0], st: stack.New(clock), clock: clock, mode: o.mode, buf: make([]byte, 64<<10)}
	s.st.AddPort(ends[1])
	n, err := netstack.New(s.st, netstack.Config{TCP: o.tcp == "netstack"})
	if err != nil {
		return nil, err
	}
	var socks stack.Sockets = n
	if o.tcp != "netstack" {
		own, err := tcp.New(s.st, n, tcp.Config{Connections: o.conns + o.idleConns + 1<<16})
		if err != nil {
			return nil, err
		}
		s.st.AddLayer(own)
		socks = own
	}
	s.st.AddLayer(n)
	if err := n.AddPort(0, netstack.PortConfig{Addrs: []netip.Prefix{netip.PrefixFrom(o.to.Addr(), 8)}}); err != nil {
		return nil, err
	}
	body := strings.Repeat("fstack ", 80)
	s.answer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: fstack\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	s.table = posix.New(s.st, socks)
	if err := s.listen(int(o.to.Port())); err != nil {
		return nil, err
	}
	s.table.Serve(s.turn, func(err error) { s.failed = err })
	return s, nil
}

func (s *inside) listen(port int) (err error) {
	if s.epoll, err = s.table.EpollCreate1(0); err != nil {
		return err
	}
	if s.listener, err = s.table.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if err := s.table.Bind(s.listener, &posix.SockaddrInet4{Port: port}); err != nil {
		return err
	}
	if err := s.table.Listen(s.listener, 1024); err != nil {
		return err
	}
	return s.watch(s.listener)
}

func (s *inside) watch(fd int) error {
	return s.table.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &posix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)})
}

// Exchange turns the server before it looks for frames from it.
func (s *inside) Exchange() {
	s.End.Flush()
	begin := s.clock()
	if s.st.Poll(begin) > 0 {
		s.busy += s.clock() - begin
	}
	s.End.Exchange()
}

// turn is the server's part of a turn of its stack.
func (s *inside) turn() error {
	var events [64]posix.EpollEvent
	n, err := s.table.EpollWait(s.epoll, events[:], 0)
	for i := range events[:max(n, 0)] {
		if fd := int(events[i].Fd); fd == s.listener {
			err = errors.Join(err, s.accept())
		} else {
			s.serve(fd)
		}
	}
	return err
}

func (s *inside) accept() error {
	for {
		fd, _, err := s.table.Accept4AddrPort(s.listener, unix.SOCK_NONBLOCK)
		switch {
		case err == syscall.EAGAIN:
			return nil
		case err == syscall.ECONNABORTED:
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		if err := s.watch(fd); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
}

// serve reads what there is, and answers or, as a source for the client's sink, writes what fits.
func (s *inside) serve(fd int) {
	for s.mode == modeSink {
		if _, err := s.table.Write(fd, s.buf); err != nil {
			if err != syscall.EAGAIN {
				s.table.Close(fd)
				return
			}
			break
		}
	}
	for {
		n, err := s.table.Read(fd, s.buf)
		switch {
		case err == syscall.EAGAIN:
			return
		case err != nil || n == 0:
			s.table.Close(fd)
			return
		case s.mode == modeKeepAlive || s.mode == modeConnect:
			s.table.Write(fd, s.answer)
			if s.mode == modeConnect {
				s.table.Close(fd)
				return
			}
		}
		if n < len(s.buf) {
			return
		}
	}
}

// begin begins to measure, with all connections open.
func (s *inside) begin() {
	if s.full == 0 {
		s.full = resident()
	}
	s.busy = 0
	s.pauses, s.gcs, s.gcTime = collector()
}

// report sums up what happened since, of which the thread had a share of the CPU.
func (s *inside) report(d time.Duration, share float64, requests uint64, conns int) *serverReport {
	pauses, gcs, gcTime := collector()
	r := &serverReport{
		Busy: float64(s.busy) / float64(d), GCs: gcs - s.gcs, GCSeconds: gcTime - s.gcTime,
		PerConn: float64(s.full-s.empty) / float64(conns), MaxRSS: float64(resident()) / 1e6,
	}
	if requests > 0 {
		r.Nanos = float64(s.busy) * min(share, 1) / float64(requests)
	}
	for i, n := range pauses.Counts {
		if i >= len(s.pauses.Counts) || n > s.pauses.Counts[i] {
			r.GCPause = pauses.Buckets[min(i+1, len(pauses.Buckets)-2)] * 1e6
		}
	}
	return r
}

// collector is what the garbage collector has done so far.
func collector() (pauses metrics.Float64Histogram, gcs uint32, seconds float64) {
	samples := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	h := samples[0].Value.Float64Histogram()
	return metrics.Float64Histogram{Counts: append([]uint64(nil), h.Counts...), Buckets: h.Buckets}, uint32(samples[2].Value.Uint64()), samples[1].Value.Float64()
}

// resident is how many bytes of memory this process has.
func resident() int64 {
	runtime.GC()
	var size, pages int64
	b, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(b), &size, &pages)
	}
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
