package stack

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AddSleeper has what is no port wake the loop too, before it starts: another lcore that hands frames over, for example.
func (s *Stack) AddSleeper(x Sleeper) { s.sleepers = append(s.sleepers, x) }

// rest lets the loop's goroutine sleep in the Go scheduler's own poller, so that goroutines, Go timers and
// kernel sockets go on meanwhile: an epoll descriptor over the devices' interrupts and an eventfd is itself
// registered there.
type rest struct {
	epoll    *os.File
	ep       int // its descriptor
	raw      syscall.RawConn
	sleepers []Sleeper
	fds      []int // each sleeper's that is watched, -1: none
	ports    int   // how many sleepers are ports: with one without descriptor sleeps are short
	max      time.Duration

	mu    sync.Mutex // of event: a late kick must not write to whatever has the number after close
	event int        // the eventfd, 0: closed
}

func (r *rest) open(ports []Device, others []Sleeper) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // so that os.File registers it with the poller
		unix.Close(ep)
		return fmt.Errorf("epoll descriptor: %w", err)
	}
	r.ep, r.epoll = ep, os.NewFile(uintptr(ep), "rest")
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		r.close()
		return fmt.Errorf("eventfd: %w", err)
	}
	r.mu.Lock()
	r.event = ev
	r.mu.Unlock()
	r.sleepers, r.fds, r.ports = nil, nil, len(ports)
	for _, d := range ports {
		x, ok := d.(Sleeper)
		if !ok {
			x = sleepless{}
		}
		r.sleepers, r.fds = append(r.sleepers, x), append(r.fds, -1)
	}
	for _, x := range others {
		r.sleepers, r.fds = append(r.sleepers, x), append(r.fds, -1)
	}
	if err = r.control(unix.EPOLL_CTL_ADD, ev); err == nil {
		err = r.watch()
	}
	if err != nil {
		r.close()
		return err
	}
	if r.raw, err = r.epoll.SyscallConn(); err != nil {
		r.close()
		return fmt.Errorf("epoll descriptor: %w", err)
	}
	return nil
}

// sleepless is the Sleeper of a device that is none.
type sleepless struct{}

func (sleepless) RxFD() int        { return -1 }
func (sleepless) ArmRx(bool) error { return nil }

// watch brings the epoll descriptor up to what the sleepers have now. Two may have the same.
func (r *rest) watch() error {
	r.max = restMax
	for i, x := range r.sleepers {
		fd, old := x.RxFD(), r.fds[i]
		if fd < 0 && i < r.ports {
			r.max = restPoll
		}
		if fd == old {
			continue
		}
		r.fds[i] = -1
		if old >= 0 && !slices.Contains(r.fds, old) {
			r.control(unix.EPOLL_CTL_DEL, old) // an error says that it was closed
		}
		if fd >= 0 && !slices.Contains(r.fds, fd) {
			if err := r.control(unix.EPOLL_CTL_ADD, fd); err != nil {
				return err
			}
		}
		r.fds[i] = fd
	}
	return nil
}

func (r *rest) control(op, fd int) error {
	if err := unix.EpollCtl(r.ep, op, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil && err != unix.EEXIST {
		return fmt.Errorf("epoll_ctl: %w", err)
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
	if on {
		if err := r.watch(); err != nil {
			return err
		}
	}
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
