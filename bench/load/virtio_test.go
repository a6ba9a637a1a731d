package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/bench/core"
	"github.com/fstack-go/fstack/dpdk"
)

// The test binary plays both parts in processes of their own: EAL starts once in each.
const (
	envPart   = "FSTACK_LOAD_PART"   // "load": is the program; "respond": serves at envSocket until SIGTERM
	envSocket = "FSTACK_LOAD_SOCKET" // of vhost
	envLcore  = "FSTACK_LOAD_LCORE"
)

func TestMain(m *testing.M) {
	switch os.Getenv(envPart) {
	case "load":
		main()
	case "respond":
		if err := respond(os.Getenv(envSocket)); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// respond is the responder on a virtio_user port.
func respond(socket string) error {
	lcore, _ := strconv.Atoi(os.Getenv(envLcore))
	o := options{device: "virtio_user0,path=" + socket + ",queue_size=1024", lcore: lcore, memory: 96}
	_, q, err := openDevice(&o)
	if err != nil {
		return err
	}
	if err := core.Pin(o.lcore); err != nil {
		return err
	}
	r := newResponder(q, 650)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	for {
		select {
		case <-stop:
			return dpdk.Cleanup()
		default:
		}
		busy := 0
		for range 1000 {
			busy += r.turn()
		}
		if busy == 0 {
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // the CPU may be shared, in a test
		}
	}
}

// runLoad starts the program with arguments and returns its report.
func runLoad(t *testing.T, args ...string) (r report) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), envPart+"=load")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.Bytes())
	}
	if err := json.Unmarshal(out, &r); err != nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Fatalf("is not one line of JSON: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return r
}

// TestOverVirtio measures the responder in another process, over vhost and virtio_user.
func TestOverVirtio(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if dpdk.Version() == "none" {
		t.Skip("needs DPDK: built with the tag nodpdk")
	}
	span := "1s"
	if s := os.Getenv("FSTACK_LOAD_BENCH"); s != "" {
		span = s
	}
	for _, mode := range []string{modeKeepAlive, modeConnect} {
		t.Run(mode, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "vhost.sock")
			server := exec.Command(os.Args[0])
			server.Env = append(os.Environ(), envPart+"=respond", envSocket+"="+socket, envLcore+"=0")
			var stderr bytes.Buffer
			server.Stderr = &stderr
			// virtio_user needs the socket that load makes.
			started := make(chan error)
			go func() {
				for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
					if _, err := os.Stat(socket); err == nil {
						break
					}
				}
				time.Sleep(100 * time.Millisecond)
				started <- server.Start()
			}()
			r := runLoad(t, "-device", "net_vhost0,iface="+socket, "-lcore", strconv.Itoa(min(1, runtime.NumCPU()-1)), "-memory", "96",
				"-mode", mode, "-conns", "64", "-time", span, "-warmup", "100ms")
			if err := <-started; err != nil {
				t.Fatal(err)
			}
			server.Process.Signal(syscall.SIGTERM)
			if err := server.Wait(); err != nil {
				t.Errorf("responder: %v\n%s", err, stderr.Bytes())
			}
			// How many is for the benchmark: other tests may have the CPUs.
			if r.Requests < 100 || r.Requests < 20000 && r.CPUShare > .9 || r.Failures > 0 || r.Driver != "net_vhost" {
				t.Errorf("%+v\nresponder: %s", r, stderr.Bytes())
			}
			if mode == modeConnect && r.Connects < r.Requests*.9-64 {
				t.Errorf("%.0f connections for %.0f requests", r.Connects, r.Requests)
			}
		})
	}
}

// TestBadArguments has words for what is wrong, and no stack trace.
func TestBadArguments(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "-device is missing"},
		{"-device x extra", "extra"},
		{"-bogus", "-bogus"},
		{"-device x -mode y", "-mode y"},
		{"-device x -to 192.168.1.2", "192.168.1.2"},
		{"-device x -to [::1]:80", "IPv4"},
		{"-device x -from zz", "-from zz"},
		{"-device x -from 192.168.1.2", "is the server's address"},
		{"-device x -via 0.0.0.0", "-via 0.0.0.0"},
		{"-device x -conns 0", "-conns 0"},
		{"-device x -conns 99999999", "at most"},
		{"-device x -time -1s", "-time"},
		{"-device x -window 1", "-window 1"},
		{"-device x -path foo", `"foo"`},
		{"-device x -lcore -2", "-lcore -2"},
		{"-device net_bogus0 -no-huge -lcore 0", "net_bogus0"},
		{"-device net_null0 -no-huge -lcore 99", "lcore 99"},
	} {
		if dpdk.Version() == "none" && strings.Contains(c.args, "-no-huge") {
			c.says = "built without DPDK"
		}
		cmd := exec.Command(os.Args[0], strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), envPart+"=load")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), c.says) {
			t.Errorf("load %s: %v, %q: want exit code 1 and %q", c.args, err, out, c.says)
		}
	}
	cmd := exec.Command(os.Args[0], "-h")
	cmd.Env = append(os.Environ(), envPart+"=load")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "-idle-conns") {
		t.Errorf("load -h: %v, %s", err, out)
	}
}
