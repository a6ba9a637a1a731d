package posix

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// streamCases need a TCP.
var streamCases = []oracleCase{
	{name: "a socket that is not connected", run: func(r *transcript) {
		fd := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.polled("readiness", fd)
		r.read("read", fd, 1)
		r.write("write", fd, "x")
		r.errno("shutdown", r.Shutdown(fd, unix.SHUT_WR))
		r.errno("shutdown by 7", r.Shutdown(fd, 7))
		_, err := r.Getpeername(fd)
		r.errno("getpeername", err)
		sa, err := r.Getsockname(fd)
		r.logf("getsockname: port %d %s", portOf(sa), errName(err))
		_, _, err = r.Accept4(fd, 0)
		r.errno("accept", err)
		r.must(r.Bind(fd, &unix.SockaddrInet4{Addr: inet4}))
		r.errno("bind again", r.Bind(fd, &unix.SockaddrInet4{Addr: inet4}))
		r.polled("readiness when bound", fd)
		r.errno("listen", r.Listen(fd, 1))
		r.polled("readiness when listening", fd)
		r.errno("listen again", r.Listen(fd, 5))
		r.read("read", fd, 1)
		r.write("write", fd, "x")
		r.errno("connect", r.Connect(fd, &unix.SockaddrInet4{Addr: inet4, Port: 9}))
		_, _, err = r.Accept4(fd, 0)
		r.errno("accept", err)
		_, err = r.Getpeername(fd)
		r.errno("getpeername", err)
	}},
	{name: "sockets that cannot be", run: func(r *transcript) {
		for _, c := range [][3]int{
			{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP},
			{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP},
			{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_TCP},
			{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP},
			{unix.AF_INET, unix.SOCK_STREAM, 255},
			{unix.AF_INET, unix.SOCK_STREAM, 1000},
			{unix.AF_INET, unix.SOCK_STREAM, -1},
			{unix.AF_INET, 0, 0},
			{unix.AF_INET, 77, 0},
			{unix.AF_INET, -1, 0},
			{unix.AF_INET, unix.SOCK_SEQPACKET, 0},
			{unix.AF_INET, unix.SOCK_RDM, 0},
			{unix.AF_INET, unix.SOCK_RAW, 0},
			{1000, unix.SOCK_STREAM, 0},
			{-1, unix.SOCK_STREAM, 0},
		} {
			fd, err := r.Socket(c[0], c[1], c[2])
			r.logf("%d: %v %s", c, fd >= 0, errName(err))
			if err == nil {
				r.must(r.Close(fd))
			}
		}
	}},
	{name: "addresses", run: func(r *transcript) {
		fd := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		six := r.socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.errno("bind to another's", r.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}}))
		r.errno("bind inet to inet6", r.Bind(fd, &unix.SockaddrInet6{Addr: inet6Addr}))
		r.errno("bind inet6 to inet", r.Bind(six, &unix.SockaddrInet4{Addr: inet4}))
		r.errno("port 70000", r.Bind(fd, &unix.SockaddrInet4{Addr: inet4, Port: 70000}))
		r.errno("connect inet to inet6", r.Connect(fd, &unix.SockaddrInet6{Addr: inet6Addr, Port: 9}))
		r.errno("connect inet6 to inet", r.Connect(six, &unix.SockaddrInet4{Addr: inet4, Port: 9}))
		r.must(r.Bind(fd, &unix.SockaddrInet4{Addr: inet4}))
		r.must(r.Listen(fd, 1))
		sa, _ := r.Getsockname(fd)
		other := r.socket(unix.AF_INET, unix.SOCK_STREAM)
		r.errno("in use", r.Bind(other, sa))
		any := &unix.SockaddrInet4{Port: portOf(sa)}
		r.errno("in use by one address", r.Bind(other, any))
		r.must(r.SetsockoptInt(other, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
		r.errno("in use in spite of reuseaddr", r.Bind(other, any))
		r.must(r.SetsockoptInt(other, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		r.errno("in use by one without reuseport", r.Bind(other, any))
		r.must(r.Close(fd))
		r.errno("free again", r.Bind(other, any))
		r.errno("listen without bind", r.Listen(six, 1))
		sa, _ = r.Getsockname(six)
		r.logf("it has a port: %v", portOf(sa) != 0)
	}},
	{name: "reuseport", run: func(r *transcript) {
		a := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		b := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.must(r.SetsockoptInt(a, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		r.must(r.SetsockoptInt(b, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		r.must(r.Bind(a, &unix.SockaddrInet4{Addr: inet4}))
		sa, _ := r.Getsockname(a)
		r.errno("bind", r.Bind(b, sa))
		r.errno("listen", r.Listen(a, 10))
		r.errno("listen", r.Listen(b, 10))
		for range 8 {
			c := r.socket(unix.AF_INET, unix.SOCK_STREAM)
			r.errno("connect", r.Connect(c, sa))
		}
		n := 0
		for range 100 {
			for _, l := range []int{a, b} {
				if _, _, err := r.Accept4(l, 0); err == nil {
					n++
				}
			}
			if n == 8 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		r.logf("%d accepted", n)
	}},
	{name: "connect refused", run: func(r *transcript) {
		gone, sa := r.listener(unix.AF_INET)
		r.must(r.Close(gone))
		c := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		ep, _ := r.EpollCreate1(0)
		r.errno("connect", r.Connect(c, sa))
		r.must(r.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP, Fd: 1}))
		r.wait(c, unix.POLLERR)
		r.epolled("readiness", ep, 1000)
		n, err := r.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.logf("so_error: %s %s", unix.ErrnoName(unix.Errno(n)), errName(err))
		n, err = r.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.logf("it is taken: %d %s", n, errName(err))
		r.epolled("readiness then", ep, 0)
		r.read("read", c, 1)
		r.write("write", c, "x")
		b := r.socket(unix.AF_INET, unix.SOCK_STREAM)
		r.errno("blocking", r.Connect(b, sa))
		l, sa := r.listener(unix.AF_INET)
		r.errno("the same socket again", r.Connect(b, sa))
		r.wait(l, unix.POLLIN)
		d := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.errno("connect elsewhere", r.Connect(d, &unix.SockaddrInet4{Addr: inet4, Port: gonePort(sa, r)}))
		r.wait(d, unix.POLLERR)
		r.read("the error comes with a read", d, 1)
		r.read("then the end", d, 1)
	}},
	{name: "connect", run: func(r *transcript) {
		l, sa := r.listener(unix.AF_INET)
		c := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		ep, _ := r.EpollCreate1(0)
		r.errno("connect", r.Connect(c, sa))
		r.wait(c, unix.POLLOUT)
		r.must(r.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLIN | unix.EPOLLET, Fd: 1}))
		r.epolled("connected", ep, 1000)
		n, err := r.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.logf("so_error: %d %s", n, errName(err))
		r.errno("connect again", r.Connect(c, sa))
		r.errno("and again", r.Connect(c, sa))
		peer, err := r.Getpeername(c)
		r.logf("peer is the listener: %v %s", portOf(peer) == portOf(sa), errName(err))
		r.errno("bind", r.Bind(c, &unix.SockaddrInet4{Addr: inet4}))
		r.errno("listen", r.Listen(c, 1))
		r.wait(l, unix.POLLIN)
		s, from, err := r.Accept4(l, 0)
		r.errno("accept", err)
		own, _ := r.Getsockname(c)
		r.logf("from the client: %v", portOf(from) == portOf(own))
		own, _ = r.Getsockname(s)
		r.logf("at the listener's: %v", portOf(own) == portOf(sa))
		r.polled("accepted", s)
	}},
	{name: "closed with a full queue", run: func(r *transcript) {
		l, sa := r.listener(unix.AF_INET)
		c := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.must(ignore(r.Connect(c, sa), unix.EINPROGRESS))
		r.wait(l, unix.POLLIN)
		r.wait(c, unix.POLLOUT)
		r.must(r.Close(l))
		r.wait(c, unix.POLLHUP)
		r.polled("reset with its listener", c)
		r.read("read", c, 1)
		r.read("read", c, 1)
	}},
	{name: "write after the peer has closed", run: func(r *transcript) {
		c, s := r.pair()
		r.must(r.Close(s))
		r.wait(c, unix.POLLRDHUP)
		r.polled("ended", c)
		r.write("first write", c, "x")
		r.wait(c, unix.POLLERR)
		r.polled("reset", c)
		r.write("second write", c, "x")
		r.write("third write", c, "x")
		r.read("read", c, 1)
		r.polled("at last", c)
	}},
	{name: "closed with data unread", run: func(r *transcript) {
		c, s := r.pair()
		r.write("write", c, "unread")
		r.wait(s, unix.POLLIN)
		r.must(r.Close(s))
		r.wait(c, unix.POLLERR)
		r.polled("reset", c)
		n, err := r.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.logf("so_error: %s %s", unix.ErrnoName(unix.Errno(n)), errName(err))
		r.read("read", c, 1)
		r.write("write", c, "x")
	}},
	{name: "linger of zero", run: func(r *transcript) {
		c, s := r.pair()
		r.linger("default", s)
		r.errno("set", r.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &Linger{Onoff: 1}))
		r.linger("now", s)
		r.write("data that will be lost", s, "x")
		r.wait(c, unix.POLLIN)
		r.must(r.Close(s))
		r.wait(c, unix.POLLERR)
		r.polled("reset", c)
		r.read("read", c, 9)
		r.read("read again", c, 9)
	}},
	{name: "shutdown of reading", run: func(r *transcript) {
		c, s := r.pair()
		r.errno("shutdown", r.Shutdown(s, unix.SHUT_RD))
		r.polled("readiness", s)
		r.read("read", s, 1)
		r.write("the peer can write", c, "abc")
		r.wait(s, unix.POLLIN)
		r.errno("both", r.Shutdown(s, unix.SHUT_RDWR))
		r.write("write", s, "x")
		r.wait(c, unix.POLLRDHUP)
		r.read("the peer reads the end", c, 1)
	}},
	{name: "shutdown both", run: func(r *transcript) {
		c, s := r.pair()
		r.errno("shutdown", r.Shutdown(s, unix.SHUT_RDWR))
		r.polled("readiness", s)
		r.read("read", s, 1)
		r.write("write", s, "x")
		r.wait(c, unix.POLLRDHUP)
		r.errno("the peer too", r.Shutdown(c, unix.SHUT_WR))
		time.Sleep(20 * time.Millisecond) // until the FINs are acknowledged
		r.errno("twice", r.Shutdown(c, unix.SHUT_WR))
		r.polled("the peer", c)
	}},
	{name: "after the end", differs: []string{"TIME-WAIT: bind: EINVAL", "after LAST-ACK: bind: EINVAL"}, run: func(r *transcript) {
		c, s := r.pair()
		look := func(what string, fd int) {
			_, err := r.Getpeername(fd)
			r.errno(what+": getpeername", err)
			sa, err := r.Getsockname(fd)
			r.logf("%s: getsockname: %v %s", what, portOf(sa) > 0, errName(err))
			r.read(what+": read", fd, 1)
			r.write(what+": write", fd, "x")
			r.polled(what, fd)
			r.errno(what+": shutdown", r.Shutdown(fd, unix.SHUT_RDWR))
			r.errno(what+": connect", r.Connect(fd, sa))
			r.errno(what+": listen", r.Listen(fd, 1))
			r.errno(what+": bind", r.Bind(fd, &unix.SockaddrInet4{Addr: inet4}))
		}
		r.must(r.Shutdown(c, unix.SHUT_WR))
		r.wait(s, unix.POLLRDHUP)
		r.must(r.Shutdown(s, unix.SHUT_WR))
		r.wait(c, unix.POLLHUP)
		time.Sleep(20 * time.Millisecond)
		look("TIME-WAIT", c)
		look("after LAST-ACK", s)
	}},
	{name: "reset after the end", run: func(r *transcript) {
		c, s := r.pair()
		r.must(r.Shutdown(s, unix.SHUT_WR))
		r.wait(c, unix.POLLRDHUP)
		r.must(r.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &Linger{Onoff: 1}))
		r.must(r.Close(s))
		r.wait(c, unix.POLLERR)
		r.polled("reset", c)
		r.read("the end is first", c, 1)
		r.polled("still", c)
		n, err := r.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.logf("so_error: %s %s", unix.ErrnoName(unix.Errno(n)), errName(err))
		r.read("and again", c, 1)
	}},
	{name: "data for who is shut down", run: func(r *transcript) {
		c, s := r.pair()
		r.must(r.Shutdown(c, unix.SHUT_WR))
		r.must(r.Shutdown(c, unix.SHUT_RD))
		r.wait(s, unix.POLLRDHUP)
		r.write("write", s, "x")
		r.wait(s, unix.POLLERR)
		r.polled("the writer is reset", s)
		r.polled("and who is shut down", c)
		r.write("write there", c, "x")
	}},
	{name: "shutdown of a socket that is not connected", run: func(r *transcript) {
		fd := r.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.errno("shutdown", r.Shutdown(fd, unix.SHUT_WR))
		r.polled("readiness", fd)
		r.read("read", fd, 1)
		r.errno("shutdown of reading", r.Shutdown(fd, unix.SHUT_RD))
		r.polled("readiness then", fd)
		r.read("read then", fd, 1)
	}},
	{name: "no room to write", run: func(r *transcript) {
		c, s := r.pair()
		ep, _ := r.EpollCreate1(0)
		r.must(r.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET, Fd: 1}))
		r.epolled("room", ep, 0)
		chunk := []byte(strings.Repeat("x", 100_000))
		sent, quiet := 0, 0
		for quiet < 3 { // until nothing moves any more
			n, err := r.Write(c, chunk)
			if err != nil {
				r.must(ignore(err, unix.EAGAIN))
				quiet++
				time.Sleep(30 * time.Millisecond)
				continue
			}
			quiet = 0
			sent += n
		}
		r.polled("full", c)
		var events [1]EpollEvent
		r.EpollWait(ep, events[:], 0) // one from the time before is allowed
		r.epolled("none", ep, 0)
		got := 0
		p := make([]byte, 1<<20)
		for got < sent {
			r.wait(s, unix.POLLIN)
			n, err := r.Read(s, p)
			r.must(err)
			got += n
		}
		r.epolled("room again", ep, 3000)
		r.epolled("once", ep, 0)
		r.logf("all arrived: %v", got == sent)
	}},
	{name: "urgent data", run: func(r *transcript) {
		c, s := r.pair()
		n, err := r.SendmsgN(c, []byte("abc"), nil, nil, unix.MSG_OOB)
		r.logf("send: %d %s", n, errName(err))
		r.wait(s, unix.POLLPRI)
		r.polled("urgent", s)
		p := make([]byte, 8)
		n, _, err = r.Recvfrom(s, p, unix.MSG_OOB|unix.MSG_PEEK)
		r.logf("peek: %d %q %s", n, p[:1], errName(err))
		n, _, err = r.Recvfrom(s, p, unix.MSG_OOB)
		r.logf("oob: %d %q %s", n, p[:1], errName(err))
		n, _, err = r.Recvfrom(s, p, unix.MSG_OOB)
		r.logf("oob again: %d %s", n, errName(err))
		r.polled("taken", s)
		r.read("the data before", s, 8)
		r.read("none", s, 8)
		r.must(r.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1))
		n, err = r.SendmsgN(c, []byte("de"), nil, nil, unix.MSG_OOB)
		r.logf("send: %d %s", n, errName(err))
		r.wait(s, unix.POLLPRI)
		n, _, err = r.Recvfrom(s, p, unix.MSG_OOB)
		r.logf("oob when inline: %d %s", n, errName(err))
		r.read("up to the mark", s, 8)
		r.read("from the mark on", s, 8)
	}},
	{name: "peek and truncate", run: func(r *transcript) {
		c, s := r.pair()
		r.write("write", c, "abcdefgh")
		r.wait(s, unix.POLLIN)
		p := make([]byte, 3)
		n, _, err := r.Recvfrom(s, p, unix.MSG_PEEK)
		r.logf("peek: %d %s %s", n, p, errName(err))
		clear(p)
		n, _, err = r.Recvfrom(s, p, unix.MSG_TRUNC)
		r.logf("discard: %d %q %s", n, p, errName(err))
		r.read("the rest", s, 9)
	}},
	{name: "timeouts", run: func(r *transcript) {
		c, s := r.pair()
		r.must(r.SetNonblock(s, false))
		tv, err := r.GetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
		r.logf("default: %+v %s", *tv, errName(err))
		r.errno("set", r.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &Timeval{Usec: 100_000}))
		tv, err = r.GetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
		r.logf("now: %+v %s", *tv, errName(err))
		start := time.Now()
		r.read("read", s, 1)
		r.logf("it waited: %v", time.Since(start) > 90*time.Millisecond)
		r.errno("a million microseconds", r.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &Timeval{Usec: 1e6}))
		r.errno("negative", r.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &Timeval{Sec: -1}))
		tv, err = r.GetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
		r.logf("then: %+v %s", *tv, errName(err))
		r.errno("none", r.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &Timeval{}))
		r.write("write", c, "x")
		r.read("read for ever", s, 1)
		p := make([]byte, 4)
		n, _, err := r.Recvfrom(s, p, unix.MSG_DONTWAIT)
		r.logf("dontwait: %d %s", n, errName(err))
	}},
	{name: "options", run: func(r *transcript) {
		c, s := r.pair()
		l, _ := r.listener(unix.AF_INET)
		d := r.socket(unix.AF_INET6, unix.SOCK_STREAM)
		get := func(what string, fd, level, opt int) {
			n, err := r.GetsockoptInt(fd, level, opt)
			r.logf("%s: %d %s", what, n, errName(err))
		}
		set := func(what string, fd, level, opt, v int) { r.errno(what, r.SetsockoptInt(fd, level, opt, v)) }
		get("type", c, unix.SOL_SOCKET, unix.SO_TYPE)
		get("domain", c, unix.SOL_SOCKET, unix.SO_DOMAIN)
		get("domain of inet6", d, unix.SOL_SOCKET, unix.SO_DOMAIN)
		get("protocol", c, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		get("acceptconn", c, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		get("acceptconn of a listener", l, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		set("set type", c, unix.SOL_SOCKET, unix.SO_TYPE, 1)
		for _, o := range []struct {
			name       string
			level, opt int
			v          int
		}{
			{"nodelay", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{"cork", unix.IPPROTO_TCP, unix.TCP_CORK, 1},
			{"keepalive", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"keepidle", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77},
			{"keepintvl", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 7},
			{"keepcnt", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{"user timeout", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12345},
			{"syncnt", unix.IPPROTO_TCP, unix.TCP_SYNCNT, 4},
			{"linger2", unix.IPPROTO_TCP, unix.TCP_LINGER2, 9},
			{"reuseaddr", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
			{"reuseport", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
			{"broadcast", unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
			{"oobinline", unix.SOL_SOCKET, unix.SO_OOBINLINE, 1},
			{"rcvlowat", unix.SOL_SOCKET, unix.SO_RCVLOWAT, 10},
			{"tos", unix.IPPROTO_IP, unix.IP_TOS, 0x10},
			{"ttl", unix.IPPROTO_IP, unix.IP_TTL, 33},
		} {
			get(o.name, c, o.level, o.opt)
			set("set "+o.name, c, o.level, o.opt, o.v)
			get(o.name+" now", c, o.level, o.opt)
		}
		get("nodelay of the other", s, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		set("keepidle 0", c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 0)
		set("keepidle 40000", c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 40000)
		set("keepcnt 128", c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 128)
		set("keepintvl -1", c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, -1)
		set("user timeout -1", c, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, -1)
		set("ttl 256", c, unix.IPPROTO_IP, unix.IP_TTL, 256)
		set("ttl 0", c, unix.IPPROTO_IP, unix.IP_TTL, 0)
		set("maxseg 10", l, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 10)
		get("v6only", d, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		set("set v6only", d, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		get("v6only now", d, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		get("v6only of inet", c, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		get("option 9999 of the socket", c, unix.SOL_SOCKET, 9999)
		set("option 9999 of the socket", c, unix.SOL_SOCKET, 9999, 1)
		get("option 9999 of tcp", c, unix.IPPROTO_TCP, 9999)
		set("option 9999 of tcp", c, unix.IPPROTO_TCP, 9999, 1)
		get("level 9999", c, 9999, 1)
		set("level 9999", c, 9999, 1, 1)
		r.tcpState("state", c)
		r.tcpState("state of a listener", l)
		r.tcpState("state of a new one", d)
		r.errno("set reno", r.SetsockoptString(c, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"))
		str, err := r.GetsockoptString(c, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		r.logf("congestion: %s %s", str, errName(err))
		r.errno("set another", r.SetsockoptString(c, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "nonesuch"))
	}},
	{name: "options that a connection inherits", run: func(r *transcript) {
		l, sa := r.listener(unix.AF_INET)
		for _, o := range [][3]int{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 55}, {unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		} {
			r.must(r.SetsockoptInt(l, o[0], o[1], o[2]))
		}
		r.must(r.SetsockoptLinger(l, unix.SOL_SOCKET, unix.SO_LINGER, &Linger{Onoff: 1, Linger: 3}))
		_, s := r.connect(l, sa)
		for _, o := range [][2]int{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.SOL_SOCKET, unix.SO_REUSEADDR}, {unix.SOL_SOCKET, unix.SO_ACCEPTCONN},
		} {
			n, err := r.GetsockoptInt(s, o[0], o[1])
			r.logf("%d: %d %s", o, n, errName(err))
		}
		r.linger("linger", s)
	}},
	{name: "inet6 and both", run: func(r *transcript) {
		l, sa := r.listener(unix.AF_INET6)
		c, s := r.connect(l, sa)
		peer, err := r.Getpeername(s)
		own, _ := r.Getsockname(c)
		r.logf("peer: %v %s", portOf(peer) == portOf(own), errName(err))
		r.write("write", c, "six")
		r.wait(s, unix.POLLIN)
		r.read("read", s, 9)

		both := r.socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.must(r.Bind(both, &unix.SockaddrInet6{}))
		r.must(r.Listen(both, 4))
		sa, _ = r.Getsockname(both)
		port := portOf(sa)
		c4, s4 := r.connect(both, &unix.SockaddrInet4{Addr: inet4, Port: port})
		peer, err = r.Getpeername(s4)
		r.logf("mapped: %v %s", addrOf(peer), errName(err))
		own, err = r.Getsockname(s4)
		r.logf("own: %v %v %s", addrOf(own), portOf(own) == port, errName(err))
		r.write("write", c4, "four")
		r.wait(s4, unix.POLLIN)
		r.read("read", s4, 9)
		four := r.socket(unix.AF_INET, unix.SOCK_STREAM)
		r.errno("inet where both are", r.Bind(four, &unix.SockaddrInet4{Port: port}))
		only := r.socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		r.must(r.SetsockoptInt(only, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
		r.must(r.Bind(only, &unix.SockaddrInet6{}))
		r.must(r.Listen(only, 4))
		sa, _ = r.Getsockname(only)
		r.errno("inet beside v6only", r.Bind(four, &unix.SockaddrInet4{Port: portOf(sa)}))
		r.errno("v6only when bound", r.SetsockoptInt(only, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0))
		mapped := r.socket(unix.AF_INET6, unix.SOCK_STREAM)
		r.errno("connect to a mapped address", r.Connect(mapped, &unix.SockaddrInet6{
			Port: port, Addr: [16]byte{10: 0xff, 0xff, 127, 0, 0, 1},
		}))
	}},
}

func (r *transcript) linger(what string, fd int) {
	l, err := r.GetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER)
	r.logf("%s: %+v %s", what, l, errName(err))
}

func (r *transcript) tcpState(what string, fd int) {
	info, err := r.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if info == nil {
		info = new(TCPInfo)
	}
	r.logf("%s: %d %s", what, info.State, errName(err))
}

func portOf(sa Sockaddr) int {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	return -1
}

func addrOf(sa Sockaddr) any {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Addr
	case *unix.SockaddrInet6:
		return sa.Addr
	}
	return nil
}

// gonePort is a port on which nobody listens.
func gonePort(_ Sockaddr, r *transcript) int {
	fd, sa := r.listener(unix.AF_INET)
	r.must(r.Close(fd))
	return portOf(sa)
}

func ignore(err, but error) error {
	if err == but {
		return nil
	}
	return err
}

// datagramCases need UDP.
var datagramCases = []oracleCase{
	{name: "datagrams", run: func(r *transcript) {
		a := r.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		b := r.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		r.polled("new", a)
		r.must(r.Bind(b, &unix.SockaddrInet4{Addr: inet4}))
		to, _ := r.Getsockname(b)
		r.write("write when not connected", a, "x")
		r.errno("sendto", r.Sendto(a, []byte("hello"), 0, to))
		r.wait(b, unix.POLLIN)
		r.polled("there", b)
		p := make([]byte, 3)
		n, from, err := r.Recvfrom(b, p, unix.MSG_PEEK)
		r.logf("peek: %d %s %s", n, p, errName(err))
		own, _ := r.Getsockname(a)
		r.logf("from: %v", portOf(from) == portOf(own))
		n, _, err = r.Recvfrom(b, p, unix.MSG_PEEK|unix.MSG_TRUNC)
		r.logf("its length: %d %s", n, errName(err))
		n, _, flags, _, err := r.Recvmsg(b, p, nil, 0)
		r.logf("cut: %d %s %v %s", n, p, flags == unix.MSG_TRUNC, errName(err))
		n, _, err = r.Recvfrom(b, p, 0)
		r.logf("none: %d %s", n, errName(err))
		r.errno("an empty one", r.Sendto(a, nil, 0, to))
		r.wait(b, unix.POLLIN)
		n, _, err = r.Recvfrom(b, p, 0)
		r.logf("empty: %d %s", n, errName(err))
		r.errno("too long", r.Sendto(a, make([]byte, 65508), 0, to))
		r.errno("connect", r.Connect(a, to))
		n, err = r.Writev(a, [][]byte{[]byte("ab"), []byte("cd")})
		r.logf("writev is one datagram: %d %s", n, errName(err))
		r.wait(b, unix.POLLIN)
		v := [][]byte{make([]byte, 1), make([]byte, 2)}
		n, err = r.Readv(b, v)
		r.logf("readv: %d %s %s %s", n, v[0], v[1], errName(err))
		n, err = r.Readv(b, v)
		r.logf("the rest is lost: %d %s", n, errName(err))
		r.errno("listen", r.Listen(b, 1))
		_, _, err = r.Accept4(b, 0)
		r.errno("accept", err)
		r.errno("shutdown when not connected", r.Shutdown(b, unix.SHUT_RD))
		r.errno("inet6 address", r.Sendto(b, []byte("x"), 0, &unix.SockaddrInet6{Addr: inet6Addr, Port: 9}))
	}},
	{name: "a connected datagram socket", run: func(r *transcript) {
		a := r.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		b := r.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		x := r.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		r.must(r.Bind(b, &unix.SockaddrInet4{Addr: inet4}))
		to, _ := r.Getsockname(b)
		r.must(r.Connect(a, to))
		from, _ := r.Getsockname(a)
		r.errno("from a stranger", r.Sendto(x, []byte("stranger"), 0, from))
		r.errno("from the peer", r.Sendto(b, []byte("peer"), 0, from))
		r.wait(a, unix.POLLIN)
		r.read("the peer's only", a, 20)
		r.read("none", a, 20)
		r.must(r.Close(b))
		r.write("to nobody", a, "x")
		r.wait(a, unix.POLLERR)
		r.polled("refused", a)
		r.read("read", a, 20)
		r.read("read again", a, 20)
	}},
}
