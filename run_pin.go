package fstack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/config"
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

// pinned tells how many threads the process has, and whether all of them are tied to one CPU.
func pinned(cpu int) (threads int, all bool) {
	all = true
	err := eachThread(func(tid int) error {
		var has unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &has); err != nil {
			return err
		}
		threads++
		all = all && has.Count() == 1 && has.IsSet(cpu)
		return nil
	})
	return threads, all && err == nil
}

// checkCPUs looks whether this process may use the CPUs that its workers are for.
func checkCPUs(d *config.DPDK) error {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &may); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, l := range d.Lcores {
		if cpu := d.CPU(l); cpu >= 8*len(may)*8 || !may.IsSet(cpu) {
			var have []string
			for c := range 8 * len(may) * 8 {
				if may.IsSet(c) {
					have = append(have, strconv.Itoa(c))
				}
			}
			return fmt.Errorf("lcore_mask: lcore %d is CPU %d: this machine has no such CPU, or this process may not use it (it may use %s); "+
				"take its bit out, or say with lcores=%d@%s which CPU it shares", l, cpu, strings.Join(have, ","), l, have[0])
		}
	}
	return nil
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
