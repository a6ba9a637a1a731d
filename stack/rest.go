package stack

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rest lets the loop's goroutine sleep in the Go scheduler's own poller, so that goroutines, Go timers and
// kernel sockets go on meanwhile: an epoll descriptor over the devices' interrupts and an eventfd is itself
// registered there.
type rest struct {
	epoll    *os.File
	raw      syscall.RawConn
	sleepers []Sleeper
	max      time.Duration

	mu    sync.Mutex // of event: a late kick must not write to whatever has the number after close
	event int        // the eventfd, 0: closed
}

func (r *rest) open(ports []Device) error {
	r.max = restMax
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // so that os.File registers it with the poller
		unix.Close(ep)
		return fmt.Errorf("epoll descriptor: %w", err)
	}
	r.epoll = os.NewFile(uintptr(ep), "rest")
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		r.close()
		return fmt.Errorf("eventfd: %w", err)
	}
	r.mu.Lock()
	r.event = ev
	r.mu.Unlock()
	fds := []int{ev}
	r.sleepers = nil
	for _, d := range ports {
		s, ok := d.(Sleeper)
		if !ok || s.RxFD() < 0 {
			r.max = restPoll
			continue
		}
		r.sleepers = append(r.sleepers, s)
		fds = append(fds, s.RxFD())
	}
	for _, fd := range fds {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			r.close()
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	if r.raw, err = r.epoll.SyscallConn(); err != nil {
		r.close()
		return fmt.Errorf("epoll descriptor: %w", err)
	}
	return nil
}

func (r *rest) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.event != 0 {
		unix.Close(r.event)
		r.event = 0
	}
	r.epoll.Close()
}

func (r *rest) arm(on bool) error {
	for _, s := range r.sleepers {
		if err := s.ArmRx(on); err != nil {
			return err
		}
	}
	return nil
}

// wait sleeps until a device has a frame, kick was called, or d has passed.
func (r *rest) wait(d time.Duration) {
	r.epoll.SetReadDeadline(time.Now().Add(d))
	var events [8]unix.EpollEvent
	r.raw.Read(func(ep uintptr) bool { // an error is the deadline
		n, err := unix.EpollWait(int(ep), events[:], 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	var count [8]byte
	unix.Read(r.event, count[:]) // the loop's own goroutine changes event
}

func (r *rest) kick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.event != 0 {
		one := [8]byte{1}
		unix.Write(r.event, one[:]) // EAGAIN: it is signalled already
	}
}
