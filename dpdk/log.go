//go:build !nodpdk

package dpdk

/*
#include "eal.h"
*/
import "C"

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// logPipe carries DPDK's log from any thread to a Go function: the writing threads neither wait nor enter Go.
type logPipe struct {
	read, write *os.File
	done        chan struct{}
}

func openLog(log func(slog.Level, string)) (*logPipe, error) {
	if log == nil {
		log = func(level slog.Level, line string) { slog.Default().Log(context.Background(), level, line) }
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("pipe for DPDK's log: %w", err)
	}
	p := &logPipe{os.NewFile(uintptr(fds[0]), "log"), os.NewFile(uintptr(fds[1]), "log"), make(chan struct{})}
	if rc := C.fs_log_open(C.int(fds[1])); rc < 0 {
		p.read.Close()
		p.write.Close()
		return nil, fmt.Errorf("rte_openlog_stream: %w", errnoOf(rc, 0))
	}
	go p.run(log)
	return p, nil
}

func (p *logPipe) run(log func(slog.Level, string)) {
	defer close(p.done)
	r := bufio.NewReader(p.read)
	said := map[string]time.Time{} // the warnings and errors of the last minute
	var head C.struct_fs_log_record
	var raw [unsafe.Sizeof(head)]byte
	for {
		if _, err := io.ReadFull(r, raw[:]); err != nil {
			return
		}
		text := make([]byte, binary.NativeEndian.Uint16(raw[unsafe.Offsetof(head.len):]))
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				level := slogLevel(raw[unsafe.Offsetof(head.level)])
				if slices.ContainsFunc(harmless, func(s string) bool { return strings.Contains(line, s) }) {
					level = slog.LevelDebug
				}
				if level > slog.LevelInfo && again(said, line, time.Now()) {
					level = slog.LevelDebug
				}
				log(level, line)
			}
		}
	}
}

// harmless are lines that drivers log as errors or warnings and that mean nothing here.
var harmless = []string{
	"No legacy callbacks, legacy socket not created", // of telemetry's old protocol
	"All rt-signals are in use",                      // Go's runtime has them; net_tap polls instead
	"Specified qdisc kind is unknown",                // a kernel without multiq: net_tap does without rte_flow,
	"Could not add multiq qdisc",                     // which nothing here uses
	"failed to create multiq qdisc",
	"Disabling rte flow support",
	"Rx Intr handle unset", // a device without interrupts: it is polled
}

// again tells whether a line was said before within a minute: a driver may complain each time that it is asked, as
// virtio_user does of a peer that is gone whenever the link is looked at.
func again(said map[string]time.Time, line string, now time.Time) bool {
	if last, ok := said[line]; ok && now.Sub(last) < time.Minute {
		return true
	}
	if len(said) == 256 {
		clear(said)
	}
	said[line] = now
	return false
}

// close ends the log after all lines have been passed on.
func (p *logPipe) close() {
	C.fs_log_close()
	p.write.Close()
	<-p.done
	p.read.Close()
}

// slogLevel maps the levels of rte_log.h.
func slogLevel(level byte) slog.Level {
	switch {
	case level <= 4: // RTE_LOG_ERR
		return slog.LevelError
	case level == 5: // RTE_LOG_WARNING
		return slog.LevelWarn
	case level <= 7: // RTE_LOG_INFO
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// logSince is what DPDK said since the last mark: its errors, or, if there are none, its warnings.
func logSince() string {
	var buf [8192]byte
	n := C.fs_log_since((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)))
	var errs, warnings []string
	for line := range strings.Lines(string(buf[:n])) {
		level := line[0]
		if line = strings.TrimSpace(line[1:]); line == "" {
			continue
		}
		if level <= 4 {
			errs = append(errs, line)
		} else {
			warnings = append(warnings, line)
		}
	}
	if len(errs) == 0 {
		errs = warnings
	}
	return strings.Join(errs, "; ")
}
