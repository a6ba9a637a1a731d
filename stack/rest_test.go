package stack

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLateKickWritesNowhere has goroutines kick while the loop ends and its descriptors' numbers go to others.
func TestLateKickWritesNowhere(t *testing.T) {
	for range 200 {
		var r rest
		if err := r.open(nil); err != nil {
			t.Fatal(err)
		}
		var kicks, ready sync.WaitGroup
		for range 4 {
			ready.Add(1)
			kicks.Go(func() {
				r.kick()
				ready.Done()
				for range 50 {
					r.kick()
				}
			})
		}
		ready.Wait()
		r.close()
		var others [8]int
		for i := range others {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			if err != nil {
				t.Fatal(err)
			}
			others[i] = fd
		}
		kicks.Wait()
		for _, fd := range others {
			var count [8]byte
			if n, _ := unix.Read(fd, count[:]); n > 0 {
				t.Error("a kick after close wrote to a descriptor of somebody else")
			}
			unix.Close(fd)
		}
		if t.Failed() {
			return
		}
	}
}
