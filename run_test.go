package fstack

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/config"
)

const someConfig = "[port0]\naddr=10.0.0.2\nnetmask=255.255.255.0\n"

// The config file: the flag goes before the environment, that before the current directory, and that before the default.
func TestFindConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(someConfig), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	find := func(want string) {
		t.Helper()
		if c, err := findConfig(); err != nil || c.File != want {
			t.Errorf("config %v, %v; want that of %s", c, err, want)
		}
	}
	t.Chdir(dir)
	defer func() { configFile = "" }()
	t.Setenv("FSTACK_CONFIG", "")
	find("(built-in) config.ini")
	write("config.ini")
	find("config.ini")
	env := write("env.ini")
	t.Setenv("FSTACK_CONFIG", env)
	find(env)
	named := write("named.ini")
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	Flags(set)
	for _, arg := range []string{"-c", "--config"} {
		configFile = ""
		if err := set.Parse([]string{arg, named}); err != nil {
			t.Fatal(err)
		}
		find(named)
	}
	configFile = filepath.Join(dir, "none.ini")
	if _, err := findConfig(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is named and not there: %v", err)
	}
	configFile = ""
	t.Setenv("FSTACK_CONFIG", "")
	if err := os.WriteFile("config.ini", []byte("[port0]\nmtu=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := findConfig(); err == nil || !strings.Contains(err.Error(), "config.ini:2") {
		t.Errorf("a wrong file in the current directory: %v", err)
	}
}

// The default that the package brings along has no mistake and no key without effect.
func TestDefaultConfig(t *testing.T) {
	c, err := config.Parse("config.ini", defaultConfig)
	if err != nil || len(c.Warnings) > 0 {
		t.Errorf("%v, %v", err, c.Warnings)
	}
}

func TestPinThreads(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}
	defer eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &before) })
	if err := pinThreads(cpu); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	for range 4 { // threads that are made later
		go func() {
			runtime.LockOSThread()
			<-done
		}()
	}
	defer close(done)
	runtime.Gosched()
	if err := eachThread(func(tid int) error {
		var has unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &has); err != nil {
			return err
		}
		if has.Count() != 1 || !has.IsSet(cpu) {
			t.Errorf("thread %d may run on %d CPUs", tid, has.Count())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := pinThreads(1000); err == nil || !strings.Contains(err.Error(), "CPU 1000") {
		t.Errorf("a CPU that is not there: %v", err)
	}
}

func TestLogger(t *testing.T) {
	cfg := &config.Config{DPDK: config.DPDK{Lcores: []int{3}}, Stack: config.Stack{LogLevel: slog.LevelWarn, LogFile: filepath.Join(t.TempDir(), "stack-")}}
	log, err := newLogger(cfg, 3, "0", "slot", 1)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud")
	log.close()
	b, err := os.ReadFile(cfg.Stack.LogFile + "0.log")
	if err != nil || bytes.Contains(b, []byte("quiet")) || !bytes.Contains(b, []byte("msg=loud")) || !bytes.Contains(b, []byte("lcore=3 slot=1")) {
		t.Errorf("the log file says %q (%v)", b, err)
	}
	cfg.Stack.LogFile = filepath.Join(t.TempDir(), "none", "stack-")
	if _, err := newLogger(cfg, 3, "0"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log file in no directory: %v", err)
	}
}

func TestBeforeRun(t *testing.T) {
	if i := Info(); i.PID != 0 || len(i.Ports) != 0 {
		t.Errorf("Info before Run: %+v", i)
	}
	EachCounter(func(where, name, _ string, _ uint64) { t.Errorf("counter %s %s before Run", where, name) })
	if err := Context().Err(); err != nil {
		t.Errorf("Context before Run: %v", err)
	}
	if err := RunConfig(&config.Config{}, nil); err == nil || !strings.Contains(err.Error(), "no lcore") {
		t.Errorf("a config made by hand: %v", err)
	}
}
