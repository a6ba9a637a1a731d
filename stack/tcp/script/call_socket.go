package script

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// address is the local (or the peer's) address and port for a socket call.
func (r *runner) address(a netip.Addr, port uint16) netip.AddrPort {
	if r.cfg.mapped {
		a = netip.AddrFrom16(a.As16())
	}
	return netip.AddrPortFrom(a, port)
}

func (r *runner) socket(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	v, err := arguments(c, ".ii")
	if err != nil {
		return nil, nil, err
	}
	domain := int64(unix.AF_INET)
	if r.cfg.mapped || r.cfg.lab.Local.Addr().Is6() {
		domain = unix.AF_INET6
	}
	if c.Args[0].Kind != Ellipsis {
		if domain, err = eval(c.Args[0]); err != nil {
			return nil, nil, err
		}
	}
	f := &flow{readTo: 1, wroteTo: 1}
	return r.done(r.lab.Socket(int(domain), int(v[1]), int(v[2]))), func(call *lab.Call) error {
		n, _ := eval(c.Result)
		r.fds[n] = &descriptor{fd: call.N, flow: f}
		r.flow = f // packets are this socket's from now on
		return nil
	}, nil
}

// simple is a call of one descriptor and a number.
func (r *runner) simple(c *SystemCall, forms string) (*descriptor, []int64, error) {
	v, err := arguments(c, forms)
	if err != nil {
		return nil, nil, err
	}
	d, err := r.lookup(v[0])
	return d, v, err
}

func (r *runner) bind(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, _, err := r.simple(c, "i..")
	if err != nil {
		return nil, nil, err
	}
	return r.done(0, r.lab.Bind(d.fd, r.address(r.cfg.lab.Local.Addr(), r.cfg.bindPort))), nil, nil
}

func (r *runner) listen(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "ii")
	if err != nil {
		return nil, nil, err
	}
	return r.done(0, r.lab.Listen(d.fd, int(v[1]))), func(*lab.Call) error {
		d.flow.state = flowListening
		return nil
	}, nil
}

func (r *runner) accept(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, _, err := r.simple(c, "i..")
	if err != nil {
		return nil, nil, err
	}
	return r.lab.Accept(d.fd), func(call *lab.Call) error {
		f := r.flow
		if f == nil || f.state < flowPassive {
			return fmt.Errorf("a connection was accepted that the script has not begun")
		}
		peer := netip.AddrPortFrom(call.Addr.Addr().Unmap(), call.Addr.Port())
		if peer != f.remote {
			return fmt.Errorf("the peer accepted is %v and not %v", peer, f.remote)
		}
		n, _ := eval(c.Result)
		r.fds[n] = &descriptor{fd: call.N, flow: f}
		return nil
	}, nil
}

func (r *runner) connect(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, _, err := r.simple(c, "i..")
	if err != nil {
		return nil, nil, err
	}
	if family, ok := c.Args[1].field("sa_family"); ok && family.Text == "AF_UNSPEC" {
		return nil, nil, fmt.Errorf("AF_UNSPEC is not supported")
	}
	if d.flow.state == flowNew {
		d.flow.state = flowConnecting
		d.flow.remote = netip.AddrPortFrom(r.cfg.remote, r.cfg.peerPort)
	}
	return r.lab.Connect(d.fd, r.address(r.cfg.remote, r.cfg.peerPort)), nil, nil
}

func (r *runner) close(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "i")
	if err != nil {
		return nil, nil, err
	}
	delete(r.fds, v[0])
	return r.done(0, r.lab.CloseFD(d.fd)), nil, nil
}

func (r *runner) shutdown(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "ii")
	if err != nil {
		return nil, nil, err
	}
	return r.done(0, r.lab.Shutdown(d.fd, int(v[1]))), nil, nil
}

func (r *runner) fcntl(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	if len(c.Args) == 2 {
		c = &SystemCall{Name: c.Name, Args: append(c.Args[:2:2], Expr{Kind: Integer})}
	}
	d, v, err := r.simple(c, "iii")
	if err != nil {
		return nil, nil, err
	}
	return r.done(r.lab.Fcntl(d.fd, int(v[1]), int(v[2]))), nil, nil
}

// ioctl: SIOCINQ (FIONREAD) alone.
func (r *runner) ioctl(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "ii.")
	if err != nil {
		return nil, nil, err
	}
	if v[1] != unix.SIOCINQ {
		return nil, nil, fmt.Errorf("request %#x is not supported: only SIOCINQ is", v[1])
	}
	n, e := r.lab.Unread(d.fd)
	return r.done(0, e), func(*lab.Call) error {
		want, err := bracketed(c.Args[2])
		if err == nil && int64(n) != want {
			err = fmt.Errorf("%d bytes can be read and not %d", n, want)
		}
		return err
	}, nil
}

// bracketed is an expression that stands in brackets, alone, or as itself.
func bracketed(e Expr) (int64, error) {
	if e.Kind == List && len(e.List) == 1 {
		e = e.List[0]
	}
	return eval(e)
}

func (r *runner) setsockopt(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "iii.i")
	if err != nil {
		return nil, nil, err
	}
	if v[4] < 0 || v[4] > 1<<16 {
		return nil, nil, fmt.Errorf("option length %d is not in 0 … 65536", v[4])
	}
	var value []byte
	switch e := c.Args[3]; e.Kind {
	case String:
		value = []byte(e.Text)
	case Struct:
		onoff, _ := e.field("onoff")
		linger, ok := e.field("linger")
		if !ok {
			return nil, nil, fmt.Errorf("value %v: only {onoff=…, linger=…} is known", e)
		}
		value = nativeUint32(nativeUint32(nil, onoff.Int), linger.Int)
	default:
		n, err := bracketed(e)
		if err != nil {
			return nil, nil, err
		}
		value = nativeUint32(nil, n)
	}
	for int64(len(value)) < v[4] {
		value = append(value, 0)
	}
	return r.done(0, r.lab.SetOption(d.fd, int(v[1]), int(v[2]), value[:v[4]])), nil, nil
}

func (r *runner) getsockopt(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "iii..")
	if err != nil {
		return nil, nil, err
	}
	size, err := bracketed(c.Args[4])
	if err != nil || size < 0 || size > 1<<16 {
		return nil, nil, fmt.Errorf("option length %v is not in 0 … 65536", c.Args[4])
	}
	value := make([]byte, size)
	n, e := r.lab.Option(d.fd, int(v[1]), int(v[2]), value)
	return r.done(0, e), func(*lab.Call) error {
		switch want := c.Args[3]; {
		case int64(n) != size:
			return fmt.Errorf("the option's length is %d and not %d", n, size)
		case want.Kind == String:
			if got := string(value[:n]); got != want.Text {
				return fmt.Errorf("the option is %q and not %q", got, want.Text)
			}
		case size != 4:
			return fmt.Errorf("option length %d: only numbers of 4 bytes and strings are compared", size)
		case want.Kind != Ellipsis:
			number, err := bracketed(want)
			if err != nil {
				return err
			}
			if got := int64(int32(native.Uint32(value))); got != number {
				return fmt.Errorf("the option is %d and not %d", got, number)
			}
		}
		return nil
	}, nil
}
