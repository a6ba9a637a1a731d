// Package control has the messages behind the tools: how a command reaches the process that runs the stack.
//
//	bin/http status ─► Client ─► Unix socket, JSON lines ─► Server ─► supervisor ─► its workers
//
// The socket is control.sock in Dir(file_prefix), mode 0660: root and its group may ask. A connection carries requests
// one after another. The answer to each is any number of lines with news, then one that ends it:
//
//	→ {"command":"upgrade"}
//	← {"line":"worker 2 on lcore 0 is up"}
//	← {"end":true}                              or {"end":true,"error":"…"}, or with "status":{…}
//
// A server serves each connection by a goroutine of its own and calls its handler from there; a client belongs to one
// goroutine. Neither knows what commands mean, except that Status is what the command status answers with. No packet
// passes here, and a client needs neither DPDK nor root.
package control
