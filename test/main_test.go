//go:build !nodpdk

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bin has the programs under test.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if why := lacking(); why == "" {
		dir, err := os.MkdirTemp("", "fst-it-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755) // for the test that is not root
		bin = dir
		// Without the profile of examples/epoll, for which all packages would be compiled once more.
		if out, err := exec.Command("go", "build", "-pgo=off", "-o", dir, "../examples/...", "./server").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
			return 1
		}
	}
	code := m.Run()
	if left := leftovers(fmt.Sprintf("fst-it-%d-", os.Getpid())); len(left) > 0 && code == 0 {
		fmt.Fprintln(os.Stderr, "left behind:", left)
		return 1
	}
	return code
}

// lacking is what the tests miss on this machine, empty: nothing.
func lacking() string {
	if os.Getuid() != 0 {
		return "needs root for network namespaces and TAP devices"
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		return "needs /dev/net/tun: " + err.Error()
	} else {
		f.Close()
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "needs ip (package iproute2)"
	}
	return ""
}

// needs skips the test if the machine lacks something, programs among it.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if why := lacking(); why != "" {
		t.Skip(why)
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s", p)
		}
	}
}

// leftovers are namespaces, locks, EAL files, hugepage files and links whose names begin with prefix.
func leftovers(prefix string) (left []string) {
	for _, dir := range []string{"/run/netns/", "/run/fstack-", "/run/fstack/", "/var/run/dpdk/", "/sys/class/net/"} {
		found, _ := filepath.Glob(dir + prefix + "*")
		left = append(left, found...)
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	for l := range strings.Lines(string(mounts)) {
		if f := strings.Fields(l); len(f) > 2 && f[2] == "hugetlbfs" {
			found, _ := filepath.Glob(f[1] + "/" + prefix + "*")
			left = append(left, found...)
		}
	}
	return left
}
