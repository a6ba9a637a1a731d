package fstack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// pinThreads ties all threads of the process to one CPU. A new thread inherits that from the thread that starts it,
// so it is enough to go on until all have it.
func pinThreads(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	for {
		moved := 0
		if err := eachThread(func(tid int) error {
			var has unix.CPUSet
			if err := unix.SchedGetaffinity(tid, &has); err != nil {
				return err
			}
			if has == set {
				return nil
			}
			moved++
			return unix.SchedSetaffinity(tid, &set)
		}); err != nil {
			return fmt.Errorf("pin threads to CPU %d: %w", cpu, err)
		}
		if moved == 0 {
			return nil
		}
	}
}

// eachThread calls f for the threads of the process. One that has ended meanwhile is no error.
func eachThread(f func(tid int) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := f(tid); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
