// Package netns runs a function in another network namespace, so that a test can be the other end of a link.
package netns

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f in the network namespace of that path. A socket belongs to the namespace that its thread was in when it
// was made.
func Do(path string, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // the thread would be lost in the namespace
	}
	runtime.UnlockOSThread()
	return err
}
