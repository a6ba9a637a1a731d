package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Worker is what a worker has inherited.
type Worker struct {
	*Link
	Part
	Config   []byte // text of the config file
	EventFDs []int  // by slot
}

var errByHand = errors.New("environment variable " + Variable + ": it is set, but no supervisor has started this process; " +
	"workers are not started by hand: unset it, and start the program once, with lcore_mask for as many workers as it has bits")

// Inherited returns what this process has inherited if it is a worker, or nil if it is none. It works once: programs
// that the worker starts are none.
func Inherited() (*Worker, error) {
	text, ok := os.LookupEnv(Variable)
	if !ok {
		return nil, nil
	}
	w := new(Worker)
	err := json.Unmarshal([]byte(text), &w.Part)
	if err == nil && w.Supervisor == os.Getppid() {
		if err := beginAnew(w.Part); err != nil {
			return nil, err
		}
	}
	os.Unsetenv(Variable)
	if err != nil || w.Slot < 0 || w.Slot >= w.Slots || w.Events != w.Slots+1 || w.Events > 1024 {
		return nil, errByHand
	}
	for fd := range fdEvents + w.Events + 1 { // and the program's file behind them
		if fd >= fdLink {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return nil, errByHand
			}
		}
	}
	unix.Close(fdEvents + w.Events)
	if _, err := markEvents(w.Events, unix.FD_CLOEXEC); err != nil { // they are for this process, not for those that it starts
		return nil, err
	}
	peer, err := unix.GetsockoptUcred(fdLink, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || int(peer.Pid) != w.Supervisor {
		return nil, errByHand
	}
	socket := os.NewFile(fdLink, "supervisor")
	defer socket.Close()
	if w.Link, err = linkOf(socket); err != nil {
		return nil, err
	}
	config := os.NewFile(fdConfig, "config")
	defer config.Close()
	if w.Config, err = io.ReadAll(io.NewSectionReader(config, 0, 1<<20)); err != nil {
		return nil, fmt.Errorf("config of the supervisor: %w", err)
	}
	for i := range w.Events {
		w.EventFDs = append(w.EventFDs, fdEvents+i)
	}
	return w, nil
}

// ConfigFile returns a file with that text that workers can inherit.
func ConfigFile(text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("config.ini", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "config.ini")
	if _, err := f.Write(text); err != nil {
		f.Close()
		return nil, fmt.Errorf("config for the workers: %w", err)
	}
	return f, nil
}

// EventFiles returns n eventfds that workers can inherit.
func EventFiles(n int) (files []*os.File, err error) {
	for i := range n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("eventfd: %w", err)
		}
		files = append(files, os.NewFile(uintptr(fd), fmt.Sprintf("slot %d", i)))
	}
	return files, nil
}
