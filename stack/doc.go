// Package stack is one instance of the network stack: the loop of one lcore, and the seams between devices,
// protocols and the API.
//
//	Device.Exchange ─► Poll: inhale · deliver · timers · serve · exhale ─► Device.Exchange
//	                              │                ▲
//	                              ▼                │
//	              Layer (stack/tcp, stack/netstack) ◄─► Sockets ◄─► fstack, posix
//
// Poll, in poll.go, is the whole walk. A Device owns the frames' memory: a received frame is valid until the
// next Exchange, a layer copies what it keeps. Poll, Loop and the devices belong to one goroutine; Sockets,
// Clock and Kick may be used from any. Processes share nothing of it.
//
// It knows no protocol: those are layers. It starts no goroutine and no process: package fstack does.
package stack
