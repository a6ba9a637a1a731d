package kernelend

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// needRoot skips a test that makes namespaces when it may not.
func needRoot(t *testing.T) (name string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	return fmt.Sprintf("fst-ke-%d", os.Getpid())
}

func there(name string) bool { return exists(filepath.Join(dir, name)) }

func TestMadeAndRemoved(t *testing.T) {
	name := needRoot(t)
	n, err := Open(name)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("may not make network namespaces here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n.Name() != name || !there(name) {
		t.Errorf("no %s in %s", name, dir)
	}
	var mine, host os.FileInfo
	if mine, err = n.File().Stat(); err == nil {
		host, err = os.Stat("/proc/self/ns/net")
	}
	if err != nil || os.SameFile(mine, host) {
		t.Errorf("the namespace is the process's own (%v)", err)
	}

	second, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if !there(name) {
		t.Error("the first to close removed a namespace that is in use")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if there(name) || exists(lockPath(name)) {
		t.Error("the last to close left something behind")
	}
}

func TestLeftByAKilledProcess(t *testing.T) {
	name := needRoot(t)
	n, err := Open(name)
	if err != nil {
		t.Skip("may not make network namespaces here: ", err)
	}
	n.file.Close() // as the kernel does for a process that is killed
	n.lock.Close()
	n, err = Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if there(name) || exists(lockPath(name)) {
		t.Error("what a killed process left was not removed by the next one")
	}
}

// TestKilledBeforeTheMount: the lock and the file are there, and no namespace.
func TestKilledBeforeTheMount(t *testing.T) {
	name := needRoot(t)
	path := filepath.Join(dir, name)
	if err := create(path); err != nil {
		t.Skip("may not make network namespaces here: ", err)
	}
	remove(path)
	for _, file := range []string{path, lockPath(name)} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(file)
	}
	n, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if !mounted(path) {
		t.Errorf("%s is no namespace", path)
	}
	if err := n.Configure("lo", nil); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if there(name) || exists(lockPath(name)) {
		t.Error("something was left behind")
	}
}

func TestForeignNamespaceStays(t *testing.T) {
	name := needRoot(t)
	if err := create(filepath.Join(dir, name)); err != nil {
		t.Skip("may not make network namespaces here: ", err)
	}
	defer remove(filepath.Join(dir, name))
	n, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if !there(name) {
		t.Error("a namespace that was there before was removed")
	}
}

func TestConfigure(t *testing.T) {
	name := needRoot(t)
	n, err := Open(name)
	if err != nil {
		t.Skip("may not make network namespaces here: ", err)
	}
	defer n.Close()
	if out, err := exec.Command("ip", "-n", name, "link", "add", "ke0", "type", "veth", "peer", "name", "ke1").CombinedOutput(); err != nil {
		t.Skipf("needs ip and veth: %v %s", err, out)
	}
	addrs := []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24"), netip.MustParsePrefix("fd00:1::1/64")}
	for range 2 { // a second time changes nothing
		if err := n.Configure("ke0", addrs); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("ip", "-n", name, "-br", "addr").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ke0", "192.168.1.1/24", "fd00:1::1/64", "127.0.0.1/8"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "ke0@ke1         DOWN") {
		t.Errorf("ke0 is not up:\n%s", out)
	}
	if err := n.Configure("ke9", nil); err == nil || !strings.Contains(err.Error(), "interface ke9: ") {
		t.Errorf("an interface that is not there: %v", err)
	}
}
