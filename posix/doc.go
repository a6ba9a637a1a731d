// Package posix has the socket calls of golang.org/x/sys/unix, with their signatures and errno, over a stack in
// user space: a server written for epoll is ported by changing an import.
//
//	application: Socket · Accept4 · Read · Write · EpollWait
//	      │  fd ─► file ─► (Sockets, Handle)                 ▲
//	      ▼                                                  │ ready list of the epoll
//	stack/tcp, stack/netstack ── Notify(tag, events) ─► file's registrations
//
// A Table is one process's descriptors: numbers, lowest free first, each naming a file (a socket, an epoll, an
// eventfd). Its slabs hold no Go pointers, are reserved once and touched as they fill, so ten million idle
// connections are nothing to the garbage collector: about 70 bytes each with their registration. A Table's
// methods are the calls; the package's functions are the same calls on the table given to Use, which Run does.
//
// Run calls a function once a turn of the stack, on the loop's own goroutine: the fastest path. Under it
// nothing ever blocks: every socket is as with O_NONBLOCK, and EpollWait, Poll and Select return what is
// ready now, whatever their timeout. Without Run, any goroutine may call anything, and calls block as on
// Linux. Closing a descriptor that another goroutine is blocked on ends that call with EBADF (Linux leaves it
// blocked).
//
// Epoll is a ready list: a notification queues a registration, EpollWait asks the socket before it reports,
// and what is level-triggered stays queued until it was found not ready. No call in EpollWait, Read, Write and
// their kin allocates. Addresses do (they are the pointers that package unix returns); Accept4AddrPort,
// RecvfromAddrPort and SendtoAddrPort are twins that do not.
//
// What it deliberately does not do: kqueue (it comes later); epoll within epoll (EPERM); control messages
// (EOPNOTSUPP); descriptors of the kernel (EBADF: numbers 0 to 2 are left to it and never given out); signals,
// so EINTR and SIGPIPE never happen; close that waits for SO_LINGER (the stack lingers by itself).
package posix
