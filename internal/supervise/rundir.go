package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/control"
)

// RunDir is the directory of a file prefix, owned by its supervisor or only process: a lock of the owner's, one of each
// worker's, and the control socket. A lock is a file that its owner has flocked; what it says of the owner is JSON.
type RunDir struct {
	path string
	lock *os.File
}

// owner is what a lock's file says.
type owner struct {
	PID   int `json:"pid"`
	Lcore int `json:"lcore"`
}

// Orphans is the error for workers that serve on without their supervisor.
type Orphans struct {
	Prefix string
	PIDs   []int
	Lcores []int
}

func (o *Orphans) Error() string {
	var each, pids []string
	for i, pid := range o.PIDs {
		each = append(each, fmt.Sprintf("pid %d (lcore %d)", pid, o.Lcores[i]))
		pids = append(pids, fmt.Sprint(pid))
	}
	return fmt.Sprintf("file_prefix %s: workers of a run whose supervisor has died still serve: %s; end them with `kill %s`, or choose another file_prefix",
		o.Prefix, strings.Join(each, ", "), strings.Join(pids, " "))
}

// Claim takes the directory of a file prefix for this process. If another owns it, or workers of a dead one live, the
// error names them, and nothing is touched. What a crashed run has left is removed.
func Claim(prefix string) (*RunDir, error) {
	d := &RunDir{path: control.Dir(prefix)}
	var err error
	for range 100 {
		if err = os.MkdirAll(d.path, 0o755); err != nil {
			return nil, fmt.Errorf("file_prefix %s: %w: name a directory that this user (uid %d) may write to with $XDG_RUNTIME_DIR or $RUNTIME_DIRECTORY", prefix, err, os.Geteuid())
		}
		path := filepath.Join(d.path, "lock")
		d.lock, err = take(path)
		if err == unix.EWOULDBLOCK {
			return nil, fmt.Errorf("file_prefix %s: another instance runs under it (pid %d); end it, or choose another file_prefix: %w", prefix, said(path).PID, unix.EADDRINUSE)
		}
		if err == nil || !errors.Is(err, os.ErrNotExist) { // removed by an owner that was about to end
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("file_prefix %s: %w", prefix, err)
	}
	orphans := &Orphans{Prefix: prefix}
	slots, _ := filepath.Glob(filepath.Join(d.path, "slot-*"))
	slices.Sort(slots)
	for _, path := range slots {
		f, err := take(path)
		if err == unix.EWOULDBLOCK {
			who := said(path)
			orphans.PIDs, orphans.Lcores = append(orphans.PIDs, who.PID), append(orphans.Lcores, who.Lcore)
			continue
		}
		os.Remove(path)
		if err == nil {
			f.Close()
		}
	}
	if len(orphans.PIDs) > 0 {
		d.lock.Close() // its file stays: the directory is in use
		return nil, orphans
	}
	return d, write(d.lock, owner{PID: os.Getpid()})
}

// Close removes the directory with all that is in it.
func (d *RunDir) Close() error {
	var errs []error
	entries, err := os.ReadDir(d.path)
	errs = append(errs, err)
	for _, e := range entries {
		if e.Name() != "lock" {
			errs = append(errs, os.Remove(filepath.Join(d.path, e.Name())))
		}
	}
	errs = append(errs, os.Remove(d.lock.Name()), d.lock.Close())
	if os.Remove(d.path) == nil { // not if another start has been quicker
		os.Remove(filepath.Dir(d.path)) // the last one
	}
	return errors.Join(errs...)
}

// SlotLock says, as long as it is held or its process lives, that a worker serves.
type SlotLock struct{ file *os.File }

// LockSlot takes the lock of a worker's slot.
func LockSlot(prefix string, slot, lcore int) (*SlotLock, error) {
	path := filepath.Join(control.Dir(prefix), fmt.Sprintf("slot-%d", slot))
	f, err := take(path)
	if err == unix.EWOULDBLOCK {
		return nil, fmt.Errorf("slot %d of file_prefix %s: pid %d holds it: %w", slot, prefix, said(path).PID, unix.EADDRINUSE)
	}
	if err == nil {
		err = write(f, owner{PID: os.Getpid(), Lcore: lcore})
	}
	if err != nil {
		return nil, fmt.Errorf("slot %d of file_prefix %s: %w", slot, prefix, err)
	}
	return &SlotLock{f}, nil
}

// Close gives the lock back.
func (l *SlotLock) Close() error { return errors.Join(os.Remove(l.file.Name()), l.file.Close()) }

// take opens and locks a file. The error EWOULDBLOCK, as it is, says that another process has it.
func take(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	mine, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, os.ErrNotExist
	}
	return f, nil
}

func write(f *os.File, o owner) error {
	b, err := json.Marshal(o)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	return err
}

func said(path string) (o owner) {
	if b, err := os.ReadFile(path); err == nil {
		json.Unmarshal(b, &o) // half-written: pid 0
	}
	return o
}
