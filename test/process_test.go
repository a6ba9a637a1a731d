//go:build !nodpdk

package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	addr4 = "192.168.1.2"
	addr6 = "fd00:192:168:1::2"
)

// process is a program on the stack, with the namespace that the kernel's end of its link is in.
type process struct {
	netns  string
	prefix string
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
	err    error // after exited
	root   int   // process by which the namespace is found, 0: the command's
}

// output is what a process and those that it has started have printed so far: a file, which nobody has to wait for.
type output struct{ file *os.File }

func newOutput() *output {
	f, err := os.CreateTemp("", "fst-it-out-")
	if err != nil {
		panic(err)
	}
	os.Remove(f.Name())
	return &output{f}
}

func (o *output) String() string {
	text, err := io.ReadAll(io.NewSectionReader(o.file, 0, 1<<30))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

var instances atomic.Int32

// configText is a config.ini for an instance of its own; extra stands in for lines of the same key.
func configText(prefix, netns string, extra ...string) string {
	lines := []string{
		"[dpdk]", "lcore_mask=1", "no_huge=1", "file_prefix=" + prefix, "port_list=0", "nb_vdev=1", "",
		"[stack]", "idle=adaptive", "tcp=netstack", "",
		"[port0]", "addr=" + addr4, "netmask=255.255.255.0", "gateway=192.168.1.1", "addr6=" + addr6, "gateway6=fd00:192:168:1::1", "",
		"[vdev0]", "devargs=net_tap0,iface=fstack0", "netns=" + netns, "kernel_addr=192.168.1.1/24;fd00:192:168:1::1/64", "",
		"[freebsd.sysctl]", "net.inet6.ip6.dad_count=0",
	}
	for _, e := range extra {
		key, _, _ := strings.Cut(e, "=")
		for i, l := range lines {
			if strings.HasPrefix(l, key+"=") {
				lines[i] = e
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// prepare writes a config file and returns the command that uses it.
func prepare(t *testing.T, program string, extra ...string) *process {
	t.Helper()
	prefix := fmt.Sprintf("fst-it-%d-%d", os.Getpid(), instances.Add(1))
	p := &process{netns: prefix, prefix: prefix, out: newOutput(), exited: make(chan struct{})}
	path := filepath.Join(t.TempDir(), "config.ini")
	if err := os.WriteFile(path, []byte(configText(prefix, prefix, extra...)), 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(filepath.Join(bin, program), "-c", path)
	return p
}

// start starts the command; it is ended with the test, if it did not before.
func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd.Stdout, p.cmd.Stderr = p.out.file, p.out.file
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		if !p.ended(15 * time.Second) {
			p.cmd.Process.Kill()
			<-p.exited
			t.Errorf("the program did not end\n%s", p.out)
		}
		if t.Failed() {
			t.Logf("the program said:\n%s", p.out)
		}
	})
}

// ended tells whether the process ends in time.
func (p *process) ended(in time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(in):
		return false
	}
}

// serve starts a program and waits until it serves.
func serve(t *testing.T, program string, extra ...string) *process {
	t.Helper()
	p := prepare(t, program, extra...)
	p.start(t)
	p.ready(t, map[string]string{"http": "try: ", "server": "ready", "epoll": "serving", "https": "HTTPS on"}[program])
	return p
}

// ready waits until the program has said a word.
func (p *process) ready(t *testing.T, word string) {
	t.Helper()
	for start := time.Now(); !strings.Contains(p.out.String(), word); time.Sleep(10 * time.Millisecond) {
		if p.ended(0) {
			t.Fatalf("the program ended: %v\n%s", p.err, p.out)
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("the program does not serve\n%s", p.out)
		}
	}
}

// again is the same program with the same config once more.
func (p *process) again() *process {
	return &process{netns: p.netns, prefix: p.prefix, out: newOutput(), exited: make(chan struct{}), cmd: exec.Command(p.cmd.Path, p.cmd.Args[1:]...)}
}

// fails runs a program that must fail in 20 s, and returns what it says.
func (p *process) fails(t *testing.T) string {
	t.Helper()
	p.start(t)
	if !p.ended(20 * time.Second) {
		t.Fatalf("the program runs; it should have failed\n%s", p.out)
	}
	if p.err == nil {
		t.Errorf("the program ended with success; it should have failed\n%s", p.out)
	}
	said := p.out.String()
	if strings.Contains(said, "panic: ") || strings.Contains(said, "SIGSEGV") {
		t.Errorf("the program crashed:\n%s", said)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return said
}

// inside runs a program of the kernel's side, and returns what it says.
func (p *process) inside(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", p.netns, name}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
