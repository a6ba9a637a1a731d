// Package kernelend has the kernel's end of a device such as a TAP: the network namespace it is put into, its
// addresses, and its link state.
//
//	curl in the namespace ─► kernel's stack ─► fstack0 (TAP) ─► dpdk ─► our stack
//
// A namespace that is not there is made, with the name that ip netns knows, and removed by the last process that
// uses it, also if the one that made it was killed. One that was there before is left as it was. Any goroutine may
// call; a Namespace belongs to the one that opened it.
//
// It makes no devices: their drivers do. It sets no routes and no address translation: the kernel's end is for
// programs in the namespace.
package kernelend
