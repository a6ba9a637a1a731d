package netstack

import (
	"bytes"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// tcpOptions are those of IPPROTO_TCP.
var tcpOptions = map[optionKey]option{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY}: flag(
		func(o *tcpip.SocketOptions) bool { return !o.GetDelayOption() },
		func(o *tcpip.SocketOptions, on bool) { o.SetDelayOption(!on) }),
	{unix.IPPROTO_TCP, unix.TCP_CORK}:     corkOption,
	{unix.IPPROTO_TCP, unix.TCP_QUICKACK}: flag((*tcpip.SocketOptions).GetQuickAck, (*tcpip.SocketOptions).SetQuickAck),

	// Linux's limits: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT, MAX_TCP_SYNCNT.
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}:  duration[tcpip.KeepaliveIdleOption](time.Second, within(1, 32767)),
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}: duration[tcpip.KeepaliveIntervalOption](time.Second, within(1, 32767)),
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}:   number(tcpip.KeepaliveCountOption, toInt, within(1, 127), nil),
	{unix.IPPROTO_TCP, unix.TCP_SYNCNT}:    number(tcpip.TCPSynCountOption, toInt, within(1, 127), nil),

	{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: duration[tcpip.TCPUserTimeoutOption](time.Millisecond, within(0, 1<<31-1)), // RFC 5482
	{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT}: duration[tcpip.TCPDeferAcceptOption](time.Second, func(x int) (int, error) { return max(x, 0), nil }),
	{unix.IPPROTO_TCP, unix.TCP_LINGER2}:      duration[tcpip.TCPLingerTimeoutOption](time.Second, func(x int) (int, error) { return x, nil }),

	{unix.IPPROTO_TCP, unix.TCP_CONGESTION}: {
		set: func(s *socket, v []byte) error {
			name, _, _ := bytes.Cut(v, []byte{0})
			cc := tcpip.CongestionControlOption(name)
			return errno(s.ep.SetSockOpt(&cc))
		},
		get: func(s *socket) ([]byte, error) {
			var cc tcpip.CongestionControlOption
			err := s.ep.GetSockOpt(&cc)
			return append([]byte(cc), make([]byte, max(tcpNameLen-len(cc), 0))...), errno(err)
		},
		inherit: true,
	},

	{unix.IPPROTO_TCP, unix.TCP_MAXSEG}: {
		set: func(s *socket, v []byte) error {
			x, err := toInt(v)
			if err != nil {
				return err
			}
			return errno(s.ep.SetSockOptInt(tcpip.MaxSegOption, x))
		},
		get: func(s *socket) ([]byte, error) {
			x, err := s.ep.GetSockOptInt(tcpip.MaxSegOption)
			if mss := s.mss(); mss != 0 {
				x = mss
			}
			return fromInt(x), errno(err)
		},
	},

	{unix.IPPROTO_TCP, unix.TCP_INFO}: {get: func(s *socket) ([]byte, error) {
		var o tcpip.TCPInfoOption
		if err := s.ep.GetSockOpt(&o); err != nil {
			return nil, errno(err)
		}
		info := s.tcpInfo(o)
		return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info))), nil
	}},
}

// corkOption is TCP_CORK, which MSG_MORE leaves alone.
var corkOption = option{
	set: func(s *socket, v []byte) error {
		x, err := toInt(v)
		if err == nil {
			s.held.Store(false)
			s.ep.SocketOptions().SetCorkOption(x != 0)
		}
		return err
	},
	get: func(s *socket) ([]byte, error) {
		return fromBool(s.ep.SocketOptions().GetCorkOption() && !s.held.Load()), nil
	},
	inherit: true,
	number:  true,
}

const tcpNameLen = 16 // TCP_CA_NAME_MAX

// tcpInfo is Linux's struct of what gVisor tells; the rest is zero.
func (s *socket) tcpInfo(o tcpip.TCPInfoOption) unix.TCPInfo {
	info := unix.TCPInfo{
		State:        uint8(o.State), // gVisor's numbers are Linux's
		Rto:          uint32(o.RTO / time.Microsecond),
		Rtt:          uint32(o.RTT / time.Microsecond),
		Rttvar:       uint32(o.RTTVar / time.Microsecond),
		Snd_ssthresh: o.SndSsthresh,
		Snd_cwnd:     o.SndCwnd,
		Snd_mss:      uint32(s.mss()),
	}
	switch o.CcState {
	case tcpip.Disorder:
		info.Ca_state = 1 // TCP_CA_Disorder
	case tcpip.FastRecovery, tcpip.SACKRecovery:
		info.Ca_state = 3 // TCP_CA_Recovery
	case tcpip.RTORecovery:
		info.Ca_state = 4 // TCP_CA_Loss
	}
	if o.ReorderSeen {
		info.Reord_seen = 1
	}
	if st, ok := s.ep.Stats().(*tcp.Stats); ok {
		info.Segs_in = uint32(st.SegmentsReceived.Value())
		info.Segs_out = uint32(st.SegmentsSent.Value())
		info.Total_retrans = uint32(st.SendErrors.Retransmits.Value())
	}
	return info
}

// mss is the most payload of a segment that the route allows, 0 without a connection. gVisor does not tell what the
// peer's MSS option made of it.
func (s *socket) mss() int {
	local, err := s.ep.GetLocalAddress()
	remote, err2 := s.ep.GetRemoteAddress()
	if err != nil || err2 != nil {
		return 0
	}
	r, e := s.n.find(fromAddress(local.Addr), fromAddress(remote.Addr))
	if e != nil {
		return 0
	}
	defer r.Release()
	return int(r.MTU()) - header.TCPMinimumSize
}
