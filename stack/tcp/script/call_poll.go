package script

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// member is a Struct's member as a number, 0 if it is not there.
func member(e Expr, name string) (int64, error) {
	v, ok := e.field(name)
	if !ok {
		return 0, nil
	}
	return eval(v)
}

// poll(…[{fd=4, events=POLLIN, revents=POLLIN}, …], n, timeout)
func (r *runner) poll(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	v, err := arguments(c, ".ii")
	if err != nil {
		return nil, nil, err
	}
	list := c.Args[0].List
	if c.Args[0].Kind != List || int64(len(list)) != v[1] {
		return nil, nil, fmt.Errorf("%v is not an array of %d descriptors", c.Args[0], v[1])
	}
	fds, want := make([]unix.PollFd, len(list)), make([]int64, len(list))
	for i, e := range list {
		n, err := member(e, "fd")
		if err != nil {
			return nil, nil, err
		}
		d, err := r.lookup(n)
		if err != nil {
			return nil, nil, err
		}
		events, err := member(e, "events")
		if err != nil {
			return nil, nil, err
		}
		if want[i], err = member(e, "revents"); err != nil {
			return nil, nil, err
		}
		fds[i] = unix.PollFd{Fd: int32(d.fd), Events: int16(events)}
	}
	return r.lab.Poll(fds, int(v[2])), func(*lab.Call) error {
		for i := range fds {
			if got := int64(fds[i].Revents); got != want[i] {
				return fmt.Errorf("revents of element %d are %#x and not %#x", i+1, got, want[i])
			}
		}
		return nil
	}, nil
}

func (r *runner) epollCreate(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	if _, err := arguments(c, "i"); err != nil {
		return nil, nil, err
	}
	return r.done(r.lab.EpollCreate()), func(call *lab.Call) error {
		n, _ := eval(c.Result)
		r.fds[n] = &descriptor{fd: call.N}
		return nil
	}, nil
}

// event is {events=…, fd=…}, also with ptr, u32 or u64.
func event(e Expr) (events uint32, data uint64, err error) {
	v, err := member(e, "events")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range []string{"fd", "ptr", "u32", "u64"} {
		if x, ok := e.field(name); ok {
			n, err := eval(x)
			return uint32(v), uint64(n), err
		}
	}
	return 0, 0, fmt.Errorf("%v is not {events=…, fd=…}", e)
}

func (r *runner) epollCtl(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	v, err := arguments(c, "iii.")
	if err != nil {
		return nil, nil, err
	}
	ep, err := r.lookup(v[0])
	if err != nil {
		return nil, nil, err
	}
	d, err := r.lookup(v[2])
	if err != nil {
		return nil, nil, err
	}
	var events uint32
	var data uint64
	if v[1] != unix.EPOLL_CTL_DEL {
		if events, data, err = event(c.Args[3]); err != nil {
			return nil, nil, err
		}
	}
	return r.done(0, r.lab.EpollCtl(ep.fd, int(v[1]), d.fd, events, data)), nil, nil
}

// epoll_wait(ep, [{events=…, fd=…}, …], max, timeout); one event may stand without brackets.
func (r *runner) epollWait(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	v, err := arguments(c, "i.ii")
	if err != nil {
		return nil, nil, err
	}
	ep, err := r.lookup(v[0])
	if err != nil {
		return nil, nil, err
	}
	list := c.Args[1].List
	if c.Args[1].Kind == Struct {
		list = []Expr{c.Args[1]}
	}
	if v[2] < 0 || v[2] > 1024 {
		return nil, nil, fmt.Errorf("%d events are not in 0 … 1024", v[2])
	}
	out := make([]lab.EpollEvent, v[2])
	return r.lab.EpollWait(ep.fd, out, int(v[3])), func(call *lab.Call) error {
		for i := range call.N {
			if i >= len(list) {
				return fmt.Errorf("event %d of descriptor %d is %#x, and the script names none", i+1, out[i].Data, out[i].Events)
			}
			events, data, err := event(list[i])
			if err != nil {
				return err
			}
			if out[i].Events != events || out[i].Data != data {
				return fmt.Errorf("event %d is %#x of %d and not %#x of %d", i+1, out[i].Events, out[i].Data, events, data)
			}
		}
		return nil
	}, nil
}

// code evaluates assertions over the TCP_INFO of the connection that packets belong to.
func (r *runner) code(c *Code) error {
	if err := r.turn(); err != nil {
		return err
	}
	for _, d := range r.fds {
		if d.flow != nil && d.flow == r.flow {
			b := make([]byte, tcpInfoSize)
			n, err := r.lab.Option(d.fd, unix.IPPROTO_TCP, unix.TCP_INFO, b)
			if err != nil {
				return r.fail(r.ev.Line, "getsockopt TCP_INFO: %v", err)
			}
			decodeTCPInfo(b[:n], r.vars)
		}
	}
	if line, err := c.run(r.vars); err != nil {
		return r.fail(line, "%v", err)
	}
	return nil
}
