// Package steer knows which queue, and so which lcore, owns a packet: receive-side scaling with the Toeplitz hash,
// as network cards compute it.
//
//	4-tuple ─► Toeplitz(key) ─► low bits index the RETA ─► queue
//	queue, remote address and port ─► the local ports whose replies come back to that queue
//
// All is computed from a key and a redirection table (RETA) that never change after New; any goroutine may use it,
// and it holds no packet. It does not read packets and does not talk to devices.
package steer
