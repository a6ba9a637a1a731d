//go:build !nodpdk

package nic

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// newNetns makes a namespace with a TAP device, nic0, of several queues.
func newNetns(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"ip", "qemu-system-x86_64"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s", p)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces and TAP devices")
	}
	ns := fmt.Sprintf("fst-nic-%d", os.Getpid())
	ip(t, "netns add "+ns)
	t.Cleanup(func() { ip(t, "netns del "+ns) })
	for _, args := range []string{
		"tuntap add nic0 mode tap multi_queue", "addr add 192.168.1.1/24 dev nic0", "addr add fd00:192:168:1::1/64 dev nic0 nodad", "link set nic0 up", "link set lo up",
	} {
		ip(t, "-n "+ns+" "+args)
	}
	return ns
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// in runs a program in the namespace.
func in(t *testing.T, ns string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...).CombinedOutput()
	return string(out), err
}
