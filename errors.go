package fstack

import (
	"context"
	"errors"
)

var (
	errNoStack        = errors.New("fstack: no stack is running: call fstack.Run")
	errMissingAddress = errors.New("missing address")
)

// ErrNoDescriptor is why SyscallConn fails: the connection is not the kernel's.
var ErrNoDescriptor = errors.New("fstack: the connection has no kernel descriptor: use SetOption and Option")

// timeoutError is what a dial returns that ran out of time; its text is that of all timeouts.
type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func (timeoutError) Is(err error) bool { return err == context.DeadlineExceeded }

type canceledError struct{}

func (canceledError) Error() string { return "operation was canceled" }

func (canceledError) Is(err error) bool { return err == context.Canceled }

// contextError is a context's error in the words of package net.
func contextError(err error) error {
	switch err {
	case context.Canceled:
		return canceledError{}
	case context.DeadlineExceeded:
		return timeoutError{}
	}
	return err
}
