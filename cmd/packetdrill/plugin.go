package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// plugin is the stack that packetdrill tests. Its methods may be called by any thread.
type plugin struct {
	mu    sync.Mutex
	lab   *lab.Lab
	epoch int64 // packetdrill's time, µs, when the lab's was start
	start int64
	main  int // the thread that lets time pass

	// A call that waits is on another thread than the one that lets time pass. When it has returned, its thread
	// looks at the clock, and until then the clock must stand still.
	waiting  *lab.Call
	returned bool       // waiting is done, and its thread has not looked yet
	looked   *sync.Cond // on mu
}

const (
	grain       = int64(time.Microsecond) // that passes when packetdrill looks at the clock
	lookTimeout = time.Second             // of real time: after it the thread is taken for gone
	silence     = int64(10 * time.Minute) // of the lab's time without a packet: nothing will be sent any more
)

func newPlugin(flags string) (*plugin, error) {
	o, err := parseFlags(flags)
	if err != nil {
		return nil, err
	}
	o.lab.NewFD = placeholder
	l, err := lab.New(o.lab, o.factory)
	if err != nil {
		return nil, err
	}
	for _, s := range o.sysctls {
		if err := l.Sysctl(s.name, s.value); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", s.name, s.value, err)
		}
	}
	if err := l.Advance(l.Now() + int64(10*time.Second)); err != nil { // duplicate address detection
		return nil, err
	}
	p := &plugin{lab: l, epoch: time.Now().UnixMicro(), start: l.Now(), main: unix.Gettid()}
	p.looked = sync.NewCond(&p.mu)
	return p, nil
}

// placeholder is a descriptor of the kernel's, so that a number is nobody else's: packetdrill closes with close(2)
// what a script has left open.
func placeholder() (int, error) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return fd, err
}

// factory puts the stack together.
func (o *options) factory(cfg lab.Config, dev stack.Device, now func() int64) (*lab.Host, error) {
	st := stack.New(now)
	port := st.AddPort(dev)
	n, err := netstack.New(st, netstack.Config{TCP: o.gvisor})
	if err != nil {
		return nil, err
	}
	p := netstack.PortConfig{}
	p.Addrs = append(p.Addrs, cfg.Local)
	if cfg.Gateway.Is4() {
		p.Gateway4 = cfg.Gateway
	} else {
		p.Gateway6 = cfg.Gateway
	}
	if err := n.AddPort(port, p); err != nil {
		return nil, err
	}
	h := &lab.Host{Stack: st, Sockets: n, Settle: n.Settle, Close: func() error { n.Destroy(); return nil }}
	if !o.gvisor {
		t, err := tcp.New(st, n, tcp.Config{Connections: 1 << 10, Memory: 256 << 20})
		if err != nil {
			return nil, err
		}
		st.AddLayer(t)
		h.Sockets, h.Sysctl, h.Settle = t, t.SetSysctl, nil
		h.Close = func() error {
			n.Destroy()
			return t.Destroy()
		}
	}
	st.AddLayer(n)
	return h, nil
}

// usecs is packetdrill's time.
func (p *plugin) usecs(at int64) int64 { return p.epoch + (at-p.start)/1000 }

// look tells the time. It passes meanwhile, or a caller that waits for a moment would wait for ever.
func (p *plugin) look() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.returned { // by the thread whose call has just returned
		p.returned = false
		p.looked.Broadcast()
		return p.usecs(p.lab.Now())
	}
	p.pass(p.lab.Now()+grain, func() bool { return false })
	return p.usecs(p.lab.Now())
}

// pass lets time pass until to or done, and stands still for each call that returns on the way.
func (p *plugin) pass(to int64, done func() bool) {
	for {
		_, err := p.lab.Wait(to, func() bool { return done() || p.ended() })
		if err != nil {
			fatal(err)
		}
		if !p.ended() {
			return
		}
		p.waiting, p.returned = nil, true
		p.looked.Broadcast()
		deadline := time.AfterFunc(lookTimeout, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.returned = false
			p.looked.Broadcast()
		})
		for p.returned {
			p.looked.Wait()
		}
		deadline.Stop()
		if done() || p.lab.Now() >= to {
			return
		}
	}
}

func (p *plugin) ended() bool { return p.waiting != nil && p.waiting.Done }

// call begins a call, lets the stack act on it, and waits for its return.
func (p *plugin) call(begin func() *lab.Call) *lab.Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := begin()
	if err := p.lab.Turn(); err != nil {
		fatal(err)
	}
	if c.Done {
		return c
	}
	if unix.Gettid() == p.main {
		// Who lets time pass waits himself: the script takes the call for immediate, and it is not.
		p.pass(p.lab.Now()+silence, func() bool { return c.Done })
		if !c.Done {
			fatal(errors.New("a call that the script takes for immediate blocks for ever"))
		}
		return c
	}
	p.waiting = c
	for p.waiting == c {
		p.looked.Wait()
	}
	return c
}

// do makes a call that returns at once.
func (p *plugin) do(f func() (int, error)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := f()
	if e := p.lab.Turn(); e != nil {
		fatal(e)
	}
	return n, err
}

// sleep lets time pass.
func (p *plugin) sleep(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass(p.lab.Now()+int64(d), func() bool { return false })
}

// inject gives the stack a packet.
func (p *plugin) inject(packet []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lab.Inject(packet)
	p.pass(p.lab.Now(), func() bool { return false })
}

// receive waits for the next packet that the stack sends; nil: none comes.
func (p *plugin) receive() (packet []byte, usecs int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var at int64
	take := func() bool {
		if packet == nil {
			packet, at, _ = p.lab.Sent()
		}
		return packet != nil
	}
	p.pass(p.lab.Now()+silence, take)
	return packet, p.usecs(at)
}
