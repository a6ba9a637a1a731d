//go:build !nodpdk

package test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// TestControlGroup: who is not root asks a program of root's if the config names a group of his, and is told otherwise.
func TestControlGroup(t *testing.T) {
	needs(t, "setpriv")
	g, err := user.LookupGroup("daemon")
	if err != nil {
		t.Skip(err)
	}
	p := serve(t, "http", "idle=adaptive\ncontrol_group="+g.Name)
	config := p.cmd.Args[2]
	for dir := filepath.Dir(config); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	status := func(path, gid string) (string, error) {
		cmd := exec.Command("setpriv", "--reuid", "65534", "--regid", gid, "--clear-groups", p.cmd.Path, "-c", path, "status")
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := status(config, g.Gid); err != nil || !strings.Contains(out, "one process: pid") {
		t.Errorf("a member of the group: %v\n%s", err, out)
	}
	if out, err := status(config, "65534"); err == nil || !strings.Contains(out, "permission denied") || !strings.Contains(out, "control_group") {
		t.Errorf("another user: %v\n%s", err, out)
	}
	other := filepath.Join(filepath.Dir(config), "other.ini")
	if err := os.WriteFile(other, []byte("[dpdk]\nfile_prefix=nobody-has-this\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := status(other, g.Gid); err == nil || !strings.Contains(out, "no program runs under file_prefix nobody-has-this") || !strings.Contains(out, "/var/run/fstack/nobody-has-this") {
		t.Errorf("a prefix that nobody has: %v\n%s", err, out)
	}
}
