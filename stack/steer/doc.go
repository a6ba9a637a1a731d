// Package steer knows which lcore owns a packet: by receive-side scaling with the Toeplitz hash, as network cards compute
// it, and by what the processes of a run tell each other in a map in shared memory.
//
//	frame ─► stack/tcp: none of my connections ─► Stray ─┐
//	frame ─► Poll, before the last layer ───────► Steer ─┴─► parse ─► whose? ─► here, or Hander.Hand to a slot, or copies
//
//	4-tuple ─► Toeplitz(key) ─► low bits are the bucket ─► Map: chain of slots, the owner first
//	remote address and port ─► the local ports whose packets come back here
//
// Whose a packet is:
//
//   - A connection's segment is the connection's: a stack looks before it asks.
//   - A SYN is the owner's of its flow; if nobody listens there, that of a slot where somebody does. With a card that
//     hashes as we do (Port.Hardware), the owner is who received it.
//   - Another segment of no connection goes along the chain of those who have had its flow before (a worker that stood
//     in for a dead one, an older generation that drains), then to those whose connections came to be elsewhere (a
//     listener on one worker only, a connect from a port chosen by name). The last one answers.
//   - A datagram is the owner's if it has the port, else a slot's that has.
//   - An ICMP error goes to all who may have sent what it quotes.
//   - A fragment goes to one slot by its addresses. What netstack reassembles or unwraps there, and finds to be another's,
//     goes on as a whole datagram.
//   - ARP, NDP, IGMP, MLD, multicasts, broadcasts and answers to pings are everybody's. Requests for link addresses are
//     answered by who received them and are news to the others (stack.RxNews).
//   - All else stays where it arrived.
//
// RSS and Toeplitz never change after New and may be used from any goroutine. A Map is written as its methods say and
// read from anywhere. Steer, Stray and StrayDatagram belong to the loop, with the stack's lock held; they neither keep nor
// change a frame, allocate nothing and take no lock. The functions for sockets may be called from any goroutine.
//
// It does not talk to devices, nor start, watch or end processes (the supervisor does), and it has no rings: a Hander
// has. A UDP socket's remote is not looked at: of two slots with sockets on one port the owner of the flow is given the
// datagram, so what keeps connections over UDP must expect to lose them when flows change hands.
package steer
