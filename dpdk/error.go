package dpdk

import (
	"fmt"
	"strings"
)

// NoPort is Error.Port of what is about no port.
const NoPort = -1

// Error is a refusal of DPDK or of a driver.
type Error struct {
	Op   string // what was tried, by the name of DPDK's function
	Port int    // port, or NoPort
	Err  error  // the errno
	Log  string // what DPDK logged meanwhile, "" if nothing
}

// Error reads as "operation port: cause (DPDK's own message)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Port != NoPort {
		fmt.Fprintf(&b, " port %d", e.Port)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Log != "" {
		fmt.Fprintf(&b, " (%s)", e.Log)
	}
	return b.String()
}

// Unwrap gives the errno.
func (e *Error) Unwrap() error { return e.Err }
