package supervise

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Processes that share memory need it at the same addresses, and the system places what else a process has at random:
// Go's runtime its heap (since Go 1.26: anywhere below 64 TB), the kernel libraries and stacks. Of a thousand processes
// one has its heap where EAL has 64 GB. A worker looks for that before anything else, and begins anew.

// beginnings is how often a worker begins until EAL may say what is wrong.
const beginnings = 30

// Mapped tells whether this process has anything between two addresses.
func Mapped(from, to uintptr) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil || from >= to {
		return false
	}
	for l := range bytes.Lines(maps) {
		var start, end uintptr
		if n, _ := fmt.Sscanf(string(l), "%x-%x ", &start, &end); n == 2 && start < to && from < end {
			return true
		}
	}
	return false
}

// FreeBase is where a supervisor should have EAL put its memory: 0, EAL's own choice from 4 GB on, unless this process has
// something in the 512 GB that EAL may take there.
func FreeBase() uint64 {
	const usual, size, step = 4 << 30, 512 << 30, 1 << 40
	if !Mapped(usual, usual+size) {
		return 0
	}
	for base := uintptr(step); base < 1<<46; base += step {
		if !Mapped(base, base+size) {
			return uint64(base)
		}
	}
	return 0
}

// beginAnew has a worker start once more, as it was started, if it has anything where the supervisor's memory is.
func beginAnew(p Part) error {
	if p.Beginnings++; p.Beginnings >= beginnings || !Mapped(p.From, p.To) {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.Setenv(Variable, string(text)); err != nil {
		return err
	}
	if err := unix.Exec("/proc/self/exe", os.Args, os.Environ()); err != nil {
		return fmt.Errorf("worker %d: begin anew: %w", p.Slot, err)
	}
	return nil
}
