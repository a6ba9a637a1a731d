package dpdk

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxLcore   = 128 // RTE_MAX_LCORE
	mendMemory = "reserve some with `dpdk-hugepages.py --setup 1G`, or set no_huge=1"
)

// check finds what EAL would refuse with less clear words, or end the process for.
func (c *Config) check() error {
	for _, err := range []error{c.checkValues(), c.checkLcores(), c.checkPrefix(), c.checkMemory()} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkValues() error {
	switch {
	case c.MemoryMB < 0:
		return fmt.Errorf("memory %d MB: must not be negative", c.MemoryMB)
	case c.Channels < 0 || c.Channels > 32:
		return fmt.Errorf("memory channels %d: must be 1 to 32, or 0 for EAL's own guess", c.Channels)
	case c.LogLevel < 0 || c.LogLevel > 8:
		return fmt.Errorf("log level %d: must be 1 (emergency) to 8 (debug)", c.LogLevel)
	case c.proc() != Primary && c.proc() != Secondary:
		return fmt.Errorf("process type %q is neither %s nor %s", c.Proc, Primary, Secondary)
	case c.proc() == Secondary && c.InMemory:
		return errors.New("a secondary process cannot attach to memory that leaves no files (in-memory)")
	case strings.ContainsAny(c.prefix(), "/%") || c.prefix() == "." || c.prefix() == "..":
		return fmt.Errorf("file prefix %q: must be part of a file name", c.prefix())
	}
	return nil
}

// checkLcores looks for CPUs that this process may not use: EAL panics when it cannot pin a thread.
func (c *Config) checkLcores() error {
	if len(c.Lcores) == 0 {
		return errors.New("no lcore: at least one CPU is needed")
	}
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &may); err != nil { // of the first thread: others may be pinned
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	seen := map[int]bool{}
	for _, l := range c.Lcores {
		switch {
		case l < 0 || l >= maxLcore:
			return fmt.Errorf("lcore %d: must be 0 to %d", l, maxLcore-1)
		case seen[l]:
			return fmt.Errorf("lcore %d is listed twice", l)
		case !may.IsSet(l):
			return fmt.Errorf("lcore %d: this machine has no such CPU, or this process may not use it (it may use %s)", l, cpuList(&may))
		}
		seen[l] = true
	}
	return nil
}

// checkPrefix looks for a living primary with the same file prefix: EAL holds a lock on its config file.
func (c *Config) checkPrefix() error {
	if c.InMemory {
		return nil
	}
	path := filepath.Join(runtimeDir(c.prefix()), "config")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	running := 0
	if err == nil {
		defer f.Close()
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		if unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK {
			running = int(lock.Pid)
		}
	} else if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("file prefix %s: %w: it belongs to another user's process; choose another file_prefix or become that user", c.prefix(), err)
	}
	switch {
	case c.proc() == Primary && running != 0:
		return fmt.Errorf("file prefix %s: another instance runs under it (pid %d); end it, or choose another file_prefix: %w", c.prefix(), running, unix.EADDRINUSE)
	case c.proc() == Secondary && running == 0:
		return fmt.Errorf("file prefix %s: no primary process runs under it; start that first: %w", c.prefix(), unix.ENOENT)
	}
	return nil
}

// checkMemory looks for hugepages, a place to map them from, and the right to.
func (c *Config) checkMemory() error {
	if c.NoHuge || c.proc() == Secondary {
		return nil
	}
	pages := freeHugepages()
	var total int
	for _, p := range pages {
		total += p.free * p.sizeKB / 1024
	}
	if total == 0 {
		return fmt.Errorf("no free hugepages: %s: %w", mendMemory, unix.ENOMEM)
	}
	if total < c.MemoryMB {
		return fmt.Errorf("%d MB of memory wanted, but only %d MB of hugepages are free: %s: %w", c.MemoryMB, total, mendMemory, unix.ENOMEM)
	}
	if c.InMemory {
		return nil
	}
	mounts, total := hugetlbfsMounts(), 0
	for _, m := range mounts {
		if unix.Access(m.dir, unix.W_OK|unix.X_OK) == nil {
			total += pages.of(m.sizeKB) * m.sizeKB / 1024
		}
	}
	switch {
	case len(mounts) == 0:
		return fmt.Errorf("hugepages are free, but no hugetlbfs is mounted: mount it with `dpdk-hugepages.py --mount`, in a container pass the mount in, or set no_huge=1: %w", unix.ENOENT)
	case total == 0 && os.Geteuid() != 0:
		return fmt.Errorf("hugepages at %s: not root, and no right to write there: run as root, or change its owner: %w", mounts[0].dir, unix.EACCES)
	case total < max(c.MemoryMB, 1):
		return fmt.Errorf("%d MB of memory wanted, but the mounted hugetlbfs (%s) has %d MB of free pages of its size: %s: %w", max(c.MemoryMB, 1), mounts[0].dir, total, mendMemory, unix.ENOMEM)
	}
	return nil
}

// tapKeys are the arguments of net_tap, which ignores all of them if one is wrong.
var tapKeys = []string{"iface", "mac", "persist", "remote"}

// checkVdev looks for what the drivers of virtual devices need and do not say.
func checkVdev(name, args string) error {
	if name == "" || strings.ContainsAny(name, ", ") {
		return fmt.Errorf("device name %q: must be a driver's name and a number, as net_tap0: %w", name, unix.EINVAL)
	}
	if strings.HasPrefix(strings.TrimPrefix(name, "net_"), "virtio_user") {
		return checkVhostPath(name, args)
	}
	if !strings.HasPrefix(name, "net_tap") && !strings.HasPrefix(name, "net_tun") {
		return nil
	}
	for arg := range strings.SplitSeq(args, ",") {
		if key, _, _ := strings.Cut(arg, "="); arg != "" && !slices.Contains(tapKeys, key) {
			return fmt.Errorf("device %s: argument %q: net_tap takes %s: %w", name, arg, strings.Join(tapKeys, ", "), unix.EINVAL)
		}
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("device %s: /dev/net/tun is missing: load it with `modprobe tun`, or in a container pass the device in: %w", name, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("device %s: not root, and no right to use /dev/net/tun: %w", name, err)
	case err != nil:
		return fmt.Errorf("device %s: %w", name, err)
	}
	f.Close()
	if !capable(unix.CAP_NET_ADMIN) {
		return fmt.Errorf("device %s: not root, and without CAP_NET_ADMIN no interface can be made: %w", name, unix.EPERM)
	}
	return nil
}

// checkVhostPath looks for the back-end of a virtio_user device, unless that is to come later (server=1).
func checkVhostPath(name, args string) error {
	for arg := range strings.SplitSeq(args, ",") {
		path, ok := strings.CutPrefix(arg, "path=")
		if !ok || strings.Contains(","+args+",", ",server=1,") {
			continue
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			mend := "start the vhost side first, or add server=1"
			if strings.HasPrefix(path, "/dev/") {
				mend = "load it with `modprobe vhost_net`"
			}
			return fmt.Errorf("device %s: path %s: %w: %s", name, path, unix.ENOENT, mend)
		}
		if unix.Access(path, unix.R_OK|unix.W_OK) == unix.EACCES {
			return fmt.Errorf("device %s: path %s: %w: no right to write to the socket: give it to this user (uid %d) with chown", name, path, unix.EACCES, os.Geteuid())
		}
	}
	return nil
}

// capable tells whether the process has a capability in effect; when it cannot be found out, DPDK will tell.
func capable(which uint) bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&head, &data[0]) != nil {
		return true
	}
	return data[which/32].Effective&(1<<(which%32)) != 0
}

type hugepages []struct{ sizeKB, free int }

func (h hugepages) of(sizeKB int) int {
	for _, p := range h {
		if p.sizeKB == sizeKB {
			return p.free
		}
	}
	return 0
}

func freeHugepages() (h hugepages) {
	dirs, _ := filepath.Glob("/sys/kernel/mm/hugepages/hugepages-*kB")
	for _, d := range dirs {
		size, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(d), "hugepages-"), "kB"))
		if text, err := os.ReadFile(filepath.Join(d, "free_hugepages")); err == nil {
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			h = append(h, struct{ sizeKB, free int }{size, n})
		}
	}
	return h
}

type mount struct {
	dir    string
	sizeKB int
}

func hugetlbfsMounts() (m []mount) {
	f, err := os.Open("/proc/mounts")
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if len(field) < 4 || field[2] != "hugetlbfs" {
			continue
		}
		var st unix.Statfs_t
		if unix.Statfs(field[1], &st) == nil { // its block size is its page size
			m = append(m, mount{field[1], int(st.Bsize) / 1024})
		}
	}
	return m
}

// runtimeDir is where EAL keeps the files that processes of one prefix share.
func runtimeDir(prefix string) string {
	dir := "/tmp"
	if os.Geteuid() == 0 {
		dir = "/var/run"
	} else if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		dir = d
	}
	if d := os.Getenv("RUNTIME_DIRECTORY"); d != "" { // systemd's
		dir = d
	}
	return filepath.Join(dir, "dpdk", prefix)
}

func (c *Config) prefix() string {
	if c.FilePrefix == "" {
		return "rte"
	}
	return c.FilePrefix
}

func (c *Config) proc() ProcType {
	if c.Proc == "" {
		return Primary
	}
	return c.Proc
}

func cpuList(set *unix.CPUSet) string {
	var cpus []int
	for i := range maxLcore {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return joinInts(cpus)
}

func joinInts(v []int) string {
	s := make([]string, len(v))
	for i := range v {
		s[i] = strconv.Itoa(v[i])
	}
	return strings.Join(s, ",")
}
