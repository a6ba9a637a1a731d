// Command guest is the first process of the virtual machine: it mounts the host's root, gives the network card to
// vfio-pci, and runs the commands that come by the second serial line.
//
// A command is a line of JSON, a nic.Command; so is its answer, a nic.Result.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/test/nic"
)

const (
	host  = "/host"  // the host's root, read-only
	share = "/share" // in it: the test's own directory
)

func main() {
	if err := boot(); err != nil {
		fmt.Println("guest:", err)
	} else {
		fmt.Println("guest:", serve())
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func boot() error {
	for _, m := range []struct{ what, where, kind string }{{"proc", "/proc", "proc"}, {"sys", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}} {
		if err := mount(m.what, m.where, m.kind, 0, ""); err != nil {
			return err
		}
	}
	modules, _ := filepath.Glob("/modules/*.ko") // in the order in which they need each other
	for _, m := range modules {
		if err := insert(m); err != nil {
			return err
		}
	}
	if err := mount("root", host, "9p", unix.MS_RDONLY, "trans=virtio,version=9p2000.L,msize=262144,cache=loose"); err != nil {
		return err
	}
	for _, m := range []struct{ what, where, kind, opts string }{
		{"proc", "/proc", "proc", ""}, {"sys", "/sys", "sysfs", ""}, {"dev", "/dev", "devtmpfs", ""},
		{"tmp", "/tmp", "tmpfs", ""}, {"run", "/run", "tmpfs", ""}, {"huge", "/mnt", "hugetlbfs", "pagesize=2M"},
	} {
		if err := mount(m.what, host+m.where, m.kind, 0, m.opts); err != nil {
			return err
		}
	}
	if err := mount("share", host+"/tmp"+share, "9p", unix.MS_RDONLY, "trans=virtio,version=9p2000.L,msize=262144,cache=loose"); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/nr_hugepages", []byte(option("hugepages")), 0); err != nil {
		return err
	}
	return giveCard()
}

func mount(what, where, kind string, flags uintptr, opts string) error {
	os.MkdirAll(where, 0o755) // it may be there, on a file system that is read-only
	if err := unix.Mount(what, where, kind, flags, opts); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, where, err)
	}
	return nil
}

func insert(module string) error {
	f, err := os.Open(module)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
		return fmt.Errorf("load %s: %w", module, err)
	}
	return nil
}

// option is a value of the kernel's command line.
func option(name string) string {
	line, _ := os.ReadFile("/proc/cmdline")
	for _, f := range strings.Fields(string(line)) {
		if v, ok := strings.CutPrefix(f, "guest."+name+"="); ok {
			return v
		}
	}
	return ""
}

// giveCard takes the network cards from the kernel's driver and gives them to vfio-pci.
func giveCard() error {
	devices, _ := filepath.Glob("/sys/bus/pci/devices/*")
	for _, d := range devices {
		class, _ := os.ReadFile(d + "/class")
		if !strings.HasPrefix(string(class), "0x0200") { // an Ethernet controller
			continue
		}
		if _, err := os.Stat(d + "/iommu_group"); err != nil {
			return fmt.Errorf("card %s is behind no IOMMU", filepath.Base(d))
		}
		if _, err := os.Stat(d + "/driver"); err == nil {
			if err := os.WriteFile(d+"/driver/unbind", []byte(filepath.Base(d)), 0); err != nil {
				return err
			}
		}
		if err := os.WriteFile(d+"/driver_override", []byte("vfio-pci"), 0); err != nil {
			return err
		}
		if err := os.WriteFile("/sys/bus/pci/drivers_probe", []byte(filepath.Base(d)), 0); err != nil {
			return err
		}
		driver, err := os.Readlink(d + "/driver")
		if err != nil {
			return err
		}
		fmt.Println("guest: card", filepath.Base(d), "has the driver", filepath.Base(driver))
	}
	return nil
}

// serve does what comes by the serial line, until there is no line any more.
func serve() error {
	tty, err := os.OpenFile("/dev/ttyS1", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	term, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	term.Iflag, term.Oflag, term.Lflag = 0, 0, 0 // raw
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, term); err != nil {
		return err
	}
	if err := syscall.Chroot(host); err != nil {
		return err
	}
	os.Chdir("/")
	os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	os.Setenv("HOME", "/tmp")
	in := bufio.NewReader(tty)
	fmt.Println("guest: ready")
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF || err == nil && len(line) < 2 {
			time.Sleep(10 * time.Millisecond)
			continue
		} else if err != nil {
			return err
		}
		var c nic.Command
		if err := json.Unmarshal(line, &c); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		r := do(c)
		b, _ := json.Marshal(r)
		tty.Write(append(b, '\n'))
	}
}

// started are the programs left running, by base name.
var started = map[string]*exec.Cmd{}

func do(c nic.Command) (r nic.Result) {
	fail := func(err error) nic.Result {
		r.Error = err.Error()
		return r
	}
	switch {
	case len(c.Run) > 0:
		out, err := exec.Command(c.Run[0], c.Run[1:]...).CombinedOutput()
		r.Out = string(out)
		if exit, ok := err.(*exec.ExitError); ok {
			r.Code = exit.ExitCode()
		} else if err != nil {
			return fail(err)
		}
	case len(c.Start) > 0:
		p := exec.Command(c.Start[0], c.Start[1:]...)
		p.Stdout, p.Stderr = os.Stdout, os.Stderr
		if err := p.Start(); err != nil {
			return fail(err)
		}
		started[filepath.Base(c.Start[0])] = p
		r.Out = strconv.Itoa(p.Process.Pid)
	default:
		p := started[c.Signal]
		if p == nil {
			return fail(fmt.Errorf("no %q was started", c.Signal))
		}
		if c.With != 0 {
			if err := p.Process.Signal(syscall.Signal(c.With)); err != nil {
				return fail(err)
			}
			return r
		}
		p.Wait()
		r.Code = p.ProcessState.ExitCode()
		delete(started, c.Signal)
	}
	return r
}
