package supervise

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// virtio_user keeps the numbers of the eventfds by which it kicks its peer in memory that all processes share, and each
// process writes to its own descriptor of that number. So a worker needs the supervisor's eventfds under the
// supervisor's numbers; else its kicks would go to whatever has the number there, a file or a connection.
//
// The numbers of what workers inherit on purpose, up to fdEvents and what follows, are taken in the supervisor before
// EAL starts (ReserveNumbers), and DPDK's eventfds, which are marked to be closed on exec, are unmarked when the devices
// are there (ShareEvents). They are in the worker what they are here.

// ReserveNumbers keeps the numbers under which workers inherit from being given to anything else, until release,
// which may be called twice.
func ReserveNumbers(events int) (release func(), err error) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	taken := []int{null}
	release = func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
		taken = nil
	}
	for {
		fd, err := unix.FcntlInt(uintptr(null), unix.F_DUPFD_CLOEXEC, fdLink)
		if err != nil {
			release()
			return nil, fmt.Errorf("reserve descriptors: %w", err)
		}
		taken = append(taken, fd)
		if fd > numbersUpTo(events) {
			return release, nil
		}
	}
}

// numbersUpTo is the highest number under which a worker inherits: that of the program's file.
func numbersUpTo(events int) int { return fdEvents + events }

// ShareEvents lets workers inherit the eventfds that drivers have opened since ReserveNumbers. It returns their numbers.
func ShareEvents(events int) ([]int, error) { return markEvents(events, 0) }

// markEvents sets the descriptor flags of the eventfds behind those that workers inherit on purpose.
func markEvents(events, flags int) (fds []int, err error) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, e := range open {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= numbersUpTo(events) {
			continue
		}
		if kind, err := os.Readlink("/proc/self/fd/" + e.Name()); err != nil || kind != "anon_inode:[eventfd]" {
			continue // or it is closed by now
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags); err != nil {
			return nil, fmt.Errorf("eventfd %d: %w", fd, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}
