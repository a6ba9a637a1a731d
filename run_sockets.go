package fstack

import "github.com/fstack-go/fstack/stack"

// Sockets returns what the functions of this package work on: the running stack, and the tables in which sockets are
// opened, TCP's and all others'. Package posix is made over it. Before Run and after it, st is nil.
func Sockets() (st *stack.Stack, tcp, other stack.Sockets) {
	s, err := orDefault(nil)
	if err != nil {
		return nil, nil, nil
	}
	return s.stack, s.tcp, s.other
}
