// Package lab is one stack on a bench: a clock turned by hand, a wire whose other end is in the caller's hands, and
// descriptors with system calls that may wait.
//
//	caller ─ Inject ─► port ─► stack.Stack (layers, Sockets) ─► port ─ Sent ─► caller
//	   └──── Socket, Accept, Read … ─► descriptors ─► stack.Sockets
//
// The script runner and the packetdrill plug-in are its callers. One goroutine uses a Lab at a time; a stack that
// has goroutines of its own says how to wait for them (Host.Settle). The lab owns the frames' memory and copies
// what goes in and out, so a packet that Sent returned stays as it is.
//
// Nothing happens but by Turn, Advance and Wait, and all of it at the lab's own time: two runs of the same calls
// are the same. It answers ARP and neighbour solicitations for every address but the stack's own, and leaves
// router solicitations and group reports alone. It does no loss and no delay: package simnet does.
package lab
