//go:build !nodpdk

package dpdk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refused is a test of its own process in which Init must fail with words that help.
func refused(t *testing.T, c Config, says ...string) {
	t.Helper()
	c.Log = (&logged{}).add
	err := Init(c)
	if err == nil {
		Cleanup()
		t.Fatalf("%+v was accepted", c)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v: does not say %q", err, s)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	cpu := []int{firstCPU(t)}
	for _, c := range []struct {
		name string
		Config
		says []string
	}{
		{"no lcore", Config{NoHuge: true}, []string{"at least one CPU"}},
		{"lcore twice", Config{NoHuge: true, Lcores: append(cpu, cpu...)}, []string{"listed twice"}},
		{"lcore missing", Config{NoHuge: true, Lcores: []int{99}}, []string{"lcore 99", "no such CPU"}},
		{"lcore negative", Config{NoHuge: true, Lcores: []int{-1}}, []string{"lcore -1: must be 0 to"}},
		{"memory negative", Config{NoHuge: true, Lcores: cpu, MemoryMB: -1}, []string{"-1 MB"}},
		{"channels", Config{NoHuge: true, Lcores: cpu, Channels: 99}, []string{"memory channels 99"}},
		{"log level", Config{NoHuge: true, Lcores: cpu, LogLevel: 9}, []string{"log level 9"}},
		{"process type", Config{NoHuge: true, Lcores: cpu, Proc: "x"}, []string{`"x"`}},
		{"prefix", Config{NoHuge: true, Lcores: cpu, FilePrefix: "a/b"}, []string{`"a/b"`}},
		{"no primary", Config{NoHuge: true, Lcores: cpu, FilePrefix: "fstack-nobody", Proc: Secondary}, []string{"no primary process"}},
		{"too few hugepages", Config{Lcores: cpu, MemoryMB: 1 << 30}, []string{"hugepages", "dpdk-hugepages.py", "no_huge=1"}},
		{"EAL argument", Config{NoHuge: true, Lcores: cpu, FilePrefix: "fstack-bad", Args: []string{"--bogus"}}, []string{"rte_eal_init", "--bogus"}},
		{"EAL value", Config{NoHuge: true, Lcores: cpu, FilePrefix: "fstack-bad", Args: []string{"-n", "x"}}, []string{"rte_eal_init", "invalid"}},
		{"too much memory", Config{NoHuge: true, Lcores: cpu, FilePrefix: "fstack-bad", MemoryMB: 1 << 30}, []string{"rte_eal_init"}},
		{"PCI address", Config{NoHuge: true, Lcores: cpu, FilePrefix: "fstack-bad", Allow: []string{"zz:zz"}}, []string{"zz:zz"}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			if alone(t) {
				refused(t, c.Config, c.says...)
				if _, err := os.Stat(runtimeDir("fstack-bad")); err == nil {
					t.Error("EAL's files are left behind")
					os.RemoveAll(runtimeDir("fstack-bad"))
				}
			}
		})
	}
}

func TestNothingBeforeInit(t *testing.T) {
	if !alone(t) {
		return
	}
	if _, err := AddVdev("net_null0", "", nil); err == nil {
		t.Error("AddVdev worked")
	}
	if _, err := OpenPort(PortConfig{}); err == nil {
		t.Error("OpenPort worked")
	}
	if ids := Ports(); ids != nil {
		t.Error("there are ports")
	}
	if err := Cleanup(); err != nil {
		t.Error(err)
	}
}

func TestInitOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	startEAL(t, nil)
	again := Config{Lcores: []int{firstCPU(t)}, NoHuge: true, FilePrefix: "fstack-again"}
	refused(t, again, "only once")
	if err := Cleanup(); err != nil {
		t.Error(err)
	}
	refused(t, again, "only once")
}

// TestOnePrimaryPerPrefix starts a second instance beside the first.
func TestOnePrimaryPerPrefix(t *testing.T) {
	if !alone(t) {
		return
	}
	const prefix = "FSTACK_DPDK_PREFIX"
	if p := os.Getenv(prefix); p != "" {
		refused(t, Config{Lcores: []int{firstCPU(t)}, NoHuge: true, FilePrefix: p}, p, "another instance", "pid "+strconv.Itoa(os.Getppid()))
		return
	}
	mine := "fstack-test-" + strconv.Itoa(os.Getpid())
	startEAL(t, func(c *Config) { c.FilePrefix = mine })
	out, err := spawn(t, t.Name(), nil, prefix+"="+mine)
	report(t, out, err)
}

// TestNotRoot runs as nobody.
func TestNotRoot(t *testing.T) {
	needRoot(t)
	if os.Getenv(child) == "" {
		exe := t.TempDir() + "/test" // where nobody can run it from
		for d := exe; strings.Count(d, "/") > 1; d = d[:strings.LastIndex(d, "/")] {
			os.Chmod(d, 0o755)
		}
		if out, err := exec.Command("cp", os.Args[0], exe).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		os.Chmod(exe, 0o755)
		os.Chmod(filepath.Dir(exe), 0o777)
		cmd := exec.Command(exe, "-test.v", "-test.run=^TestNotRootChild$")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), child+"=TestNotRootChild", "XDG_RUNTIME_DIR="+filepath.Dir(exe))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		report(t, out, err)
	}
}

func TestNotRootChild(t *testing.T) {
	if os.Getenv(child) != t.Name() {
		t.Skip("is a part of TestNotRoot")
	}
	startEAL(t, nil)
	_, err := AddVdev("net_tap0", "iface=fsk1", nil)
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "root") {
		t.Errorf("net_tap: %v", err)
	}
}

// TestBadVdevs has AddVdev pass on the drivers' own words.
func TestBadVdevs(t *testing.T) {
	if !alone(t) {
		return
	}
	needTun(t)
	startEAL(t, nil)
	ns := newNetns(t)
	for _, c := range []struct {
		name, args string
		says       []string
	}{
		{"net_bogus0", "", []string{"net_bogus0", "EAL: failed to parse device"}},
		{"", "", []string{"name"}},
		{"net_tap0", "bogus=1", []string{"net_tap0", "bogus", "iface"}},
		{"net_tap0", "iface=a-name-longer-than-15", []string{"a-name-longer-than-15"}},
		{"net_tap0", "mac=zz", []string{"net_tap0", "zz"}},
		{"net_null0", "bogus=1", []string{"net_null0"}},
		{"net_virtio_user0", "", []string{"net_virtio_user0", "path"}},
		{"net_virtio_user0", "path=/nowhere/at/all", []string{"/nowhere/at/all", "no such file", "server=1"}},
		{"net_virtio_user0", "path=/dev/null,bogus=1", []string{"net_virtio_user0", "error when parsing param"}},
		{"virtio_user0", "path=/dev/no-vhost-net,iface=x", []string{"/dev/no-vhost-net", "no such file", "modprobe vhost_net"}},
		{"virtio_user0", "path=/dev/null", []string{"/dev/null", "virtio_user"}},
		{"net_vhost0", "", []string{"net_vhost0"}},
		{"net_af_packet0", "iface=nosuch", []string{"nosuch"}},
		{"net_pcap0", "rx_pcap=/nowhere", []string{"/nowhere"}},
	} {
		start := time.Now()
		ids, err := AddVdev(c.name, c.args, ns)
		if err == nil {
			t.Errorf("%s,%s was accepted: ports %v", c.name, c.args, ids)
			RemoveVdev(c.name)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s,%s: %v: does not say %q", c.name, c.args, err, s)
			}
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s,%s: took %v", c.name, c.args, d)
		}
	}
	if _, err := AddVdev("net_null0", "", nil); err != nil {
		t.Fatal("after the refusals: ", err)
	}
	if _, err := AddVdev("net_null0", "", nil); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("twice: %v", err)
	}
	if f, err := os.Open("/dev/null"); err == nil {
		if _, err := AddVdev("net_null1", "", f); err == nil || !strings.Contains(err.Error(), "setns") {
			t.Errorf("/dev/null as a namespace: %v", err)
		}
		f.Close()
	}
}
