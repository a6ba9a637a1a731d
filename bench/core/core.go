// Package core binds the benchmarks' threads to CPUs, and tells how long they had them.
package core

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Pin binds the calling goroutine to a thread, and that to a CPU.
func Pin(cpu int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("CPU %d: %w", cpu, err)
	}
	return nil
}

// ThreadTime is how long the calling thread has run.
func ThreadTime() time.Duration { return read(unix.CLOCK_THREAD_CPUTIME_ID) }

// ProcessTime is how long all threads of this process have run.
func ProcessTime() time.Duration { return read(unix.CLOCK_PROCESS_CPUTIME_ID) }

// TimeOf is ProcessTime of another process, 0 if there is none.
func TimeOf(pid int) time.Duration {
	return read(int32(^pid)<<3 | 2) // as clock_getcpuclockid(3) makes it, see linux/posix-timers.h
}

func read(clock int32) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
