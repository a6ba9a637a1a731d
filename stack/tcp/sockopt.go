package tcp

import (
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// Socket options that package unix does not name.
const (
	tcpInfoMost = 248 // bytes of struct tcp_info up to and including what Linux 6.7 has
	intSize     = 4
)

// flagOptions are the options that are on or off.
var flagOptions = map[[2]int]flags{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR}:  flagReuseAddr,
	{unix.SOL_SOCKET, unix.SO_REUSEPORT}:  flagReusePort,
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE}:  flagKeepAlive,
	{unix.SOL_SOCKET, unix.SO_OOBINLINE}:  flagOOBInline,
	{unix.SOL_SOCKET, unix.SO_BROADCAST}:  flagBroadcast,
	{unix.IPPROTO_TCP, unix.TCP_NODELAY}:  flagNoDelay,
	{unix.IPPROTO_TCP, unix.TCP_CORK}:     flagCork,
	{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}: flagV6Only,
}

// SetOption implements stack.Sockets. ENOPROTOOPT: there is no such option, as TCP_FASTOPEN.
func (t *TCP) SetOption(h stack.Handle, level, name int, value []byte) error {
	t.enter()
	defer t.leave()
	i, p, err := t.get(h)
	if err != nil {
		return err
	}
	switch {
	case level == unix.IPPROTO_TCP && name == unix.TCP_CONGESTION:
		return t.setCongestion(i, p, value)
	case level == unix.SOL_SOCKET && name == unix.SO_LINGER:
		return t.setLinger(p, value)
	case level == unix.SOL_SOCKET && name == unix.SO_MAX_PACING_RATE:
		return t.setMaxPacing(i, p, value)
	case level == unix.SOL_SOCKET && (name == unix.SO_RCVTIMEO || name == unix.SO_SNDTIMEO):
		return syscall.ENOPROTOOPT // whoever blocks keeps them
	}
	if len(value) < intSize {
		if level != unix.IPPROTO_IP || len(value) < 1 { // IP options may be one byte
			return syscall.EINVAL
		}
		value = []byte{value[0], 0, 0, 0}
	}
	v := int(int32(binary.NativeEndian.Uint32(value)))
	if f, ok := flagOptions[[2]int{level, name}]; ok {
		return t.setFlag(i, p, f, v != 0)
	}
	switch level {
	case unix.SOL_SOCKET:
		return t.setSocketOption(i, p, name, v)
	case unix.IPPROTO_TCP:
		return t.setTCPOption(i, p, name, v)
	case unix.IPPROTO_IP:
		return t.setIPOption(p, name, v)
	case unix.IPPROTO_IPV6:
		if p.flags&flagIPv6Sock == 0 {
			return syscall.ENOPROTOOPT
		}
		return t.setIPv6Option(p, name, v)
	}
	return syscall.ENOPROTOOPT
}

func (t *TCP) setFlag(i uint32, p *pcb, f flags, on bool) error {
	if f == flagV6Only && (p.flags&flagIPv6Sock == 0 || p.bind != 0) {
		if p.flags&flagIPv6Sock == 0 {
			return syscall.ENOPROTOOPT
		}
		return syscall.EINVAL
	}
	if p.bind != 0 && f&(flagReuseAddr|flagReusePort) != 0 {
		t.binds.count(p.bind, sharingOf(p), -1)
		defer func() { t.binds.count(p.bind, sharingOf(p), 1) }()
	}
	if on {
		p.flags |= f
	} else {
		p.flags &^= f
	}
	switch f {
	case flagNoDelay, flagCork:
		if p.snd.len > 0 {
			if f == flagNoDelay && on && p.unsent() > 0 {
				p.flags |= flagForce // tcp(7): setting it flushes pending output, even while corked
			}
			t.mark(i, p) // what was held back may go
		}
	case flagKeepAlive:
		if p.state.in(statesSynced) && p.flags&flagPersist == 0 && p.state != stateFinWait2 {
			p.timeKeep = 0
			p.probes, p.answered = 0, 0
			t.startKeepAlive(i, p)
		}
	}
	return nil
}

// share changes the options that sockets share.
func (t *TCP) share(p *pcb, f func(*sockOptions)) error {
	o := t.opts.change(p.opts, f)
	if o == 0 {
		return syscall.ENOMEM
	}
	p.opts = o
	return nil
}

func (t *TCP) setCongestion(i uint32, p *pcb, value []byte) error {
	if n := slices.Index(value, 0); n >= 0 {
		value = value[:n]
	}
	id, err := cc.Lookup(string(value))
	if err != nil {
		return syscall.ENOENT
	}
	if p.state.in(statesSynced) {
		t.rec.SetCC(&p.rec, id)
	}
	if err := t.share(p, func(o *sockOptions) { o.cc = id }); err != nil {
		return err
	}
	t.setPacing(i, p)
	return nil
}

func (t *TCP) setLinger(p *pcb, value []byte) error {
	if len(value) < 8 {
		return syscall.EINVAL
	}
	on, secs := int32(binary.NativeEndian.Uint32(value)), int32(binary.NativeEndian.Uint32(value[4:]))
	if on == 0 {
		secs = -1
	} else if secs < 0 {
		secs = 1<<31 - 1
	}
	return t.share(p, func(o *sockOptions) { o.linger = secs })
}

func (t *TCP) setSocketOption(i uint32, p *pcb, name, v int) error {
	switch name {
	case unix.SO_SNDBUF:
		p.sndBuf = uint32(max(min(v, t.sys.sockBufMost), 2304))
		p.flags |= flagSndLocked
	case unix.SO_RCVBUF:
		p.rcvBuf = uint32(max(min(v, t.sys.sockBufMost), 1152))
		p.flags |= flagRcvLocked
	case unix.SO_RCVLOWAT:
		if v < 0 {
			v = 1<<31 - 1
		}
		return t.share(p, func(o *sockOptions) { o.lowat = uint32(max(v, 1)) })
	case unix.SO_PRIORITY, unix.SO_BUSY_POLL, unix.SO_INCOMING_CPU:
		return nil // hints to the kernel's scheduling of packets, which is not there
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

func (t *TCP) setTCPOption(i uint32, p *pcb, name, v int) error {
	seconds := func(at func(*sockOptions) *uint32, most int) error {
		if v < 1 || v > most {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { *at(o) = uint32(v) * 1000 })
	}
	switch name {
	case unix.TCP_KEEPIDLE:
		if err := seconds(func(o *sockOptions) *uint32 { return &o.keepIdle }, 32767); err != nil {
			return err
		}
		if p.flags&flagKeepAlive != 0 {
			return t.setFlag(i, p, flagKeepAlive, true)
		}
		return nil
	case unix.TCP_KEEPINTVL:
		return seconds(func(o *sockOptions) *uint32 { return &o.keepIntvl }, 32767)
	case unix.TCP_KEEPCNT:
		if v < 1 || v > 127 {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.keepCnt = uint8(v) })
	case unix.TCP_SYNCNT:
		if v < 1 || v > 127 {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.synCount = uint8(v) })
	case unix.TCP_USER_TIMEOUT:
		if v < 0 {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.userTimeout = uint32(v) })
	case unix.TCP_DEFER_ACCEPT:
		return t.share(p, func(o *sockOptions) { o.deferAccept = uint8(min(max(v, 0), 255)) })
	case unix.TCP_LINGER2:
		return t.share(p, func(o *sockOptions) {
			if v < 0 {
				o.linger2 = -1
			} else {
				o.linger2 = int32(min(v, 120)) * 1000
			}
		})
	case unix.TCP_MAXSEG:
		if v != 0 && (v < t.sys.mssMin || v > 65495) {
			return syscall.EINVAL
		}
		if err := t.share(p, func(o *sockOptions) { o.maxSeg = uint16(v) }); err != nil {
			return err
		}
		if p.state.in(statesSynced) {
			t.setMSS(p)
			t.rec.SetMSS(&p.rec, p.mss)
		}
		return nil
	case unix.TCP_WINDOW_CLAMP:
		if v == 0 && p.state != stateClosed || v < 0 {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) {
			o.clamp = uint32(v)
			if v != 0 {
				o.clamp = uint32(max(v, 1152))
			}
		})
	case unix.TCP_NOTSENT_LOWAT:
		return t.share(p, func(o *sockOptions) { o.notSentLow = uint32(v) })
	case unix.TCP_QUICKACK:
		if v != 0 {
			p.quick = quickAcks
			p.flags &^= flagNoQuick
			if p.timeAck != 0 {
				p.flags |= flagAckNow
				t.mark(i, p)
			}
		} else {
			p.quick = 0
			p.flags |= flagNoQuick
		}
		return nil
	}
	return syscall.ENOPROTOOPT
}

func (t *TCP) setIPOption(p *pcb, name, v int) error {
	switch name {
	case unix.IP_TOS:
		return t.share(p, func(o *sockOptions) { o.tos = uint8(v) &^ 3 }) // the ECN bits are the stack's
	case unix.IP_TTL:
		if v != -1 && (v < 1 || v > 255) {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.ttl = uint8(max(v, 0)) })
	case unix.IP_MTU_DISCOVER:
		if v < 0 || v > pmtuProbe {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.noPMTU = uint8(v) })
	}
	return syscall.ENOPROTOOPT
}

func (t *TCP) setIPv6Option(p *pcb, name, v int) error {
	switch name {
	case unix.IPV6_TCLASS:
		if v < -1 || v > 255 {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.class = uint8(max(v, 0)) &^ 3 })
	case unix.IPV6_UNICAST_HOPS:
		if v < -1 || v > 255 {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.hops = uint8(max(v, 0)) })
	case unix.IPV6_MTU_DISCOVER:
		if v < 0 || v > pmtuProbe {
			return syscall.EINVAL
		}
		return t.share(p, func(o *sockOptions) { o.noPMTU = uint8(v) })
	}
	return syscall.ENOPROTOOPT
}
