// Libfstack-packetdrill is a plug-in for google/packetdrill's --so_filename: its scripts then run against this stack
// in packetdrill's own process.
//
//	packetdrill ─ socket calls, packets, usleep ─► shim.c ─► plugin ─► lab ─► stack/tcp over stack/netstack
//	     ▲                                                               │
//	     └──────────────── netdev_receive, gettimeofday ◄────────────────┘
//
// Build it with `make packetdrill` (go build -buildmode=c-shared). It exports packetdrill_interface_init. The flags
// string (--so_flags) is a list of name=value with commas:
//
//	tcp=fstack|netstack          our TCP (default) or gVisor's
//	local_ip=192.168.0.1/16      the stack's address, which packetdrill needs as --local_ip too
//	gateway_ip=192.168.0.2       the next hop to all others; default: the address after the stack's
//	mtu=1500
//	net.inet.tcp.sack.enable=1   any setting of the stack, by FreeBSD's name
//
// Time is packetdrill's: it passes when packetdrill sleeps, waits for a packet or looks at the clock (a microsecond
// each time), so that a run does not depend on the machine's load. A call that blocks ends at its time: the clock
// stands still until packetdrill has seen it.
//
// All of packetdrill's threads may call; one at a time is inside. The stack's memory is the process's. Calls that
// are not there (pipe, splice, ioctl but for FIONREAD) return ENOSYS.
package main
