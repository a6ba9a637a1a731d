//go:build !nodpdk

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// vswitch starts Open vSwitch with DPDK: a switch that learns addresses, between a vhost-user socket and the kernel.
// Database, sockets and logs are the test's own, and so is the namespace in which the kernel's end is.
func vswitch(t *testing.T, netns string, server bool) (socket string) {
	t.Helper()
	const program = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
	needs(t, "ovsdb-tool", "ovsdb-server", "ovs-vsctl", program)
	dir, err := os.MkdirTemp("", "fst-ovs-") // a short path: it is that of sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(dir + "/switch.log")
			t.Logf("Open vSwitch said:\n%s", b)
		}
	})
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			b, _ := os.ReadFile(dir + "/switch.log")
			t.Fatalf("%v: %v: %s\n%s", args, err, out, b)
		}
		return string(out)
	}
	ip := func(args string) { run(append([]string{"ip"}, strings.Fields(args)...)...) }
	daemon := func(args ...string) {
		c := exec.Command("ip", append([]string{"netns", "exec", netns}, args...)...)
		for _, d := range []string{"RUN", "DB", "LOG", "SYSCONF"} {
			c.Env = append(c.Env, "OVS_"+d+"DIR="+dir)
		}
		c.Env = append(c.Env, os.Environ()...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			c.Process.Signal(syscall.SIGTERM)
			late := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
			c.Wait()
			late.Stop()
		})
	}
	ip("netns add " + netns)
	t.Cleanup(func() { ip("netns del " + netns) })
	ip("-n " + netns + " link set lo up")

	db := "unix:" + dir + "/db"
	run("ovsdb-tool", "create", dir+"/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
	daemon("ovsdb-server", dir+"/conf.db", "--remote=p"+db, "--unixctl="+dir+"/db.ctl", "--log-file="+dir+"/db.log", "-vconsole:off")
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir + "/db"); err == nil {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("ovsdb-server does not listen")
		}
	}
	vsctl := func(args ...string) string {
		t.Helper()
		return run(append([]string{"ovs-vsctl", "--timeout=30", "--db=" + db}, args...)...)
	}
	vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true", "other_config:dpdk-lcore-mask=1", "other_config:pmd-cpu-mask=2",
		"other_config:per-port-memory=true", "other_config:vhost-sock-dir=.",
		"other_config:dpdk-extra=--no-huge --legacy-mem -m 256 --no-pci --no-telemetry --file-prefix="+netns+"-ovs")
	t.Cleanup(func() { os.RemoveAll("/var/run/dpdk/" + netns + "-ovs") })
	daemon(program, db, "--unixctl="+dir+"/switch.ctl", "--log-file="+dir+"/switch.log", "-vconsole:off")

	socket = filepath.Join(dir, "port0")
	port := []string{"type=dpdkvhostuser"}
	if server { // the program's end is
		port = []string{"type=dpdkvhostuserclient", "options:vhost-server-path=" + socket}
	}
	vsctl(append([]string{"add-br", "fstack0", "--", "set", "bridge", "fstack0", "datapath_type=netdev", "--",
		"add-port", "fstack0", "port0", "--", "set", "Interface", "port0"}, port...)...)
	if said := vsctl("get", "Open_vSwitch", ".", "dpdk_initialized"); said != "true\n" {
		t.Fatalf("dpdk_initialized: %s", said)
	}
	if said := vsctl("get", "Interface", "port0", "error"); said != "[]\n" {
		t.Fatalf("port0: %s", said)
	}
	for _, args := range []string{"addr add 192.168.1.1/24 dev fstack0", "addr add fd00:192:168:1::1/64 dev fstack0 nodad", "link set fstack0 up"} {
		ip("-n " + netns + " " + args)
	}
	return socket
}

// TestOpenVSwitch has two workers share a virtio_user device of two queues behind Open vSwitch, whose threads choose the
// queue by themselves.
func TestOpenVSwitch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server bool
		device string
	}{
		{"socket of the switch", false, "path=SOCKET\nqueues=2\nmac=02:00:00:00:00:02"},
		{"socket of the program", true, "devargs=virtio_user0,path=SOCKET,queues=2,mac=02:00:00:00:00:02,server=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needsHuge(t, 400)
			p := prepare(t, "server")
			socket := vswitch(t, p.netns, tt.server)
			p.onSocket(t, strings.Replace(tt.device, "SOCKET", socket, 1))
			p.start(t)
			s := p.serving(t, 2)
			for i, w := range s.Workers {
				if len(w.Queues) != 1 || w.Queues[0].Queue != i {
					t.Errorf("worker %d has %+v", i, w.Queues)
				}
			}
			if tt.server {
				p.meetEach(t, 2, 1000)
			} else {
				p.meet(t)
			}
		})
	}
}
