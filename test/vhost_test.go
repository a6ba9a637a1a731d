//go:build !nodpdk

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vhost starts dpdk-testpmd as a switch between a vhost-user socket and the kernel: what comes by queue i of one side
// leaves by queue i of the other, without a look at whose it is. The kernel's end, fstack0, is in the namespace, which
// goes with the test.
func vhost(t *testing.T, netns string, queues int) (socket string) {
	t.Helper()
	needs(t, "dpdk-testpmd", "stdbuf")
	socket = filepath.Join(t.TempDir(), "vhost")
	ip := func(args string) {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	ip("netns add " + netns)
	t.Cleanup(func() { ip("netns del " + netns) })
	prefix := netns + "-pmd"
	pmd := exec.Command("ip", "netns", "exec", netns, "stdbuf", "-oL", "dpdk-testpmd",
		"--lcores", "0@0,1@1", "--no-huge", "-m", "256", "--no-pci", "--file-prefix", prefix,
		"--vdev", fmt.Sprintf("net_vhost0,iface=%s,queues=%d", socket, queues), "--vdev", "net_tap0,iface=fstack0",
		"--", "--rxq", fmt.Sprint(queues), "--txq", fmt.Sprint(queues), "--nb-cores=1", "--forward-mode=io", "--auto-start", "--total-num-mbufs=16384",
		"--no-lsc-interrupt", "--disable-link-check")
	out := newOutput()
	pmd.Stdout, pmd.Stderr = out.file, out.file
	stdin, err := pmd.StdinPipe() // testpmd goes on until it is closed
	if err != nil {
		t.Fatal(err)
	}
	if err := pmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		late := time.AfterFunc(10*time.Second, func() { pmd.Process.Kill() })
		pmd.Wait()
		late.Stop()
		os.RemoveAll("/var/run/dpdk/" + prefix)
		if t.Failed() {
			t.Logf("testpmd said:\n%s", out)
		}
	})
	for start := time.Now(); !strings.Contains(out.String(), "Press enter"); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("dpdk-testpmd does not forward")
		}
	}
	for _, args := range []string{"link set lo up", "addr add 192.168.1.1/24 dev fstack0", "addr add fd00:192:168:1::1/64 dev fstack0 nodad", "link set fstack0 up"} {
		ip("-n " + netns + " " + args)
	}
	return socket
}

// onSocket has two workers use a virtio_user device.
func (p *process) onSocket(t *testing.T, device ...string) {
	t.Helper()
	config := []string{
		"[dpdk]", "lcore_mask=3", "no_huge=0", "memory=256", "file_prefix=" + p.prefix, "port_list=0", "nb_vdev=1", "[stack]", "idle=adaptive",
		"[port0]", "addr=" + addr4, "netmask=255.255.255.0", "gateway=192.168.1.1", "addr6=" + addr6, "gateway6=fd00:192:168:1::1",
		"[vdev0]", strings.Join(device, "\n"), "[freebsd.sysctl]", "net.inet6.ip6.dad_count=0",
	}
	if err := os.WriteFile(p.cmd.Args[2], []byte(strings.Join(config, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVhostSwitch has two workers share a virtio_user device of two queues. The switch puts frames on any of them, so
// that many are for the other worker, and the kernel's TAP at its far side sees none of it.
func TestVhostSwitch(t *testing.T) {
	needsHuge(t, 400)
	p := prepare(t, "server")
	socket := vhost(t, p.netns, 2)
	p.onSocket(t, "path="+socket, "queues=2", "mac=02:00:00:00:00:02")
	p.start(t)
	p.serving(t, 2)
	p.meet(t)
}
