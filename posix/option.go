package posix

import (
	"encoding/binary"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// word is the memory of a small option, kept because Sockets may not keep it but the compiler cannot know.
type word [16]byte

var words = sync.Pool{New: func() any { return new(word) }}

func (v *word) int() int       { return int(int32(binary.NativeEndian.Uint32(v[:]))) }
func (v *word) set(n uint32)   { binary.NativeEndian.PutUint32(v[:], n) }
func (v *word) set2(n uint32)  { binary.NativeEndian.PutUint32(v[4:], n) }
func (v *word) second() uint32 { return binary.NativeEndian.Uint32(v[4:]) }

// SetsockoptInt sets an option whose value is an int. ENOPROTOOPT, EINVAL.
func (t *Table) SetsockoptInt(fd, level, opt, value int) error {
	v := words.Get().(*word)
	defer words.Put(v)
	v.set(uint32(value))
	return t.setsockopt(fd, level, opt, v[:4])
}

// SetsockoptByte sets an option whose value is a byte.
func (t *Table) SetsockoptByte(fd, level, opt int, value byte) error {
	v := words.Get().(*word)
	defer words.Put(v)
	v[0] = value
	return t.setsockopt(fd, level, opt, v[:1])
}

// SetsockoptLinger sets SO_LINGER.
func (t *Table) SetsockoptLinger(fd, level, opt int, l *Linger) error {
	v := words.Get().(*word)
	defer words.Put(v)
	v.set(uint32(l.Onoff))
	v.set2(uint32(l.Linger))
	return t.setsockopt(fd, level, opt, v[:8])
}

// SetsockoptTimeval sets SO_RCVTIMEO or SO_SNDTIMEO: how long a call blocks at most, zero: for ever. EDOM:
// the microseconds are not below a million. Linux takes a negative time for the shortest one; so does this.
func (t *Table) SetsockoptTimeval(fd, level, opt int, tv *Timeval) error {
	return t.setsockopt(fd, level, opt, unsafe.Slice((*byte)(unsafe.Pointer(tv)), unsafe.Sizeof(*tv)))
}

// SetsockoptString sets an option whose value is a string, such as TCP_CONGESTION.
func (t *Table) SetsockoptString(fd, level, opt int, s string) error {
	return t.setsockopt(fd, level, opt, []byte(s))
}

func (t *Table) setsockopt(fd, level, opt int, value []byte) error {
	s, st, err := t.socket(fd)
	if err != nil {
		return err
	}
	if which, ok := timeoutOf(level, opt); ok {
		return t.setTimeout(fd, st, which, value)
	}
	return s.SetOption(st.handle(), level, opt, value)
}

// timeoutOf tells whether the option is one of those that this package does by itself.
func timeoutOf(level, opt int) (which int, ok bool) {
	switch {
	case level != unix.SOL_SOCKET:
		return 0, false
	case opt == unix.SO_RCVTIMEO:
		return recvTimeout, true
	case opt == unix.SO_SNDTIMEO:
		return sendTimeout, true
	}
	return 0, false
}

func (t *Table) setTimeout(fd int, st state, which int, value []byte) error {
	if len(value) < int(unsafe.Sizeof(Timeval{})) {
		return syscall.EINVAL
	}
	tv := *(*Timeval)(unsafe.Pointer(unsafe.SliceData(value)))
	if tv.Usec < 0 || tv.Usec >= 1e6 {
		return syscall.EDOM
	}
	const most = int64(forever&^(-1<<63)) / int64(time.Second) // what a Duration can hold
	d := time.Duration(min(tv.Sec, most-1))*time.Second + time.Duration(tv.Usec)*time.Microsecond
	if tv.Sec < 0 {
		d = 1 // told as 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.file(fd)
	if f == 0 || !state(t.files[f].state.Load()).same(st) {
		return syscall.EBADF
	}
	ts := t.timeouts[f]
	ts[which] = d
	t.timeouts[f] = ts
	t.flag(f, hasTimeouts, true)
	return nil
}

// GetsockoptInt tells an option whose value is an int.
func (t *Table) GetsockoptInt(fd, level, opt int) (int, error) {
	v := words.Get().(*word)
	defer words.Put(v)
	*v = word{}
	if _, err := t.getsockopt(fd, level, opt, v[:4]); err != nil {
		return 0, err
	}
	return v.int(), nil
}

// GetsockoptLinger tells SO_LINGER.
func (t *Table) GetsockoptLinger(fd, level, opt int) (*Linger, error) {
	v := words.Get().(*word)
	defer words.Put(v)
	*v = word{}
	if _, err := t.getsockopt(fd, level, opt, v[:8]); err != nil {
		return nil, err
	}
	return &Linger{Onoff: int32(v.int()), Linger: int32(v.second())}, nil
}

// GetsockoptTimeval tells SO_RCVTIMEO or SO_SNDTIMEO.
func (t *Table) GetsockoptTimeval(fd, level, opt int) (*Timeval, error) {
	tv := new(Timeval)
	_, err := t.getsockopt(fd, level, opt, unsafe.Slice((*byte)(unsafe.Pointer(tv)), unsafe.Sizeof(*tv)))
	if err != nil {
		return nil, err
	}
	return tv, nil
}

// GetsockoptString tells an option whose value is a string, without the NUL at its end.
func (t *Table) GetsockoptString(fd, level, opt int) (string, error) {
	b := make([]byte, 256)
	n, err := t.getsockopt(fd, level, opt, b)
	if err != nil {
		return "", err
	}
	for i, c := range b[:n] {
		if c == 0 {
			n = i
			break
		}
	}
	return string(b[:n]), nil
}

// GetsockoptTCPInfo tells TCP_INFO.
func (t *Table) GetsockoptTCPInfo(fd, level, opt int) (*TCPInfo, error) {
	info := new(TCPInfo)
	_, err := t.getsockopt(fd, level, opt, unsafe.Slice((*byte)(unsafe.Pointer(info)), unsafe.Sizeof(*info)))
	if err != nil {
		return nil, err
	}
	return info, nil
}

func (t *Table) getsockopt(fd, level, opt int, value []byte) (int, error) {
	s, st, err := t.socket(fd)
	if err != nil {
		return 0, err
	}
	if which, ok := timeoutOf(level, opt); ok {
		d := max(t.timeout(fd, st, which), 0)
		tv := Timeval{Sec: int64(d / time.Second), Usec: int64(d % time.Second / time.Microsecond)}
		return copy(value, unsafe.Slice((*byte)(unsafe.Pointer(&tv)), unsafe.Sizeof(tv))), nil
	}
	return s.Option(st.handle(), level, opt, value)
}
