package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/bench/memory"
	"github.com/fstack-go/fstack/posix"
	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
)

// memoryPair is two stacks and a link in memory; the first one sends.
type memoryPair struct {
	stacks [2]*stack.Stack
	tables [2]*posix.Table
	fds    [2]int
	epoch  time.Time
	spent  [2]int64 // ns, by end
	got    int
	buf    []byte
	err    error
}

func newMemoryPair(tso bool) (*memoryPair, error) {
	p := &memoryPair{epoch: time.Now().Add(-time.Hour), buf: make([]byte, chunk)}
	ends := memory.New(1500, tso)
	for i := range p.stacks {
		st := stack.New(p.clock)
		st.AddPort(ends[i])
		n, err := netstack.New(st, netstack.Config{})
		if err != nil {
			return nil, err
		}
		t, err := tcp.New(st, n, tcp.Config{Connections: 16, Memory: 256 << 20})
		if err != nil {
			return nil, err
		}
		st.AddLayer(t)
		st.AddLayer(n)
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		if err := n.AddPort(0, netstack.PortConfig{Addrs: []netip.Prefix{netip.PrefixFrom(addr, 24)}}); err != nil {
			return nil, err
		}
		p.stacks[i], p.tables[i] = st, posix.New(st, t, n)
	}
	if err := p.connect(); err != nil {
		return nil, err
	}
	p.tables[0].Serve(p.write, p.fail)
	p.tables[1].Serve(p.read, p.fail)
	return p, nil
}

func (p *memoryPair) fail(err error) { p.err = err }

// connect makes the connection.
func (p *memoryPair) connect() error {
	client, server := p.tables[0], p.tables[1]
	l, err := server.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = server.Bind(l, &posix.SockaddrInet4{Port: 80})
	}
	if err == nil {
		err = server.Listen(l, 1)
	}
	if err == nil {
		p.fds[0], err = client.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	}
	if err == nil {
		err = client.Connect(p.fds[0], &posix.SockaddrInet4{Port: 80, Addr: [4]byte{10, 0, 0, 2}})
	}
	if !errors.Is(err, syscall.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		p.poll()
		if p.fds[1], _, err = server.Accept4AddrPort(l, unix.SOCK_NONBLOCK); err == nil {
			return nil
		}
	}
	return fmt.Errorf("accept: %w", err)
}

func (p *memoryPair) clock() int64 { return int64(time.Since(p.epoch)) }

func (p *memoryPair) poll() {
	for i, st := range p.stacks {
		begin := p.clock()
		st.Poll(begin)
		p.spent[i] += p.clock() - begin
	}
}

func (p *memoryPair) write() error {
	for {
		if _, err := p.tables[0].Write(p.fds[0], p.buf); err != nil {
			return ignore(err)
		}
	}
}

func (p *memoryPair) read() error {
	for {
		n, err := p.tables[1].Read(p.fds[1], p.buf)
		if err != nil {
			return ignore(err)
		}
		p.got += n
	}
}

func ignore(err error) error {
	if err == syscall.EAGAIN {
		return nil
	}
	return err
}

func (p *memoryPair) turn() (int, error) {
	p.got = 0
	p.poll()
	return p.got, p.err
}

func (p *memoryPair) close() {}
