package script

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

var native = binary.NativeEndian

func nativeUint32(b []byte, v int64) []byte { return native.AppendUint32(b, uint32(v)) }

const maxBuffer = 1 << 26 // bytes of one call

// read: read(fd, ..., n) · recv(fd, ..., n, flags) · recvfrom(fd, ..., n, flags, ..., ...)
func (r *runner) read(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	forms := map[string]string{"read": "i.i", "recv": "i.ii", "recvfrom": "i.ii.."}[c.Name]
	d, v, err := r.simple(c, forms)
	if err != nil {
		return nil, nil, err
	}
	flags := int64(0)
	if len(v) > 3 {
		flags = v[3]
	}
	return r.receiveInto(d, v[2], flags)
}

func (r *runner) readv(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "i.i")
	if err != nil {
		return nil, nil, err
	}
	n, err := vector(c.Args[1], v[2])
	if err != nil {
		return nil, nil, err
	}
	return r.receiveInto(d, n, 0)
}

func (r *runner) recvmsg(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "i.i")
	if err != nil {
		return nil, nil, err
	}
	n, err := message(c.Args[1])
	if err != nil {
		return nil, nil, err
	}
	return r.receiveInto(d, n, v[2])
}

// receiveInto reads up to n bytes and checks that they are the stream's.
func (r *runner) receiveInto(d *descriptor, n, flags int64) (*lab.Call, func(*lab.Call) error, error) {
	if n < 0 || n > maxBuffer {
		return nil, nil, fmt.Errorf("%d bytes are not in 0 … %d", n, maxBuffer)
	}
	p := make([]byte, n)
	call := r.lab.Recv(d.fd, p, int(flags))
	return call, func(call *lab.Call) error {
		f := d.flow
		if f == nil || flags&unix.MSG_OOB != 0 {
			return nil
		}
		at := f.readTo
		if flags&unix.MSG_PEEK == 0 {
			f.readTo += uint32(call.N)
		}
		if flags&unix.MSG_TRUNC == 0 && !f.unordered && f.state != flowNew {
			if i := differs(p[:call.N], patternIn, at); i >= 0 {
				return fmt.Errorf("byte %d read is not the one that the peer sent", i)
			}
		}
		return nil
	}, nil
}

// write: write(fd, ..., n) · send(fd, ..., n, flags) · sendto(fd, ..., n, flags, ..., ...)
func (r *runner) write(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	forms := map[string]string{"write": "i.i", "send": "i.ii", "sendto": "i.ii.."}[c.Name]
	d, v, err := r.simple(c, forms)
	if err != nil {
		return nil, nil, err
	}
	flags := int64(0)
	if len(v) > 3 {
		flags = v[3]
	}
	if c.Name == "sendto" && d.flow.state == flowNew {
		return nil, nil, fmt.Errorf("sendto on a socket that is not connected (Fast Open) is not supported")
	}
	return r.sendFrom(d, v[2], flags)
}

func (r *runner) writev(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "i.i")
	if err != nil {
		return nil, nil, err
	}
	n, err := vector(c.Args[1], v[2])
	if err != nil {
		return nil, nil, err
	}
	return r.sendFrom(d, n, 0)
}

func (r *runner) sendmsg(c *SystemCall) (*lab.Call, func(*lab.Call) error, error) {
	d, v, err := r.simple(c, "i.i")
	if err != nil {
		return nil, nil, err
	}
	n, err := message(c.Args[1])
	if err != nil {
		return nil, nil, err
	}
	return r.sendFrom(d, n, v[2])
}

// sendFrom writes the next n bytes of the stream.
func (r *runner) sendFrom(d *descriptor, n, flags int64) (*lab.Call, func(*lab.Call) error, error) {
	if n < 0 || n > maxBuffer {
		return nil, nil, fmt.Errorf("%d bytes are not in 0 … %d", n, maxBuffer)
	}
	at := uint32(0)
	if d.flow != nil {
		at = d.flow.wroteTo
	}
	call := r.lab.Send(d.fd, fill(make([]byte, n), patternO, at), int(flags))
	return call, func(call *lab.Call) error {
		if d.flow != nil {
			d.flow.wroteTo += uint32(call.N)
		}
		return nil
	}, nil
}

// vector is the number of bytes in [{..., n}, …] of count elements.
func vector(e Expr, count int64) (total int64, err error) {
	if e.Kind != List || int64(len(e.List)) != count {
		return 0, fmt.Errorf("%v is not an array of %d elements", e, count)
	}
	for _, v := range e.List {
		if v.Kind != List || len(v.List) != 2 {
			return 0, fmt.Errorf("%v is not {..., length}", v)
		}
		n, err := eval(v.List[1])
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// message is the number of bytes in a struct msghdr; control messages are not supported.
func message(e Expr) (int64, error) {
	if control, ok := e.field("msg_control"); ok && len(control.List) > 0 {
		return 0, fmt.Errorf("control messages are not supported")
	}
	iov, ok := e.field("msg_iov")
	if !ok {
		return 0, fmt.Errorf("%v has no msg_iov", e)
	}
	return vector(iov, int64(len(iov.List)))
}
