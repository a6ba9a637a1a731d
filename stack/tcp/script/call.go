package script

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// pendingCall is a blocking call that has not returned, or not been checked.
type pendingCall struct {
	line  int
	spec  *SystemCall
	call  *lab.Call
	after func(c *lab.Call) error // checks what the call filled in
	end   int64                   // when it must return
	slack int64
}

// handler begins a system call of the script. after, if not nil, is called when it has returned without error.
type handler func(r *runner, c *SystemCall) (call *lab.Call, after func(*lab.Call) error, err error)

var handlers map[string]handler

func init() {
	handlers = map[string]handler{
		"socket": (*runner).socket, "bind": (*runner).bind, "listen": (*runner).listen, "accept": (*runner).accept,
		"connect": (*runner).connect, "close": (*runner).close, "shutdown": (*runner).shutdown,
		"read": (*runner).read, "recv": (*runner).read, "recvfrom": (*runner).read,
		"readv": (*runner).readv, "recvmsg": (*runner).recvmsg,
		"write": (*runner).write, "send": (*runner).write, "sendto": (*runner).write,
		"writev": (*runner).writev, "sendmsg": (*runner).sendmsg,
		"fcntl": (*runner).fcntl, "ioctl": (*runner).ioctl, "getsockopt": (*runner).getsockopt, "setsockopt": (*runner).setsockopt,
		"poll": (*runner).poll, "epoll_create": (*runner).epollCreate, "epoll_ctl": (*runner).epollCtl,
		"epoll_wait": (*runner).epollWait,
	}
}

// call plays a system call.
func (r *runner) call(c *SystemCall) error {
	h := handlers[c.Name]
	if h == nil {
		return r.fail(r.ev.Line, "system call %s is not supported", c.Name)
	}
	if p := r.pending; p != nil {
		return r.fail(r.ev.Line, "%s while %s of line %d has not returned", c.Name, p.spec.Name, p.line)
	}
	call, after, err := h(r, c)
	if err != nil {
		return r.fail(r.ev.Line, "%s: %v", c.Name, err)
	}
	p := &pendingCall{line: r.ev.Line, spec: c, call: call, after: after, end: r.due, slack: int64(r.cfg.tolerance)}
	if c.Blocks {
		if p.end = c.End; r.ev.Time.Kind == Relative {
			p.end += r.due - r.ev.Time.At
		}
		p.slack = max(p.slack, int64(r.cfg.percent/100*float64(p.end-r.due)))
	}
	r.pending = p
	if err := r.turn(); err != nil {
		return err
	}
	if r.pending != nil && !c.Blocks {
		return r.fail(r.ev.Line, "%s blocks, and is expected to return %v at once", c.Name, c.Result)
	}
	return nil
}

// checkPending compares a call that has returned with what the script says.
func (r *runner) checkPending() error {
	p := r.pending
	if p == nil || !p.call.Done {
		return nil
	}
	r.pending = nil
	if err := r.check(p); err != nil {
		return r.fail(p.line, "%s: %v", p.spec.Name, err)
	}
	if at := p.call.Ended - r.zero; at < p.end-p.slack || at > p.end+p.slack {
		return r.fail(p.line, "%s returned at %s and not at %s (±%v)", p.spec.Name, seconds(at), seconds(p.end), time.Duration(p.slack))
	}
	return nil
}

// await waits for the pending call's return until the script's time until.
func (r *runner) await(until int64) error {
	if p := r.pending; p != nil {
		until = max(until, p.end+p.slack+int64(time.Second))
		if _, err := r.lab.Wait(r.zero+until, func() bool { return p.call.Done }); err != nil {
			return r.fail(p.line, "%v", err)
		}
		if !p.call.Done {
			return r.fail(p.line, "%s has not returned by %s: it should at %s", p.spec.Name, seconds(r.now()), seconds(p.end))
		}
	}
	return r.checkPending()
}

func (r *runner) check(p *pendingCall) error {
	got, err := p.call.N, p.call.Err
	seen := fmt.Sprint(got)
	if errno, ok := err.(syscall.Errno); ok {
		seen += " " + unix.ErrnoName(errno)
	} else if err != nil {
		return fmt.Errorf("failed with %v, which is no errno", err)
	}
	expected := strings.TrimSpace(p.spec.Result.String() + " " + p.spec.Errno)
	if p.spec.Result.Kind != Ellipsis {
		want, e := eval(p.spec.Result)
		if e != nil {
			return e
		}
		descriptor := p.spec.Name == "socket" || p.spec.Name == "accept" || p.spec.Name == "epoll_create"
		if descriptor && want >= 0 {
			if got < 0 {
				return fmt.Errorf("expected a descriptor, got %s", seen)
			}
			if r.fds[want] != nil {
				return fmt.Errorf("descriptor %d is already in use by the script", want)
			}
		} else if int64(got) != want {
			return fmt.Errorf("expected %s, got %s", expected, seen)
		}
	}
	if p.spec.Errno != "" {
		want, ok := symbol(p.spec.Errno)
		if !ok {
			return fmt.Errorf("%s is no errno", p.spec.Errno)
		}
		if err != syscall.Errno(want) {
			return fmt.Errorf("expected %s, got %s", expected, seen)
		}
	}
	if err == nil && p.after != nil {
		return p.after(p.call)
	}
	return nil
}

// eval is an expression's number.
func eval(e Expr) (int64, error) {
	switch e.Kind {
	case Integer:
		return e.Int, nil
	case Word:
		if v, ok := symbol(e.Text); ok {
			return v, nil
		}
		return 0, fmt.Errorf("%s is not known", e.Text)
	case Or:
		v := int64(0)
		for _, x := range e.List {
			n, err := eval(x)
			if err != nil {
				return 0, err
			}
			v |= n
		}
		return v, nil
	}
	return 0, fmt.Errorf("%v is no number", e)
}

// arguments checks the number of arguments and evaluates those whose form is 'i' (a number); '.' leaves one alone.
func arguments(c *SystemCall, forms string) ([]int64, error) {
	if len(c.Args) != len(forms) {
		return nil, fmt.Errorf("%d arguments given, %d expected", len(c.Args), len(forms))
	}
	values := make([]int64, len(forms))
	for i, form := range forms {
		if form != 'i' {
			continue
		}
		v, err := eval(c.Args[i])
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		values[i] = v
	}
	return values, nil
}

// lookup is the script's descriptor n.
func (r *runner) lookup(n int64) (*descriptor, error) {
	if d := r.fds[n]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("descriptor %d is not open in the script", n)
}

// done is a call that has returned at once.
func (r *runner) done(n int, err error) *lab.Call {
	if err != nil {
		n = -1
	}
	return &lab.Call{Done: true, N: n, Err: err, Ended: r.lab.Now()}
}
