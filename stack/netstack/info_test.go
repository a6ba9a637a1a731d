package netstack

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// tcpInfoOf asks for TCP_INFO.
func (h *host) tcpInfoOf(s stack.Handle) (info unix.TCPInfo) {
	h.t.Helper()
	b := unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info))
	n, err := h.Option(s, unix.IPPROTO_TCP, unix.TCP_INFO, b)
	if err != nil || n != len(b) {
		h.t.Fatalf("TCP_INFO: %d bytes, %v", n, err)
	}
	return info
}
