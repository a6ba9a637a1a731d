package dpdk

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	huge "github.com/fstack-go/fstack/internal/hugepages"
	workers "github.com/fstack-go/fstack/internal/supervise"
)

// child is the environment variable that tells a re-executed test binary which test it is for.
const child = "FSTACK_DPDK_TEST"

// TestMain has a process that will start EAL begin anew while it has something where EAL puts what processes share, from
// 4 GB on: Go's runtime may have its heap there, and then a secondary cannot start.
func TestMain(m *testing.M) {
	const from, to, anew = 4 << 30, 516 << 30, child + "_ANEW"
	if os.Getenv(child) != "" && len(os.Getenv(anew)) < 30 && workers.Mapped(from, to) {
		os.Setenv(anew, os.Getenv(anew)+"x")
		unix.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	os.Exit(m.Run())
}

// alone gives a test a process of its own, since EAL starts once in a process: in the first process it runs the test
// binary again for this one test and returns false; in the second it returns true. Both have the same t.Name.
func alone(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(child) == t.Name() {
		return true
	}
	if Version() == "none" {
		t.Skip("needs DPDK: built with the tag nodpdk")
	}
	out, err := spawn(t, t.Name(), nil, env...)
	report(t, out, err)
	return false
}

func spawn(t *testing.T, name string, args []string, env ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.timeout=60s", "-test.run=^"+strings.ReplaceAll(name, "/", "$/^")+"$")
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(os.Environ(), append(env, child+"="+name)...)
	return cmd.CombinedOutput()
}

func report(t *testing.T, out []byte, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skip(strings.TrimSpace(string(out)))
	case !bytes.Contains(out, []byte("--- PASS")):
		t.Fatalf("the test did not run in its process\n%s", out)
	}
	t.Logf("%s", out)
}

// Needs of tests.

func needRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func needTun(t testing.TB) {
	needRoot(t)
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs /dev/net/tun: ", err)
	}
	f.Close()
}

// needHugepages has mb megabytes of free 2 MB hugepages, reserving the missing ones for the time of the test.
func needHugepages(t testing.TB, mb int) {
	needRoot(t)
	back, err := huge.Reserve(mb)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(back)
}

// startEAL starts EAL without hugepages for a test that is alone, and cleans up after it.
func startEAL(t testing.TB, change func(*Config)) *logged {
	t.Helper()
	log := &logged{}
	c := Config{
		Lcores: []int{firstCPU(t)}, NoHuge: true, MemoryMB: 192, FilePrefix: "fstack-test-" + strconv.Itoa(os.Getpid()), NoPCI: true,
		Log: log.add,
	}
	if change != nil {
		change(&c)
	}
	if err := Init(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Cleanup(); err != nil {
			t.Error("Cleanup: ", err)
		}
		if left, _ := filepath.Glob(runtimeDir(c.FilePrefix)); len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
		for _, m := range hugetlbfsMounts() {
			if left, _ := filepath.Glob(filepath.Join(m.dir, c.FilePrefix+"*")); len(left) > 0 {
				t.Errorf("left behind: %s", left)
			}
		}
		if t.Failed() {
			t.Log("DPDK's log:\n" + log.String())
		}
	})
	return log
}

func firstCPU(t testing.TB) int {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &may); err != nil {
		t.Fatal(err)
	}
	for i := range maxLcore {
		if may.IsSet(i) {
			return i
		}
	}
	return 0
}

type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) add(level slog.Level, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(level.String() + " " + line + "\n")
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// openVdev plugs in a device and opens its port.
func openVdev(t testing.TB, name, args string, netns *os.File, c PortConfig) (*Port, *QueuePair) {
	t.Helper()
	ids, err := AddVdev(name, args, netns)
	if err != nil {
		t.Fatal(err)
	}
	c.ID = ids[0]
	p, err := OpenPort(c)
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.QueuePair(0)
	if err != nil {
		t.Fatal(err)
	}
	return p, q
}

// send puts a frame into the queue.
func send(t testing.TB, q *QueuePair, frame []byte) {
	t.Helper()
	f := q.Queue().Alloc()
	if f == nil {
		t.Fatal("no frame to send with")
	}
	f.Len = uint16(copy(f.Room(), frame))
}

// until turns f until it returns true; that it never does is found after a time that no loaded machine takes.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); runtime.Gosched() {
		if time.Since(start) > 20*time.Second {
			t.Fatal("waited 20 seconds for ", what)
		}
	}
}
