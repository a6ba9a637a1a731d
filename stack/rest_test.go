package stack

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLateKickWritesNowhere has goroutines kick while the loop ends and its descriptors' numbers go to others.
func TestLateKickWritesNowhere(t *testing.T) {
	for range 200 {
		var r rest
		if err := r.open(nil, nil); err != nil {
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

// changing is a Sleeper with another descriptor from time to time.
type changing struct{ fd int }

func (c *changing) RxFD() int        { return c.fd }
func (c *changing) ArmRx(bool) error { return nil }

// TestOtherSleeper: what is no port wakes the loop, also after its descriptor has changed, and by one that two have.
func TestOtherSleeper(t *testing.T) {
	event := func() int {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	a, b := &changing{event()}, &changing{-1}
	var r rest
	if err := r.open(nil, []Sleeper{a, b}); err != nil {
		t.Fatal(err)
	}
	defer r.close()
	wakes := func(fd int, want bool) {
		t.Helper()
		if err := r.arm(true); err != nil {
			t.Fatal(err)
		}
		one := [8]byte{1}
		unix.Write(fd, one[:])
		long := 20 * time.Second // a loaded machine takes its time, but not that much
		if !want {
			long = 100 * time.Millisecond
		}
		start := time.Now()
		r.wait(long)
		if got := time.Since(start) < long; got != want {
			t.Errorf("descriptor %d: woken %v, want %v", fd, got, want)
		}
		unix.Read(fd, one[:])
	}
	first, second := a.fd, event()
	wakes(first, true)
	a.fd = second
	wakes(first, false)
	wakes(second, true)
	b.fd = second // both have it
	wakes(second, true)
	a.fd = -1
	wakes(second, true)
	b.fd = first
	wakes(second, false)
	wakes(first, true)
	if r.max != restMax {
		t.Errorf("sleeps of at most %v: what is no port may have no descriptor", r.max)
	}
}
