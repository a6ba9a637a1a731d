// Package fstack is package net over a TCP/IP stack of one's own: the same functions, types, signatures and errors,
// for connections that do not pass the kernel.
//
//	net/http, crypto/tls, gRPC ─► Listener, TCPConn, UDPConn ─► stack.Sockets ─► stack's loop ─► device
//
// A program moves over by a change of word:
//
//	err := fstack.Run(func() error {
//		l, err := fstack.Listen("tcp", ":80")
//		if err != nil {
//			return err
//		}
//		return http.Serve(l, handler)
//	})
//
// Run starts the stack; while it runs, the functions of the package work on it. If the config names several lcores, Run
// becomes a supervisor: it starts the program once more for each of them, as a worker with a stack of its own.
//
//	Run ─► supervisor ─► worker 0: app, stack, queue 0 ◄─► mesh of rings ◄─► worker 1: app, stack, queue 1 …
//
// A Stack made with NewStack has the same
// functions as methods: that is for tests and simulations, which need several.
//
// Any goroutine may hold a connection and use it together with others, as in package net. A goroutine that has to wait
// is woken by the loop; it must not be the loop's own (stack.Stack.Serve). Data are copied once, between the caller's
// slice and the stack; a Read or Write allocates nothing, also with a deadline that is set anew for each.
//
// What it deliberately does not do: Unix domain sockets, descriptors (there is no kernel object behind a connection:
// SyscallConn fails, File is missing, options are set with SetOption), finalizers (a connection that is dropped without
// Close stays open), multipath TCP. The types are this package's: a type assertion to *net.TCPConn does not hold.
package fstack
