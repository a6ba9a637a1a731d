package tcp

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// Option implements stack.Sockets.
func (t *TCP) Option(h stack.Handle, level, name int, value []byte) (int, error) {
	t.enter()
	defer t.leave()
	_, p, err := t.get(h)
	if err != nil {
		return 0, err
	}
	o := t.opts.at(p.opts)
	switch {
	case level == unix.IPPROTO_TCP && name == unix.TCP_INFO:
		var b [tcpInfoMost]byte
		t.info(p, &b)
		return copy(value, b[:]), nil
	case level == unix.IPPROTO_TCP && name == unix.TCP_CC_INFO:
		return 0, nil // as on Linux, of an algorithm that has nothing to tell
	case level == unix.IPPROTO_TCP && name == unix.TCP_CONGESTION:
		var b [16]byte // TCP_CA_NAME_MAX
		name := o.cc.Name()
		if name == "newreno" {
			name = "reno" // Linux's name for it; both can be set
		}
		copy(b[:15], name)
		return copy(value, b[:]), nil
	case level == unix.SOL_SOCKET && name == unix.SO_LINGER:
		var b [8]byte
		if o.linger >= 0 {
			binary.NativeEndian.PutUint32(b[0:], 1)
			binary.NativeEndian.PutUint32(b[4:], uint32(o.linger))
		}
		return copy(value, b[:]), nil
	case level == unix.SOL_SOCKET && name == unix.SO_MAX_PACING_RATE:
		return maxPacing(o, value), nil
	}
	v, err := t.intOption(p, o, level, name)
	if err != nil {
		return 0, err
	}
	var b [intSize]byte
	binary.NativeEndian.PutUint32(b[:], uint32(v))
	if len(value) < intSize && len(value) > 0 && (level == unix.IPPROTO_IP) {
		value[0] = byte(v)
		return 1, nil
	}
	return copy(value, b[:]), nil
}

func (t *TCP) intOption(p *pcb, o *sockOptions, level, name int) (int, error) {
	if f, ok := flagOptions[[2]int{level, name}]; ok {
		if level == unix.IPPROTO_IPV6 && p.flags&flagIPv6Sock == 0 {
			return 0, syscall.EOPNOTSUPP
		}
		if p.flags&f != 0 {
			return 1, nil
		}
		return 0, nil
	}
	or := func(v, def int) (int, error) {
		if v == 0 {
			v = def
		}
		return v, nil
	}
	switch level {
	case unix.SOL_SOCKET:
		switch name {
		case unix.SO_TYPE:
			return unix.SOCK_STREAM, nil
		case unix.SO_PROTOCOL:
			return unix.IPPROTO_TCP, nil
		case unix.SO_DOMAIN:
			if p.flags&flagIPv6Sock != 0 {
				return unix.AF_INET6, nil
			}
			return unix.AF_INET, nil
		case unix.SO_ERROR:
			e := int(p.err)
			p.err = 0
			return e, nil
		case unix.SO_ACCEPTCONN:
			if p.state == stateListen {
				return 1, nil
			}
			return 0, nil
		case unix.SO_SNDBUF: // Linux tells twice what was asked for: its own cost is in it
			return int(p.sndBuf) * 2, nil
		case unix.SO_RCVBUF:
			return int(p.rcvBuf) * 2, nil
		case unix.SO_RCVLOWAT:
			return int(o.lowat), nil
		}
	case unix.IPPROTO_TCP:
		switch name {
		case unix.TCP_KEEPIDLE:
			return or(int(o.keepIdle)/1000, t.sys.keepIdle/1000)
		case unix.TCP_KEEPINTVL:
			return or(int(o.keepIntvl)/1000, t.sys.keepIntvl/1000)
		case unix.TCP_KEEPCNT:
			return or(int(o.keepCnt), t.sys.keepCnt)
		case unix.TCP_SYNCNT:
			return or(int(o.synCount), defaultSYNs)
		case unix.TCP_USER_TIMEOUT:
			return int(o.userTimeout), nil
		case unix.TCP_DEFER_ACCEPT:
			return int(o.deferAccept), nil
		case unix.TCP_LINGER2:
			if o.linger2 < 0 {
				return -1, nil
			}
			return or(int(o.linger2)/1000, t.sys.finwait2/1000)
		case unix.TCP_MAXSEG:
			if p.state.in(statesSynced) {
				return int(p.mss), nil
			}
			return or(int(o.maxSeg), t.sys.mssV4)
		case unix.TCP_WINDOW_CLAMP:
			return int(o.clamp), nil
		case unix.TCP_NOTSENT_LOWAT:
			return int(o.notSentLow), nil
		case unix.TCP_QUICKACK:
			if p.quick > 0 {
				return 1, nil
			}
			return 0, nil
		}
	case unix.IPPROTO_IP:
		switch name {
		case unix.IP_TOS:
			return int(o.tos), nil
		case unix.IP_TTL:
			return or(int(o.ttl), t.sys.ttl)
		case unix.IP_MTU_DISCOVER:
			return int(o.noPMTU), nil
		case unix.IP_MTU:
			if p.pmtu == 0 || p.state == stateClosed {
				return 0, syscall.ENOTCONN
			}
			return int(p.pmtu), nil
		}
	case unix.IPPROTO_IPV6:
		if p.flags&flagIPv6Sock == 0 {
			return 0, syscall.EOPNOTSUPP
		}
		switch name {
		case unix.IPV6_TCLASS:
			return int(o.class), nil
		case unix.IPV6_UNICAST_HOPS:
			return or(int(o.hops), t.sys.ttl)
		case unix.IPV6_MTU_DISCOVER:
			return int(o.noPMTU), nil
		case unix.IPV6_MTU:
			if p.pmtu == 0 || p.state == stateClosed {
				return 0, syscall.ENOTCONN
			}
			return int(p.pmtu), nil
		}
	default: // as on Linux, by family, and unlike setting it
		if p.flags&flagIPv6Sock == 0 {
			return 0, syscall.EOPNOTSUPP
		}
	}
	return 0, syscall.ENOPROTOOPT
}

// defaultSYNs is what TCP_SYNCNT shows when net.inet.tcp.keepinit decides.
const defaultSYNs = 6
