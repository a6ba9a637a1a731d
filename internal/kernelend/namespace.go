package kernelend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// dir is where ip netns keeps the names.
const dir = "/run/netns"

// Namespace is a network namespace in use.
type Namespace struct {
	name string
	file *os.File // the namespace itself
	lock *os.File // held by all that use a namespace that was made here, nil: it was there before
}

// Open opens the network namespace of that name, and makes it if it is not there.
func Open(name string) (*Namespace, error) {
	n, err := open(name)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("network namespace %s: %w; run as root", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return n, nil
}

// open follows this order: the lock file is there before the namespace and goes after it. Who makes or removes the
// namespace holds the lock alone, who uses it shares it; the kernel gives up the locks of a process that is killed.
func open(name string) (*Namespace, error) {
	path, lockPath := filepath.Join(dir, name), lockPath(name)
	for range 100 {
		if exists(path) && !exists(lockPath) {
			file, err := os.Open(path)
			if errors.Is(err, os.ErrNotExist) {
				continue // removed just now
			}
			return &Namespace{name: name, file: file}, err
		}
		lock, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		alone := flock(lock, unix.LOCK_EX|unix.LOCK_NB) == nil
		if !alone {
			err = flock(lock, unix.LOCK_SH)
		}
		if err == nil && !same(lock, lockPath) { // its last user removed it meanwhile
			lock.Close()
			continue
		}
		if err == nil && alone && !mounted(path) {
			os.Remove(path) // what is there is left of a process that was killed before it could mount
			err = create(path)
		}
		if err == nil {
			err = flock(lock, unix.LOCK_SH)
		}
		var file *os.File
		if err == nil {
			file, err = os.Open(path)
		}
		n := &Namespace{name: name, file: file, lock: lock}
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
		return n, nil
	}
	return nil, errors.New("it comes and goes; another program makes and removes it")
}

// Name is the name, as ip netns shows it.
func (n *Namespace) Name() string { return n.name }

// File is the open namespace, valid until Close.
func (n *Namespace) File() *os.File { return n.file }

// Close ends the use of the namespace, after the devices in it were closed. The last user of one that was made here
// removes it.
func (n *Namespace) Close() error {
	var errs []error
	if n.file != nil {
		errs = append(errs, n.file.Close())
	}
	if n.lock != nil {
		if flock(n.lock, unix.LOCK_EX|unix.LOCK_NB) == nil {
			errs = append(errs, remove(filepath.Join(dir, n.name)), os.Remove(lockPath(n.name)))
		}
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

func lockPath(name string) string { return "/run/fstack-" + name + ".netns" }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// mounted tells whether path is a namespace, and no mere file.
func mounted(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// same tells whether path still is the open file.
func same(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// create makes a namespace as ip netns add does: a file with the namespace of a thread mounted on it.
func create(path string) error {
	if err := share(); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	f.Close()
	if err := mount(path); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// mount puts the thread into a new namespace for the moment that it takes to mount that one on path.
func mount(path string) error {
	const mine = "/proc/thread-self/ns/net"
	runtime.LockOSThread()
	old, err := os.Open(mine)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer old.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return os.NewSyscallError("unshare", err)
	}
	err = unix.Mount(mine, path, "none", unix.MS_BIND, "")
	if back := unix.Setns(int(old.Fd()), unix.CLONE_NEWNET); back != nil {
		return os.NewSyscallError("setns", back) // the thread stays locked: no other goroutine may get it
	}
	runtime.UnlockOSThread()
	return os.NewSyscallError("mount "+path, err)
}

// share has mounts in dir seen by, and removed from, all mount namespaces.
func share() error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if err == unix.EINVAL { // it is no mount point yet
		if err = unix.Mount(dir, dir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	return os.NewSyscallError("mount "+dir, err)
}

func remove(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return os.NewSyscallError("umount "+path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
