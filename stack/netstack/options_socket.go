package netstack

import (
	"bytes"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// socketOptions are those of SOL_SOCKET. SO_RCVTIMEO and SO_SNDTIMEO belong to those who block, above stack.Sockets.
var socketOptions = map[optionKey]option{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR}: flag((*tcpip.SocketOptions).GetReuseAddress, (*tcpip.SocketOptions).SetReuseAddress),
	{unix.SOL_SOCKET, unix.SO_REUSEPORT}: flag((*tcpip.SocketOptions).GetReusePort, (*tcpip.SocketOptions).SetReusePort),
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE}: flag((*tcpip.SocketOptions).GetKeepAlive, (*tcpip.SocketOptions).SetKeepAlive),
	{unix.SOL_SOCKET, unix.SO_BROADCAST}: flag((*tcpip.SocketOptions).GetBroadcast, (*tcpip.SocketOptions).SetBroadcast),
	{unix.SOL_SOCKET, unix.SO_NO_CHECK}:  flag((*tcpip.SocketOptions).GetNoChecksum, (*tcpip.SocketOptions).SetNoChecksum),

	{unix.SOL_SOCKET, unix.SO_SNDBUF}: bufferSize((*tcpip.SocketOptions).GetSendBufferSize, (*tcpip.SocketOptions).SendBufferLimits, (*tcpip.SocketOptions).SetSendBufferSize),
	{unix.SOL_SOCKET, unix.SO_RCVBUF}: bufferSize((*tcpip.SocketOptions).GetReceiveBufferSize, (*tcpip.SocketOptions).ReceiveBufferLimits, (*tcpip.SocketOptions).SetReceiveBufferSize),

	{unix.SOL_SOCKET, unix.SO_TYPE}:       {get: func(s *socket) ([]byte, error) { return fromInt(s.typ), nil }},
	{unix.SOL_SOCKET, unix.SO_DOMAIN}:     {get: func(s *socket) ([]byte, error) { return fromInt(s.domain), nil }},
	{unix.SOL_SOCKET, unix.SO_PROTOCOL}:   {get: func(s *socket) ([]byte, error) { return fromInt(s.proto), nil }},
	{unix.SOL_SOCKET, unix.SO_ACCEPTCONN}: {get: func(s *socket) ([]byte, error) { return fromBool(s.ep.SocketOptions().GetAcceptConn()), nil }},

	{unix.SOL_SOCKET, unix.SO_ERROR}: {get: func(s *socket) ([]byte, error) {
		if err := errno(s.ep.LastError()); err != nil {
			return fromInt(int(err.(syscall.Errno))), nil
		}
		return fromInt(0), nil
	}},

	{unix.SOL_SOCKET, unix.SO_LINGER}: { // struct linger: two ints
		set: func(s *socket, v []byte) error {
			if len(v) < 8 {
				return syscall.EINVAL
			}
			l := s.ep.SocketOptions().GetLinger()
			if l.Enabled = native.Uint32(v) != 0; l.Enabled {
				l.Timeout = time.Duration(int32(native.Uint32(v[4:]))) * time.Second
			}
			s.ep.SocketOptions().SetLinger(l)
			return nil
		},
		get: func(s *socket) ([]byte, error) {
			l := s.ep.SocketOptions().GetLinger()
			return append(fromBool(l.Enabled), fromInt(int(l.Timeout/time.Second))...), nil
		},
		inherit: true,
	},

	{unix.SOL_SOCKET, unix.SO_BINDTODEVICE}: { // the interface's name; empty: any
		set: func(s *socket, v []byte) error {
			name, _, _ := bytes.Cut(v, []byte{0})
			nic := tcpip.NICID(0)
			if len(name) > 0 {
				if nic = s.n.nicNamed(string(name)); nic == 0 {
					return syscall.ENODEV
				}
			}
			return errno(s.ep.SocketOptions().SetBindToDevice(int32(nic)))
		},
		get: func(s *socket) ([]byte, error) {
			nic := s.ep.SocketOptions().GetBindToDevice()
			if nic == 0 {
				return nil, nil
			}
			return append([]byte(s.n.g.FindNICNameFromID(tcpip.NICID(nic))), 0), nil
		},
	},
}

// bufferSize is a buffer's size. As on Linux, what is set is capped and then doubled, to allow for what packets cost
// besides their payload, and what is asked is the double.
func bufferSize(get func(*tcpip.SocketOptions) int64, limits func(*tcpip.SocketOptions) (int64, int64), set func(*tcpip.SocketOptions, int64, bool)) option {
	return option{
		set: func(s *socket, v []byte) error {
			x, err := toInt(v)
			if err != nil {
				return err
			}
			o := s.ep.SocketOptions()
			low, high := limits(o)
			set(o, max(2*min(int64(uint32(x)), high), low), true)
			return nil
		},
		get:     func(s *socket) ([]byte, error) { return fromInt(int(get(s.ep.SocketOptions()))), nil },
		inherit: true,
	}
}
