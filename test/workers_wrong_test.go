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

	"github.com/fstack-go/fstack/control"
)

// Each row is several processes started wrongly, and what the program must say.
func TestWorkersWrong(t *testing.T) {
	needsHuge(t, 200)
	for _, tt := range []struct {
		name  string
		extra []string
		want  []string
	}{
		{"lcore that is not there", []string{"lcore_mask=80000001"}, []string{"lcore 31 is CPU 31", "no such CPU", "lcores=31@"}},
		{"CPU that is not there", []string{"lcore_mask=3\nlcores=1@77"}, []string{"lcore 1 is CPU 77", "no such CPU"}},
		{"empty mask", []string{"lcore_mask="}, []string{"lcore_mask", "is empty"}},
		{"mask is not hexadecimal", []string{"lcore_mask=0x3z"}, []string{"lcore_mask=0x3z", "hexadecimal"}},
		{"no hugepages wanted", []string{"no_huge=1"}, []string{"no_huge=1", "several lcores share hugepages", "dpdk-hugepages.py --setup"}},
		{"more memory than there is", []string{"no_huge=0\nmemory=1000000"}, []string{"dpdk-hugepages.py --setup"}},
		{"address that nobody can listen on", []string{"lcore_mask=3"}, []string{"worker on lcore", "cannot assign requested address"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := prepare(t, "http", append([]string{"no_huge=0", "lcore_mask=3", "tcp=fstack"}, tt.extra...)...)
			if strings.Contains(tt.name, "listen") {
				p.cmd.Args = append(p.cmd.Args, "-listen", "10.9.9.9:80")
			}
			said := p.fails(t)
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in what the program says:\n%s", want, said)
				}
			}
		})
	}
}

// TestTooFewHugepages starts the program where there are some, but not enough for the pools, and where there are none.
func TestTooFewHugepages(t *testing.T) {
	needs(t, "unshare")
	p := prepare(t, "http", "no_huge=auto", "lcore_mask=3")
	p.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none /sys/kernel/mm/hugepages && exec "$0" "$@"`, p.cmd.Path, "-c", p.cmd.Args[2])
	if said := p.fails(t); !strings.Contains(said, "several lcores share hugepages") || !strings.Contains(said, "dpdk-hugepages.py --setup") {
		t.Errorf("without hugepages: %s", said)
	}

	needsHuge(t, 200)
	// A hugetlbfs of its own of 8 MB.
	p = prepare(t, "http", "no_huge=0", "lcore_mask=3\neal_args=--huge-dir=/mnt")
	p.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount -t hugetlbfs -o pagesize=2M,size=8M none /mnt && exec "$0" "$@"`, p.cmd.Path, "-c", p.cmd.Args[2])
	if said := p.fails(t); !strings.Contains(said, "dpdk-hugepages.py --setup") {
		t.Errorf("with 8 MB of hugepages: %s", said)
	}
}

func TestWorkerByHand(t *testing.T) {
	needs(t)
	for _, text := range []string{"1", `{"slot":0,"slots":4,"index":0,"events":5,"supervisor":1}`} {
		p := prepare(t, "http", "lcore_mask=3")
		p.cmd.Env = append(os.Environ(), "FSTACK_WORKER="+text)
		if said := p.fails(t); !strings.Contains(said, "workers are not started by hand") {
			t.Error(said)
		}
	}
}

func TestTwoSupervisors(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	second := p.again()
	second.start(t)
	if !second.ended(10*time.Second) || second.err == nil || !strings.Contains(second.out.String(), "another instance runs under it") {
		t.Errorf("a second supervisor: %v\n%s", second.err, second.out)
	}
	if count := p.shares(t, 50); !fair(count, 2) {
		t.Errorf("the first one's connections by worker: %v", count)
	}
}

// TestStale: what a run leaves whose processes were all killed is removed by the next start.
func TestStale(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2)
	s := p.serving(t, 2)
	for _, pid := range []int{s.PID, s.Workers[0].PID, s.Workers[1].PID} {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.exited
	time.Sleep(300 * time.Millisecond)
	if left := leftovers(p.prefix); len(left) == 0 {
		t.Error("nothing was left behind: nothing is tested")
	}
	again := p.again()
	again.start(t)
	again.serving(t, 2)
	again.cmd.Process.Signal(syscall.SIGTERM)
	if !again.ended(15*time.Second) || again.err != nil {
		t.Errorf("it ended with %v", again.err)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCommands: status, reload, upgrade and stop by the program itself.
func TestCommands(t *testing.T) {
	needs(t)
	p := serve(t, "http")
	run := func(args ...string) (string, error) {
		out, err := exec.Command(p.cmd.Path, args...).CombinedOutput()
		return string(out), err
	}
	config := p.cmd.Args[2]
	for _, args := range [][]string{{"status", "-c", config}, {"-c", config, "status"}} {
		if said, err := run(args...); err != nil || !strings.Contains(said, "one process: pid ") || !strings.Contains(said, "serving") {
			t.Errorf("%v: %v\n%s", args, err, said)
		}
	}
	if said, err := run("reload", "-c", config); err != nil || said != "nothing has changed\n" {
		t.Errorf("reload: %v\n%s", err, said)
	}
	if said, err := run("upgrade", "-c", config); err == nil || !strings.Contains(said, "an upgrade needs a supervisor") {
		t.Errorf("upgrade: %v\n%s", err, said)
	}
	if said, err := run("status", "-c", config, "rubbish"); err == nil || !strings.Contains(said, `unexpected argument "rubbish"`) {
		t.Errorf("one argument too many: %v\n%s", err, said)
	}
	if info, err := os.Stat(control.Path(p.prefix)); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v %v", info, err)
	}
	// Also when the file is broken.
	broken := filepath.Join(t.TempDir(), "broken.ini")
	if err := os.WriteFile(broken, []byte("[dpdk]\nfile_prefix="+p.prefix+"\nrubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := run("stop", "-c", broken); err != nil || !strings.Contains(said, "is ending") {
		t.Errorf("stop: %v\n%s", err, said)
	}
	if left := leftovers(p.prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if !p.ended(5*time.Second) || p.err != nil {
		t.Errorf("it ended with %v", p.err)
	}
	if said, err := run("status", "-c", config); err == nil || !strings.Contains(said, "no program runs under file_prefix") {
		t.Errorf("status of nobody: %v\n%s", err, said)
	}
}
