// Package netstack is a gVisor netstack instance as a layer of a stack: ARP, NDP, ICMP, IPv4, IPv6, routes, fragments,
// UDP, raw sockets and, if asked, gVisor's TCP.
//
//	Device ─► Poll ─► Deliver ─► link ─► gVisor ─► endpoint queues ─► Sockets.Recv
//	Device ◄─ Poll ◄─ Exhale ◄── link ◄─ gVisor ◄─────────────────── Sockets.Send
//
// It is a stack.Layer, the last one, a stack.Sockets, and the stack.Network of another layer's TCP.
//
// A received frame is copied once, into gVisor's pooled views, and is the device's again when Deliver returns. A packet
// to send waits in the link's queue, referenced and not copied, until Exhale copies it into a frame of the device.
// gVisor's TCP hands over segments of up to 64 KiB, which the device cuts, or Exhale while it copies.
//
// Deliver, Advance, Exhale and the methods of stack.Network belong to the loop, with the stack's lock held. Sockets and
// the functions that change addresses, routes, neighbours and sysctls may be called from any goroutine: gVisor has
// locks of its own. It calls back (WritePackets, readiness, neighbour news) with those locks held and from any
// goroutine, the loop's among them, so nothing here takes the stack's lock in a callback. The order is: the stack's
// lock, gVisor's, the link's.
//
// Time is the stack's: no Go timer runs, and a timer's function runs in the loop. gVisor's TCP has GOMAXPROCS
// goroutines that process segments; Deliver has the loop yield to them, and Settle waits for them.
//
// Where lcores share a port, each has a Netstack with the same addresses. Requests for link addresses that another one
// answers are learned from (stack.RxNews), UDP sockets take ports whose packets come to this one (Config.Steering), and
// what was reassembled here for another one goes on to it.
//
// It does not forward packets between ports and has no VLANs, no packet sockets, no control messages (recvmsg's) and
// no urgent data. Blocking, deadlines and descriptors are made above stack.Sockets.
package netstack
