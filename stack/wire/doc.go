// Package wire is how Ethernet, IPv4, IPv6 and TCP headers lie in memory, and the Internet checksum over them.
//
//	frame bytes ─► Ethernet ─► IPv4 | IPv6 ─► TCP ─► payload
//
// A view is a pointer to the header's fixed part inside a frame: reading a field costs a load, nothing is copied
// and nothing allocated. Whoever makes a view has checked that so many bytes are there. The memory is the
// frame's. Everything may be called from anywhere.
//
// It does not judge: lengths, versions and checksums are the caller's to compare.
package wire
