package posix

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// The types of package unix that the calls take and give.
type (
	Errno         = syscall.Errno
	Sockaddr      = unix.Sockaddr
	SockaddrInet4 = unix.SockaddrInet4
	SockaddrInet6 = unix.SockaddrInet6
	EpollEvent    = unix.EpollEvent
	PollFd        = unix.PollFd
	FdSet         = unix.FdSet
	Linger        = unix.Linger
	Timeval       = unix.Timeval
	TCPInfo       = unix.TCPInfo
	Rlimit        = unix.Rlimit
)

// Families, types and protocols of sockets.
const (
	AF_UNSPEC      = unix.AF_UNSPEC
	AF_INET        = unix.AF_INET
	AF_INET6       = unix.AF_INET6
	SOCK_STREAM    = unix.SOCK_STREAM
	SOCK_DGRAM     = unix.SOCK_DGRAM
	SOCK_RAW       = unix.SOCK_RAW
	SOCK_NONBLOCK  = unix.SOCK_NONBLOCK
	SOCK_CLOEXEC   = unix.SOCK_CLOEXEC
	IPPROTO_IP     = unix.IPPROTO_IP
	IPPROTO_ICMP   = unix.IPPROTO_ICMP
	IPPROTO_TCP    = unix.IPPROTO_TCP
	IPPROTO_UDP    = unix.IPPROTO_UDP
	IPPROTO_IPV6   = unix.IPPROTO_IPV6
	IPPROTO_ICMPV6 = unix.IPPROTO_ICMPV6
	SOMAXCONN      = unix.SOMAXCONN
	SHUT_RD        = unix.SHUT_RD
	SHUT_WR        = unix.SHUT_WR
	SHUT_RDWR      = unix.SHUT_RDWR
)

// Options of sockets.
const (
	SOL_SOCKET    = unix.SOL_SOCKET
	SO_ACCEPTCONN = unix.SO_ACCEPTCONN
	SO_BROADCAST  = unix.SO_BROADCAST
	SO_DOMAIN     = unix.SO_DOMAIN
	SO_ERROR      = unix.SO_ERROR
	SO_KEEPALIVE  = unix.SO_KEEPALIVE
	SO_LINGER     = unix.SO_LINGER
	SO_OOBINLINE  = unix.SO_OOBINLINE
	SO_PROTOCOL   = unix.SO_PROTOCOL
	SO_RCVBUF     = unix.SO_RCVBUF
	SO_RCVLOWAT   = unix.SO_RCVLOWAT
	SO_RCVTIMEO   = unix.SO_RCVTIMEO
	SO_REUSEADDR  = unix.SO_REUSEADDR
	SO_REUSEPORT  = unix.SO_REUSEPORT
	SO_SNDBUF     = unix.SO_SNDBUF
	SO_SNDTIMEO   = unix.SO_SNDTIMEO
	SO_TYPE       = unix.SO_TYPE
)

// Options of TCP, IPv4 and IPv6.
const (
	SOL_TCP             = unix.SOL_TCP
	TCP_CONGESTION      = unix.TCP_CONGESTION
	TCP_CORK            = unix.TCP_CORK
	TCP_DEFER_ACCEPT    = unix.TCP_DEFER_ACCEPT
	TCP_FASTOPEN        = unix.TCP_FASTOPEN
	TCP_INFO            = unix.TCP_INFO
	TCP_KEEPCNT         = unix.TCP_KEEPCNT
	TCP_KEEPIDLE        = unix.TCP_KEEPIDLE
	TCP_KEEPINTVL       = unix.TCP_KEEPINTVL
	TCP_LINGER2         = unix.TCP_LINGER2
	TCP_MAXSEG          = unix.TCP_MAXSEG
	TCP_NODELAY         = unix.TCP_NODELAY
	TCP_NOTSENT_LOWAT   = unix.TCP_NOTSENT_LOWAT
	TCP_QUICKACK        = unix.TCP_QUICKACK
	TCP_SYNCNT          = unix.TCP_SYNCNT
	TCP_USER_TIMEOUT    = unix.TCP_USER_TIMEOUT
	TCP_WINDOW_CLAMP    = unix.TCP_WINDOW_CLAMP
	IP_ADD_MEMBERSHIP   = unix.IP_ADD_MEMBERSHIP
	IP_DROP_MEMBERSHIP  = unix.IP_DROP_MEMBERSHIP
	IP_MTU              = unix.IP_MTU
	IP_MTU_DISCOVER     = unix.IP_MTU_DISCOVER
	IP_MULTICAST_IF     = unix.IP_MULTICAST_IF
	IP_MULTICAST_LOOP   = unix.IP_MULTICAST_LOOP
	IP_MULTICAST_TTL    = unix.IP_MULTICAST_TTL
	IP_TOS              = unix.IP_TOS
	IP_TTL              = unix.IP_TTL
	IPV6_JOIN_GROUP     = unix.IPV6_JOIN_GROUP
	IPV6_LEAVE_GROUP    = unix.IPV6_LEAVE_GROUP
	IPV6_MULTICAST_HOPS = unix.IPV6_MULTICAST_HOPS
	IPV6_MULTICAST_LOOP = unix.IPV6_MULTICAST_LOOP
	IPV6_TCLASS         = unix.IPV6_TCLASS
	IPV6_UNICAST_HOPS   = unix.IPV6_UNICAST_HOPS
	IPV6_V6ONLY         = unix.IPV6_V6ONLY
)

// Flags of messages.
const (
	MSG_DONTWAIT = unix.MSG_DONTWAIT
	MSG_MORE     = unix.MSG_MORE
	MSG_NOSIGNAL = unix.MSG_NOSIGNAL
	MSG_OOB      = unix.MSG_OOB
	MSG_PEEK     = unix.MSG_PEEK
	MSG_TRUNC    = unix.MSG_TRUNC
	MSG_WAITALL  = unix.MSG_WAITALL
)

// Epoll, poll and eventfd.
const (
	EPOLL_CLOEXEC  = unix.EPOLL_CLOEXEC
	EPOLL_CTL_ADD  = unix.EPOLL_CTL_ADD
	EPOLL_CTL_DEL  = unix.EPOLL_CTL_DEL
	EPOLL_CTL_MOD  = unix.EPOLL_CTL_MOD
	EPOLLERR       = unix.EPOLLERR
	EPOLLET        = unix.EPOLLET
	EPOLLEXCLUSIVE = unix.EPOLLEXCLUSIVE
	EPOLLHUP       = unix.EPOLLHUP
	EPOLLIN        = unix.EPOLLIN
	EPOLLONESHOT   = unix.EPOLLONESHOT
	EPOLLOUT       = unix.EPOLLOUT
	EPOLLPRI       = unix.EPOLLPRI
	EPOLLRDHUP     = unix.EPOLLRDHUP
	EPOLLRDNORM    = unix.EPOLLRDNORM
	EPOLLWRNORM    = unix.EPOLLWRNORM
	POLLERR        = unix.POLLERR
	POLLHUP        = unix.POLLHUP
	POLLIN         = unix.POLLIN
	POLLNVAL       = unix.POLLNVAL
	POLLOUT        = unix.POLLOUT
	POLLPRI        = unix.POLLPRI
	POLLRDHUP      = unix.POLLRDHUP
	EFD_CLOEXEC    = unix.EFD_CLOEXEC
	EFD_NONBLOCK   = unix.EFD_NONBLOCK
	EFD_SEMAPHORE  = unix.EFD_SEMAPHORE
)

// Commands and flags of descriptors.
const (
	F_DUPFD         = unix.F_DUPFD
	F_DUPFD_CLOEXEC = unix.F_DUPFD_CLOEXEC
	F_GETFD         = unix.F_GETFD
	F_GETFL         = unix.F_GETFL
	F_SETFD         = unix.F_SETFD
	F_SETFL         = unix.F_SETFL
	FD_CLOEXEC      = unix.FD_CLOEXEC
	O_CLOEXEC       = unix.O_CLOEXEC
	O_NONBLOCK      = unix.O_NONBLOCK
	O_RDWR          = unix.O_RDWR
	RLIMIT_NOFILE   = unix.RLIMIT_NOFILE
)

// Errors.
const (
	EACCES          = unix.EACCES
	EADDRINUSE      = unix.EADDRINUSE
	EADDRNOTAVAIL   = unix.EADDRNOTAVAIL
	EAFNOSUPPORT    = unix.EAFNOSUPPORT
	EAGAIN          = unix.EAGAIN
	EALREADY        = unix.EALREADY
	EBADF           = unix.EBADF
	EBUSY           = unix.EBUSY
	ECONNABORTED    = unix.ECONNABORTED
	ECONNREFUSED    = unix.ECONNREFUSED
	ECONNRESET      = unix.ECONNRESET
	EDESTADDRREQ    = unix.EDESTADDRREQ
	EDOM            = unix.EDOM
	EEXIST          = unix.EEXIST
	EFAULT          = unix.EFAULT
	EHOSTUNREACH    = unix.EHOSTUNREACH
	EINPROGRESS     = unix.EINPROGRESS
	EINTR           = unix.EINTR
	EINVAL          = unix.EINVAL
	EISCONN         = unix.EISCONN
	EMFILE          = unix.EMFILE
	EMSGSIZE        = unix.EMSGSIZE
	ENETDOWN        = unix.ENETDOWN
	ENETUNREACH     = unix.ENETUNREACH
	ENFILE          = unix.ENFILE
	ENOBUFS         = unix.ENOBUFS
	ENOENT          = unix.ENOENT
	ENOMEM          = unix.ENOMEM
	ENOPROTOOPT     = unix.ENOPROTOOPT
	ENOSPC          = unix.ENOSPC
	ENOSYS          = unix.ENOSYS
	ENOTCONN        = unix.ENOTCONN
	ENOTSOCK        = unix.ENOTSOCK
	EOPNOTSUPP      = unix.EOPNOTSUPP
	EPERM           = unix.EPERM
	EPIPE           = unix.EPIPE
	EPROTO          = unix.EPROTO
	EPROTONOSUPPORT = unix.EPROTONOSUPPORT
	ESOCKTNOSUPPORT = unix.ESOCKTNOSUPPORT
	ETIMEDOUT       = unix.ETIMEDOUT
	EWOULDBLOCK     = unix.EWOULDBLOCK
)
