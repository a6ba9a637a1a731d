package supervise

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Variable is the environment variable that makes a program a worker.
const Variable = "FSTACK_WORKER"

// Part is which worker a process is.
type Part struct {
	Slot       int    `json:"slot"`
	Slots      int    `json:"slots"`
	Index      int    `json:"index"`
	Lcore      int    `json:"lcore"`
	CPU        int    `json:"cpu"`
	Generation int    `json:"generation"`
	Supervisor int    `json:"supervisor"` // its pid
	Events     int    `json:"events"`     // how many eventfds it inherits
	Name       string `json:"name"`       // of the config file

	// The memory that it will share is between these addresses; 0: that is not known. See beginAnew.
	From       uintptr `json:"from"`
	To         uintptr `json:"to"`
	Beginnings int     `json:"beginnings"`
}

// Binary is a program's file, held open so that all workers of a generation are the same, whatever is put at its path
// meanwhile.
type Binary struct {
	file *os.File
	path string
}

// OpenBinary opens the program at path.
func OpenBinary(path string) (*Binary, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	return &Binary{f, path}, nil
}

// Path is where it was opened.
func (b *Binary) Path() string { return b.path }

// Close closes it. Processes that run it go on.
func (b *Binary) Close() error { return b.file.Close() }

// Process is a worker process, as its supervisor sees it.
type Process struct {
	*Link
	PID int
	cmd *exec.Cmd
}

// The numbers of what a worker inherits.
const (
	fdLink = iota + 3
	fdConfig
	fdEvents
)

// Start starts a worker with this process's arguments, output and environment. The config is a file with its text;
// events are the slots' eventfds.
func Start(b *Binary, part Part, config *os.File, events []*os.File) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "worker"), os.NewFile(uintptr(pair[1]), "supervisor")
	defer ours.Close()
	defer theirs.Close()
	link, err := linkOf(ours)
	if err != nil {
		return nil, err
	}
	part.Supervisor, part.Events = os.Getpid(), len(events)
	text, err := json.Marshal(part)
	if err != nil {
		link.Close()
		return nil, err
	}
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fdEvents+len(events)))
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), Variable+"="+string(text))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = append(append([]*os.File{theirs, config}, events...), b.file)
	// A group of its own: the terminal's signals are for the supervisor, which asks the workers to end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		link.Close()
		return nil, fmt.Errorf("start worker %d (%s): %w", part.Slot, b.path, err)
	}
	return &Process{Link: link, PID: cmd.Process.Pid, cmd: cmd}, nil
}

// Watch passes on the worker's messages until it ends, and then how it did: in the words of os.ProcessState. It
// returns when the process is gone for good, so that none of its threads touches shared memory any more.
func (p *Process) Watch(message func(Message)) (end string) {
	for {
		m, err := p.Receive()
		if err != nil {
			break
		}
		message(m)
	}
	// The socket is closed: it is dead, or has lost its mind. The kernel needs a moment to take it apart.
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.Close()
	return p.cmd.ProcessState.String()
}

// Kill ends the process at once; Watch tells when it is gone.
func (p *Process) Kill() { p.cmd.Process.Kill() }

func linkOf(f *os.File) (*Link, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("control socket: it is a %s", c.LocalAddr().Network())
	}
	return newLink(u), nil
}
