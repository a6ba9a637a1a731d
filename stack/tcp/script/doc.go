// Package script plays packetdrill's .pkt scripts — packets and system calls with their times — against a stack in
// process, on a clock turned by hand.
//
//	file ─► Parse ─► Script.Run ─► lab ─ system calls, incoming packets ─► stack
//	                     └──────── compare ◄─ outgoing packets ◄────────────┘
//
// A run owns its stack and its time: it is deterministic, takes no real time, and many may run at once. Tests call
// Run; what differs is an *Error with file and line, what was expected and what was seen.
//
// # The language
//
// The subset of packetdrill's that its TCP scripts and ours use; the same files run under packetdrill.
//
//	--name=value                     options, first of all: ip_version, mtu, bind_port, connect_port, local_ip,
//	                                 remote_ip, tolerance_usecs, tolerance_percent, tcp_ts_tick_usecs,
//	                                 tcp_ts_ecr_scaled, strict_segments, define=NAME=value
//	`command`                        at the beginning, as an event, and at the end: sysctl name=value (Linux's names
//	                                 or FreeBSD's) and sleep; defaults.sh, tc and ip tcp_metrics are left out
//	time event                       one line each; // and /* */ are comments
//
// Times are in seconds: absolute (0.5), after the line before (+.1), a range for outgoing packets (+.1~+.2), or *
// for an outgoing packet at any time. A packet must be sent within the tolerance, 4 ms if not said; tolerance_percent
// is 0 if not said, since the clock is exact here, where packetdrill has 12.5.
//
//	> P. 1:1001(1000) ack 1 win 500 <nop,nop,TS val 5 ecr 9>      the stack sends a segment
//	< . 1:1(0) ack 1001 win 257 <sack 2001:3001,nop,nop>          the stack receives one
//	< [ce] icmp unreachable frag_needed mtu 1200 [1:1461(1460)]   an ICMP error about a segment of the stack's
//	+0 write(4, ..., 1000) = 1000                                 a system call that returns at once
//	+0...0.2 connect(3, ..., ...) = -1 ETIMEDOUT (text)           one that blocks, and when it returns
//	+0 %{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%            assertions about TCP_INFO
//
// Flags are F S R P . U E W A, - for none, and a digit for the accurate-ECN counter. Numbers of segments with SYN are
// absolute, all others relative to the first SYN, as tcpdump shows them. Without win the window is not checked, with
// <...> the options are not; all else is, and options in their order. A segment may be shown longer than it is sent:
// the pieces are joined and PSH is not compared, unless strict_segments is said. (info) or [info] before the flags
// says ect0, ect1, ect01, ce, noecn, tos 0xNN, ttl N; flowlabel 0xN for incoming packets only.
//
// All packets belong to one connection: that of the socket opened last, or that of the first packet to a listener.
// The peer's next connection begins with the first incoming packet after another listen. Packets of other
// connections are not looked at, and those sent after the last line neither.
//
// System calls: socket, bind, listen, accept, connect, close, shutdown, read, readv, recv, recvfrom, recvmsg, write,
// writev, send, sendto, sendmsg, fcntl, ioctl (SIOCINQ), getsockopt, setsockopt, poll, epoll_create, epoll_ctl,
// epoll_wait. ... stands for addresses and buffers; bind goes to bind_port (8080) of the local address, connect to
// connect_port (8080) of the remote one.
//
// Code is assert, print and assignment over tcpi_ fields, integers and Python's operators; nothing else of Python.
//
// More than packetdrill does: the payload is a pattern by place in the stream, so that reordered, repeated or lost
// bytes are seen in what is read and in what is sent; checksums, reserved bits and echoed timestamps are checked.
//
// Not supported: UDP, tunnels, Fast Open from sendto, AF_UNSPEC, control messages, files and pipes. They are
// errors, not silence.
package script
